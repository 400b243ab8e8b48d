"""Looking for private keys where none may be: in bytes of any kind, in every form in which a key is written down.

For each key: its secret integers as raw bytes (both orders), hex in both cases, decimal, base64 (usual and URL-safe)
at all three offsets, and base64 in PEM lines; also inside what gzip or zlib compressed, itself perhaps in base64.
A whole key in DER holds its integers as they stand, so it is found by them.
"""

import base64
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# So much of a form is looked for: 128 bits are never met by chance, and a key that was cut off is found too.
PIECE = 16
# Wherever a piece of 16 bytes begins, it holds 8 whole bytes that begin at a multiple of 8: those are looked up.
WINDOW = 8
PEM_LINE = 64
LINE_ENDS = (b"\n", b"\r\n", b"\\n", b"\\r\\n")
# A gzip member; a zlib stream by its usual second bytes.
COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
# How either begins in base64.
COMPRESSED_BASE64 = re.compile(rb"(?:H4sI|eJ|eNo|eNr|eAE|eAF|eF4|eF5)[A-Za-z0-9+/_-]{40,}")
LARGEST_PLAIN = 64_000_000
DEEPEST = 4


@dataclass(frozen=True)
class Secret:
    """``name``: of the key and the form, never the bytes."""

    name: str
    piece: bytes


def integers(key: PrivateKey) -> dict[str, int]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return {"d": numbers.d, "p": numbers.p, "q": numbers.q}
    return {"d": key.private_numbers().private_value}


def whole(key: PrivateKey) -> dict[str, bytes]:
    """The DER of ``key`` in both usual forms."""
    forms = {"pkcs8": PrivateFormat.PKCS8, "traditional": PrivateFormat.TraditionalOpenSSL}
    return {name: key.private_bytes(Encoding.DER, form, NoEncryption()) for name, form in forms.items()}


def secrets_of(name: str, key: PrivateKey) -> list[Secret]:
    """Every form of ``key`` that is looked for."""
    found: list[Secret] = []
    for word, number in integers(key).items():
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        found += raw_secrets(f"{name} {word}", raw)
        found.append(Secret(f"{name} {word} little-endian", raw[::-1][:PIECE]))
        found.append(Secret(f"{name} {word} decimal", str(number).encode()[: 2 * PIECE]))
        for form, der in whole(key).items():
            found += [Secret(f"{name} {word} {form} PEM", piece) for piece in _pem(der, der.index(raw))]
    return found


def raw_secrets(name: str, raw: bytes) -> list[Secret]:
    """``raw`` as it stands, in hex and in base64."""
    text = raw.hex().encode()
    found = [Secret(f"{name} raw", raw[:PIECE])]
    found += [Secret(f"{name} hex", text[: 2 * PIECE]), Secret(f"{name} HEX", text[: 2 * PIECE].upper())]
    for offset in range(3):
        # The letters that ``raw`` always gives behind ``offset`` foreign bytes: without the group that mixes both.
        letters = base64.b64encode(b"\x00" * offset + raw[: PIECE + 5])[4 if offset else 0 :][:20]
        found.append(Secret(f"{name} base64 at {offset}", letters))
        found.append(Secret(f"{name} base64url at {offset}", letters.replace(b"+", b"-").replace(b"/", b"_")))
    return found


def _pem(der: bytes, position: int) -> Iterator[bytes]:
    """The letters of the secret at ``position`` where a line ends within them, with each way to end a line."""
    letters = base64.b64encode(der)
    start = -(-position // 3) * 4
    cut = -(-start // PEM_LINE) * PEM_LINE
    if start < cut < start + 20:
        for end in LINE_ENDS:
            yield letters[start:cut] + end + letters[cut : start + 20]


class Searcher:
    """All forms at once, at the speed of one look-up for eight bytes of haystack."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self.secrets = list(secrets)
        self.by_window: dict[int, list[Secret]] = {}
        for secret in self.secrets:
            assert len(secret.piece) >= PIECE, secret.name
            for start in range(WINDOW):
                window = array("Q", secret.piece[start : start + WINDOW])[0]
                self.by_window.setdefault(window, []).append(secret)
        self.windows = frozenset(self.by_window)

    def search(self, haystack: bytes, depth: int = 0) -> set[str]:
        """The names of the forms found in ``haystack`` and in what is compressed in it."""
        found = self._plainly(haystack)
        if depth < DEEPEST:
            for inner in _unpacked(haystack):
                found |= {f"{name}, packed" for name in self.search(inner, depth + 1)}
        return found

    def _plainly(self, haystack: bytes) -> set[str]:
        aligned = array("Q", haystack + b"\x00" * (-len(haystack) % WINDOW))
        hits = self.windows.intersection(aligned)
        candidates = {secret for window in hits for secret in self.by_window[window]}
        return {secret.name for secret in candidates if secret.piece in haystack}


def _unpacked(haystack: bytes) -> Iterator[bytes]:
    for match in COMPRESSED.finditer(haystack):
        if plain := _inflated(haystack, match.start()):
            yield plain
    for match in COMPRESSED_BASE64.finditer(haystack):
        letters = match.group().replace(b"-", b"+").replace(b"_", b"/")
        packed = base64.b64decode(letters[: len(letters) // 4 * 4])
        if plain := _inflated(packed, 0):
            yield plain


def _inflated(haystack: bytes, start: int) -> bytes:
    """What was compressed at ``start``, as far as it goes; nothing if the bytes only looked like it."""
    # 47: gzip or zlib, as the header says.
    stream = zlib.decompressobj(47)
    plain = bytearray()
    try:
        for at in range(start, len(haystack), 65536):
            plain += stream.decompress(haystack[at : at + 65536], LARGEST_PLAIN)
            if stream.eof or len(plain) > LARGEST_PLAIN:
                break
    except zlib.error:
        pass
    return bytes(plain)
