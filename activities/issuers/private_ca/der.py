"""The few bytes of DER that a signature needs around what it signs."""

SEQUENCE = 0x30
BIT_STRING = 0x03


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(content of the first element, the whole first element, the rest).  For our own well-formed DER only."""
    size, start = data[1], 2
    if size & 0x80:
        octets = size & 0x7F
        start = 2 + octets
        size = int.from_bytes(data[2:start], "big")
    end = start + size
    return data[start:end], data[:end], data[end:]


def signature_algorithm(tbs: bytes) -> bytes:
    """The AlgorithmIdentifier that ``tbs`` names: its third element, after version and serial (RFC 5280 4.1)."""
    content = split(tbs)[0]
    after_version = split(content)[2]
    after_serial = split(after_version)[2]
    return split(after_serial)[1]


def certificate(tbs: bytes, signature: bytes) -> bytes:
    return element(SEQUENCE, tbs + signature_algorithm(tbs) + element(BIT_STRING, b"\x00" + signature))
