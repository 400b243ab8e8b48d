"""PEM as a careful reader takes it, and what no server would take (RFC 7468)."""

import codecs
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from domain.errors import BadInput
from formats.extensions import UNREADABLE
from formats.frame import load

BEGIN = b"-----BEGIN CERTIFICATE-----"
_EDGE = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----")
_BEGINS = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")
_BLOCK = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A file of a hundred slips is told by its first ones.
MOST_FLAWS = 5


def load_pem_chain(data: bytes) -> tuple[bytes, ...]:
    """The DER of every certificate in ``data``, in its order.  Other PEM blocks are skipped.  Raises BadInput."""
    text = _readable(data)
    if BEGIN not in text:
        raise BadInput("chain", "holds no certificate", "Give PEM: -----BEGIN CERTIFICATE-----, leaf first.")
    try:
        return tuple(c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(text))
    except UNREADABLE as error:
        if apart := _each_apart(text):
            return apart
        # Ours names the line, where the library's words lead to its own web page.
        told = next(iter(pem_flaws(data)), error)
        raise BadInput("chain", f"cannot be read ({told})", "Give PEM certificates, leaf first.") from error


def pem_flaws(data: bytes) -> tuple[str, ...]:
    """Why OpenSSL, and with it every server, refuses ``data`` or skips a part of it, each with its line."""
    return tuple(flaw for _, flaw in zip(range(MOST_FLAWS), _flaws(data), strict=False))


def _each_apart(text: bytes) -> tuple[bytes, ...]:
    """The same where the library refuses one for the frame of an extension; nothing where one cannot be read at all."""
    try:
        found = [b64decode(b"".join(block[2].split()), validate=True) for block in _BLOCK.finditer(text)]
        return tuple(one for one in found if load(one)) if len(found) == len(_BEGINS.findall(text)) else ()
    except UNREADABLE:
        return ()


def _readable(data: bytes) -> bytes:
    if data.startswith(_WIDE):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise BadInput("chain", f"is no text ({error.reason})", "Save the file as ASCII.") from error
    return data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _flaws(data: bytes) -> Iterator[str]:
    if data.startswith(_WIDE):
        yield "line 1: it is saved as UTF-16, which no server reads: save it as ASCII"
        return
    if b"\r" in data and b"\n" not in data:
        yield "line 1: its lines end in CR alone, which no server reads: end them in LF"
        return
    # A byte order mark is passed over where the file begins (OpenSSL 3), not where two were joined.
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    # First, for it is the worst: OpenSSL refuses the whole file.
    yield from _cut_short(lines)
    for number, line in enumerate(lines, 1):
        edges = list(_EDGE.finditer(line))
        if edges and edges[0].start():
            yield f"line {number}: {_text(edges[0])} does not begin its line, so that servers do not see it"
        if edges and line[edges[0].end() :].strip():
            yield f"line {number}: something stands behind {_text(edges[0])}: end the line there"


def _cut_short(lines: Sequence[bytes]) -> Iterator[str]:
    """Each block that does not end, as a copy leaves it that was broken off.  An END alone is passed over."""
    begun: tuple[int, re.Match[bytes]] | None = None
    edges = ((number, edge) for number, line in enumerate(lines, 1) for edge in _EDGE.finditer(line))
    for number, edge in edges:
        if begun and (edge[1] == b"BEGIN" or edge[2] != begun[1][2]):
            yield f"line {begun[0]}: {_text(begun[1])} is cut short: {_text(edge)} follows in line {number}"
        begun = (number, edge) if edge[1] == b"BEGIN" else None
    if begun:
        yield f"line {begun[0]}: {_text(begun[1])} is cut short: the file ends without its END"


def _text(edge: re.Match[bytes]) -> str:
    return edge[0].decode()
