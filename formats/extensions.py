"""The extensions of a certificate, each guarded apart: one that is odd or doubled hides no other.

``cryptography`` decodes all or none.  Where it decodes none, each is put alone into a copy of the certificate, and
that is read: so its decoder stays the only one, and what it refuses costs nothing but itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from formats import der

# What `cryptography` raises for fields that it cannot read (measured over 4,039 odd certificates).
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

# More than this is never decoded one by one: a certificate of the field has some ten.
MOST_EXTENSIONS = 64
# A name of a SAN is decoded alone only where all of them together cannot be.
MOST_SINGLE_NAMES = 600

_WORDS = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.18": "issuerAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.36": "policyConstraints",
    "2.5.29.37": "extKeyUsage",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
    "1.3.6.1.4.1.11129.2.4.2": "signed certificate timestamps",
}

# What every client must understand (OpenSSL: EXFLAG_INVALID), and the DER type of each.
_OUTER = {
    "2.5.29.14": der.OCTET_STRING,
    "2.5.29.15": der.BIT_STRING,
    "2.5.29.17": der.SEQUENCE,
    "2.5.29.19": der.SEQUENCE,
    "2.5.29.30": der.SEQUENCE,
    "2.5.29.31": der.SEQUENCE,
    "2.5.29.35": der.SEQUENCE,
    "2.5.29.37": der.SEQUENCE,
}

UNREAD_SAN = "its subjectAltName cannot be read"

Value = TypeVar("Value", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Extensions:
    """``values``: what could be read, by dotted OID, several where one is doubled.  ``critical``: OIDs so marked.

    ``flaws``: what could not be read, or stands there twice, in plain words that name the extension; ``refused``: the
    OIDs of those for which OpenSSL refuses the whole certificate: a client that must understand them cannot.
    """

    values: dict[str, tuple[x509.ExtensionType, ...]] = field(default_factory=dict)
    critical: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    flaws: tuple[str, ...] = ()

    def all(self, kind: type[Value]) -> tuple[Value, ...]:
        return tuple(one for one in self.values.get(kind.oid.dotted_string, ()) if isinstance(one, kind))

    def first(self, kind: type[Value]) -> Value | None:
        return next(iter(self.all(kind)), None)


def extensions_of(loaded: x509.Certificate) -> Extensions:
    """All that can be read of the extensions of ``loaded``.  Never raises for what a stranger wrote into them."""
    read = _at_once(loaded)
    if any(_allows_nothing(one) for one in read.all(x509.KeyUsage)):
        # RFC 5280 4.2.1.3: at least one bit; OpenSSL takes no such certificate, whatever it is for.
        told = (*read.flaws, "its keyUsage allows nothing")
        return replace(read, refused=read.refused | {_USAGE}, flaws=told)
    return read


def _at_once(loaded: x509.Certificate) -> Extensions:
    try:
        whole = loaded.extensions
    except UNREADABLE:
        return _each_apart(loaded)
    found = {one.oid.dotted_string: one for one in whole}
    values: dict[str, tuple[x509.ExtensionType, ...]] = {oid: (one.value,) for oid, one in found.items()}
    critical = frozenset(oid for oid, one in found.items() if one.critical)
    return Extensions(values, critical, frozenset(found))


def _allows_nothing(usage: x509.KeyUsage) -> bool:
    signs = usage.digital_signature or usage.content_commitment or usage.key_cert_sign or usage.crl_sign
    return not (signs or usage.key_encipherment or usage.data_encipherment or usage.key_agreement)


def word(oid: str) -> str:
    """The name of an extension, as RFC 5280 writes it, or its OID."""
    return _WORDS.get(oid, oid)


def _each_apart(loaded: x509.Certificate) -> Extensions:
    try:
        frame = _Frame.of(loaded)
    except ValueError as error:
        return Extensions(flaws=(f"its extensions cannot be told apart ({error})",))
    values: dict[str, tuple[x509.ExtensionType, ...]] = {}
    critical, refused, flaws = set(), set(), []
    for one in frame.extensions[:MOST_EXTENSIONS]:
        read = frame.read(one)
        if one.oid in values:
            flaws.append(f"it has more than one {word(one.oid)}")
        if read is None:
            flaws.append(UNREAD_SAN if one.oid == _SAN else f"its {word(one.oid)} cannot be read")
        if one.oid in values or (read is None and not _is_lenient(one.oid, one.value)):
            refused.add(one.oid)
        if one.critical:
            critical.add(one.oid)
        values[one.oid] = (*values.get(one.oid, ()), *(() if read is None else (read,)))
        if read is None and one.oid == _SAN:
            values[one.oid] += frame.single_names(one)
        if read is None and one.oid == _BASIC:
            values[one.oid] += _plain_constraints(one.value)
    if len(frame.extensions) > MOST_EXTENSIONS:
        flaws.append(f"it has {len(frame.extensions)} extensions, of which {MOST_EXTENSIONS} were read")
    present = frozenset(one.oid for one in frame.extensions)
    return Extensions(
        values, frozenset(critical), present, frozenset(refused) & set(_OUTER), tuple(dict.fromkeys(flaws))
    )


_SAN = ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string
_USAGE = ExtensionOID.KEY_USAGE.dotted_string
_BASIC = ExtensionOID.BASIC_CONSTRAINTS.dotted_string


@dataclass(frozen=True, slots=True)
class _Extension:
    oid: str
    critical: bool
    value: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class _Frame:
    """A certificate without its extensions, and these.  ``head``: the fields of tbsCertificate before them."""

    head: bytes
    tail: bytes
    extensions: tuple[_Extension, ...]

    @classmethod
    def of(cls, loaded: x509.Certificate) -> "_Frame":
        tbs, *rest = der.parts_of(der.only(loaded.public_bytes(Encoding.DER), der.SEQUENCE))
        fields = list(der.parts_of(tbs.content))
        head = b"".join(part.whole for part in fields if part.tag != der.EXTENSIONS)
        listed = next((part.content for part in fields if part.tag == der.EXTENSIONS), None)
        found = () if listed is None else tuple(_split(der.only(listed, der.SEQUENCE)))
        return cls(head, b"".join(part.whole for part in rest), found)

    def read(self, one: _Extension) -> x509.ExtensionType | None:
        return self._alone(one.whole)

    def single_names(self, one: _Extension) -> tuple[x509.ExtensionType, ...]:
        """Each name of a SAN that can be read alone: one of a kind that nobody knows must not hide the others."""
        try:
            names = list(der.parts_of(der.only(one.value, der.SEQUENCE)))
        except ValueError:
            return ()
        oid = der.wrapped(der.OBJECT_IDENTIFIER, b"\x55\x1d\x11")
        found = []
        for name in names[:MOST_SINGLE_NAMES]:
            value = der.wrapped(der.OCTET_STRING, der.wrapped(der.SEQUENCE, name.whole))
            read = self._alone(der.wrapped(der.SEQUENCE, oid + value))
            found += [] if read is None else [read]
        return tuple(found)

    def _alone(self, extension: bytes) -> x509.ExtensionType | None:
        listed = der.wrapped(der.EXTENSIONS, der.wrapped(der.SEQUENCE, extension))
        tbs = der.wrapped(der.SEQUENCE, self.head + listed)
        try:
            read = x509.load_der_x509_certificate(der.wrapped(der.SEQUENCE, tbs + self.tail)).extensions
        except UNREADABLE:
            return None
        return next((one.value for one in read), None)


def _split(listed: bytes) -> Iterator[_Extension]:
    """RFC 5280 4.2: extnID, critical (a BOOLEAN, false where it is left out), extnValue."""
    for part in der.parts_of(listed):
        oid, *rest = der.parts_of(part.content)
        critical = any(one.tag == der.BOOLEAN and any(one.content) for one in rest)
        value = next((one.content for one in rest if one.tag == der.OCTET_STRING), b"")
        yield _Extension(_dotted(oid.content), critical, value, part.whole)


def _dotted(content: bytes) -> str:
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first, *rest = numbers or [0]
    top = min(first // 40, 2)
    return ".".join(map(str, (top, first - 40 * top, *rest)))


def _is_lenient(oid: str, value: bytes) -> bool:
    """Whether OpenSSL's decoder takes what the library refuses: an empty list, say, or a kind that it does not know."""
    if oid == _BASIC:
        return bool(_plain_constraints(value))
    try:
        return oid in _OUTER and oid != _USAGE and _is_framed(der.only(value, _OUTER[oid]), _OUTER[oid])
    except ValueError:
        return False


def _is_framed(content: bytes, tag: int, depth: int = 0) -> bool:
    """Whether everything that is constructed can be taken apart down to its values.  Raises ValueError."""
    if not tag & der.CONSTRUCTED or depth > 10:
        return depth <= 10
    return all(_is_framed(part.content, part.tag, depth + 1) for part in der.parts_of(content))


def _plain_constraints(value: bytes) -> tuple[x509.BasicConstraints, ...]:
    """CA:TRUE as OpenSSL reads it, also where its BOOLEAN is BER or a pathLen stands where none may.

    A CA file that is taken for a server's is written over; so here the lenient reading is the careful one.
    """
    try:
        fields = list(der.parts_of(der.only(value, der.SEQUENCE)))
    except ValueError:
        return ()
    is_ca = any(part.tag == der.BOOLEAN and any(part.content) for part in fields)
    if any(part.tag == der.INTEGER and part.content[:1] >= b"\x80" for part in fields):
        return ()
    lengths = [int.from_bytes(part.content, "big") for part in fields if part.tag == der.INTEGER and is_ca]
    return (x509.BasicConstraints(ca=is_ca, path_length=next(iter(lengths), None)),)
