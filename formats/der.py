"""DER by its frame alone: tag, length, content.  What stands inside is read by ``cryptography``.

It decodes the extensions of a certificate all or none, so they are cut apart here, and each is given to it alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

SEQUENCE = 0x30
BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
# The bit of a tag that says that its content is values itself.
CONSTRUCTED = 0x20
# tbsCertificate (RFC 5280 4.1): extensions last.
EXTENSIONS = 0xA3

# A certificate that holds more parts than this at one level was made to be slow to read.
MOST_PARTS = 2000


class Part(NamedTuple):
    """One value.  ``whole``: with its tag and length."""

    tag: int
    content: bytes
    whole: bytes


def parts_of(data: bytes, most: int = MOST_PARTS) -> Iterator[Part]:
    """Every value in ``data``, one behind another.  Raises ValueError where one does not fit, and beyond ``most``."""
    at = 0
    for _ in range(most + 1):
        if at >= len(data):
            return
        start, size = _frame(data, at)
        if start + size > len(data):
            raise ValueError("a value is longer than what holds it")
        yield Part(data[at], data[start : start + size], data[at : start + size])
        at = start + size
    raise ValueError(f"holds more than {most} values")


def only(data: bytes, tag: int) -> bytes:
    """The content of ``data``, which must be one value of ``tag``.  Raises ValueError."""
    found = next(parts_of(data), None)
    if found is None or found.tag != tag:
        raise ValueError(f"is not a value of tag {tag:#x}")
    return found.content


def wrapped(tag: int, content: bytes) -> bytes:
    """``content`` as one value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def dotted(identifier: bytes) -> str:
    """An OBJECT IDENTIFIER's content as numbers; empty where it is none (X.690 8.19)."""
    numbers, number, begins = [], 0, True
    for byte in identifier:
        if begins and byte == 0x80:
            return ""
        number, begins = number << 7 | byte & 0x7F, not byte & 0x80
        if begins:
            numbers.append(number)
            number = 0
    if not begins or not numbers:
        return ""
    first, *rest = numbers
    top = min(first // 40, 2)
    return ".".join(map(str, (top, first - 40 * top, *rest)))


def _frame(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at ``at`` begins, and its length."""
    if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
        raise ValueError("a value has no length, or a tag of several bytes")
    first = data[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    # 0 is the indefinite length of BER; four bytes hold more than any certificate.
    if not 1 <= count <= 4 or at + 2 + count > len(data):
        raise ValueError("a length cannot be read")
    return at + 2 + count, int.from_bytes(data[at + 2 : at + 2 + count], "big")


class Fields(NamedTuple):
    """The sequences of a tbsCertificate (RFC 5280 4.1)."""

    signature: Part
    issuer: Part
    validity: Part
    subject: Part
    subject_public_key_info: Part


def fields_of(tbs: bytes) -> Fields:
    """Of a tbsCertificate that could be loaded.  Raises ValueError."""
    found = (part for part in parts_of(only(tbs, SEQUENCE)) if part.tag == SEQUENCE)
    return Fields(*(next(found, Part(SEQUENCE, b"", b"")) for _ in Fields._fields))
