"""The extensions of a certificate, each guarded apart: one that is odd or doubled hides no other.

``cryptography`` decodes all or none.  Where it decodes none, each is put alone into a copy of the certificate, and
that is read: so its decoder stays the only one, and what it refuses costs nothing but itself.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from formats import der
from formats.frame import Extension, Frame

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

# More than this is not decoded one by one, beyond what every client must understand: in the field it is some ten.
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

# Fields of an authorityKeyIdentifier: [0] and [2].
_KEY_IDENTIFIER = 0x80
_SERIAL = 0x82

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


def extensions_of(whole: bytes, loaded: x509.Certificate) -> Extensions:
    """All that can be read of the extensions of ``whole`` (DER), which is ``loaded``.

    Never raises for what a stranger wrote into them.
    """
    read = _at_once(whole, loaded)
    if any(_allows_nothing(one) for one in read.all(x509.KeyUsage)):
        # RFC 5280 4.2.1.3: at least one bit; OpenSSL takes no such certificate, whatever it is for.
        told = (*read.flaws, "its keyUsage allows nothing")
        return replace(read, refused=read.refused | {_USAGE}, flaws=told)
    return read


def _at_once(whole: bytes, loaded: x509.Certificate) -> Extensions:
    try:
        found = {one.oid.dotted_string: one for one in loaded.extensions}
    except UNREADABLE:
        return _each_apart(Frame.of(whole))
    if not found:
        # It has none, or was loaded without them because the frame of one is odd.
        return _each_apart(Frame.of(whole))
    values: dict[str, tuple[x509.ExtensionType, ...]] = {oid: (one.value,) for oid, one in found.items()}
    critical = frozenset(oid for oid, one in found.items() if one.critical)
    return Extensions(values, critical, frozenset(found))


def _allows_nothing(usage: x509.KeyUsage) -> bool:
    signs = usage.digital_signature or usage.content_commitment or usage.key_cert_sign or usage.crl_sign
    return not (signs or usage.key_encipherment or usage.data_encipherment or usage.key_agreement)


def word(oid: str) -> str:
    """The name of an extension, as RFC 5280 writes it, or its OID."""
    return _WORDS.get(oid, oid)


def _each_apart(frame: Frame) -> Extensions:
    apart = _Apart(frame)
    for one in frame.extensions:
        apart.take(one)
    return apart.told()


_SAN = ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string
_USAGE = ExtensionOID.KEY_USAGE.dotted_string
_BASIC = ExtensionOID.BASIC_CONSTRAINTS.dotted_string
_ISSUER_KEY = ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string


class _Apart:
    """Reads one extension after another, and remembers what it can say of them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._decoded = 0
        self._values: dict[str, list[x509.ExtensionType]] = {}
        self._refused: set[str] = set()
        # Ordered, each once.
        self._flaws: dict[str, None] = {}

    def take(self, one: Extension) -> None:
        if one.oid in self._values:
            self._flaw(one, f"it has more than one {word(one.oid)}", refuses=one.oid in _OUTER)
        if not one.is_whole:
            self._flaw(one, f"its {word(one.oid)} cannot be read", refuses=True)
        elif not one.is_der:
            self._flaw(one, f"the critical mark of its {word(one.oid)} is not written as DER has it")
        # Of what every client must understand the first is always read: whatever stands before it must not hide it.
        is_needed = one.oid in _OUTER and one.oid not in self._values
        self._decoded += not is_needed
        may_read = is_needed or self._decoded <= MOST_EXTENSIONS
        # So must nothing hide that this is a CA.
        unread = _plain_constraints(one.value) if one.oid == _BASIC else ()
        self._values.setdefault(one.oid, []).extend(self._read(one) if may_read else unread)

    def told(self) -> Extensions:
        extensions = self._frame.extensions
        if self._decoded > MOST_EXTENSIONS:
            read = len(extensions) - self._decoded + MOST_EXTENSIONS
            self._flaws[f"it has {len(extensions)} extensions, of which {read} were read"] = None
        return Extensions(
            {oid: tuple(found) for oid, found in self._values.items()},
            frozenset(one.oid for one in extensions if one.critical),
            frozenset(self._values),
            frozenset(self._refused),
            tuple(self._flaws),
        )

    def _flaw(self, one: Extension, told: str, *, refuses: bool = False) -> None:
        self._flaws[told] = None
        if refuses:
            self._refused.add(one.oid)

    def _read(self, one: Extension) -> tuple[x509.ExtensionType, ...]:
        read = self._alone(one.key, one.value)
        if read is not None:
            return (read,)
        told = UNREAD_SAN if one.oid == _SAN else f"its {word(one.oid)} cannot be read"
        self._flaw(one, told, refuses=one.oid in _OUTER and not _is_lenient(one.oid, one.value))
        if one.oid == _SAN:
            return self._single_names(one)
        if one.oid == _ISSUER_KEY:
            return _plain_identifier(one.value)
        return _plain_constraints(one.value) if one.oid == _BASIC else ()

    def _single_names(self, one: Extension) -> tuple[x509.ExtensionType, ...]:
        """Each name of a SAN that can be read alone: one of a kind that nobody knows must not hide the others."""
        try:
            names = list(der.parts_of(der.only(one.value, der.SEQUENCE)))
        except ValueError:
            return ()
        found = (self._alone(one.key, der.wrapped(der.SEQUENCE, name.whole)) for name in names[:MOST_SINGLE_NAMES])
        return tuple(read for read in found if read is not None)

    def _alone(self, key: bytes, value: bytes) -> x509.ExtensionType | None:
        extension = der.wrapped(der.SEQUENCE, key + der.wrapped(der.OCTET_STRING, value))
        try:
            read = x509.load_der_x509_certificate(self._frame.having(extension)).extensions
        except UNREADABLE:
            return None
        return next((one.value for one in read), None)


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


def _plain_identifier(value: bytes) -> tuple[x509.AuthorityKeyIdentifier, ...]:
    """Key identifier and serial as OpenSSL compares them, also where the serial stands without its issuer."""
    try:
        fields = {part.tag: part.content for part in der.parts_of(der.only(value, der.SEQUENCE))}
    except ValueError:
        return ()
    serial = fields.get(_SERIAL)
    number = None if serial is None else int.from_bytes(serial, "big", signed=True)
    return (x509.AuthorityKeyIdentifier(fields.get(_KEY_IDENTIFIER), None if number is None else (), number),)
