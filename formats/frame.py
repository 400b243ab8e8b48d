"""A certificate taken apart by its frame, so that one extension that is odd costs nothing but itself.

``cryptography`` loads a certificate whole or not at all, and decodes its extensions all or none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from formats import der

# What stands for the OID of an extension that has none to be read.
NAMELESS = "nameless extension"


@dataclass(frozen=True, slots=True)
class Extension:
    """``oid``: dotted.  ``key`` and ``value``: its OID as DER, and the content of its extnValue.

    ``is_der``: RFC 5280 leaves a critical mark of FALSE out, and DER knows one TRUE; OpenSSL forgives both.
    ``is_whole``: it holds what an extension holds, and nothing else; OpenSSL loads no certificate where one does not.
    """

    oid: str
    critical: bool
    key: bytes
    value: bytes
    is_der: bool = True
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """``head``: the fields of tbsCertificate before its extensions; ``tail``: what follows tbsCertificate."""

    head: bytes
    tail: bytes
    extensions: tuple[Extension, ...]

    @classmethod
    def of(cls, whole: bytes) -> "Frame":
        """Raises ValueError where the bytes do not lie in one another as those of a certificate do."""
        tbs, *rest = der.parts_of(_sole(whole))
        fields = list(der.parts_of(_sole(tbs.whole)))
        listed = fields.pop().content if fields and fields[-1].tag == der.EXTENSIONS else None
        return cls(
            b"".join(part.whole for part in fields),
            b"".join(part.whole for part in rest),
            () if listed is None else tuple(_split(listed)),
        )

    def having(self, extensions: bytes) -> bytes:
        """The same certificate with these extensions (DER) alone.  Its signature is that of the whole."""
        listed = der.wrapped(der.EXTENSIONS, der.wrapped(der.SEQUENCE, extensions)) if extensions else b""
        tbs = der.wrapped(der.SEQUENCE, self.head + listed)
        return der.wrapped(der.SEQUENCE, tbs + self.tail)


def load(whole: bytes) -> x509.Certificate:
    """Without any extensions where the frame of one is odd; whoever wants them takes them out of ``Frame``.

    Raises as ``cryptography`` does.
    """
    try:
        return x509.load_der_x509_certificate(whole)
    except ValueError:
        return x509.load_der_x509_certificate(Frame.of(whole).having(b""))


def _sole(data: bytes) -> bytes:
    """The content of a sequence behind which nothing stands.  Raises ValueError."""
    (part,) = der.parts_of(data)
    return der.only(part.whole, der.SEQUENCE)


def _split(listed: bytes) -> Iterator[Extension]:
    # As many as there are: what is taken in of a server or a file is bounded, and the last may be the one that counts.
    for part in der.parts_of(_sole(listed), most=len(listed)):
        yield _extension(part)


def _extension(part: der.Part) -> Extension:
    """RFC 5280 4.2: extnID, critical (a BOOLEAN, false where it is left out), extnValue."""
    try:
        inner = list(der.parts_of(part.content))
    except ValueError:
        return Extension(NAMELESS, False, b"", b"", is_whole=False)
    key = next((one for one in inner if one.tag == der.OBJECT_IDENTIFIER), None)
    marks = [one.content for one in inner if one.tag == der.BOOLEAN]
    values = [one.content for one in inner if one.tag == der.OCTET_STRING]
    in_order = [der.OBJECT_IDENTIFIER, *[der.BOOLEAN] * (len(inner) == 3), der.OCTET_STRING]
    oid = "" if key is None else der.dotted(key.content)
    return Extension(
        oid or NAMELESS,
        any(map(any, marks)),
        b"" if key is None else key.whole,
        next(iter(values), b""),
        is_der=marks in ([], [b"\xff"]),
        is_whole=bool(oid)
        and part.tag == der.SEQUENCE
        and [one.tag for one in inner] == in_order
        and all(len(mark) == 1 for mark in marks),
    )
