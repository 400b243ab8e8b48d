"""One certificate as a link of a path: what path validation reads of it (RFC 5280 6.1), and nothing else."""

import hashlib
import string
from collections.abc import Callable
from functools import cached_property
from itertools import islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.errors import BadInput
from domain.objections import WEAK_HASHES
from formats import der
from formats.extensions import UNREADABLE, Extensions, extensions_of, word
from formats.frame import load
from formats.keys import Key, KeyFacts, key_facts, may_make

# RFC 5280 6.1.4 (o) and (p): whoever does not know a critical extension must refuse.  These OpenSSL knows
# (`X509_supported_extension`), so that what it calls good is called good here.  Key identifiers are not among them:
# RFC 5280 4.2.1.1 and 4.2.1.2 forbid to mark them critical.
_HANDLED = frozenset(
    {
        *("2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32", "2.5.29.33"),
        *("2.5.29.36", "2.5.29.37", "2.5.29.54", "2.16.840.1.113730.1.1", "1.3.6.1.5.5.7.48.1.5"),
        *("1.3.6.1.5.5.7.1.7", "1.3.6.1.5.5.7.1.8"),
    }
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
LOOK_AT_IT = "The bytes are kept; look at them with `openssl x509 -inform der -text`."

Name = tuple[object, ...]


def printable(text: str, most: int) -> str:
    """Bounded and still to be recognised: a stranger wrote it, PostgreSQL refuses NUL, and no terminal must obey it."""
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in text[:most])


def load_certificate(whole: bytes) -> x509.Certificate:
    """Without extensions where the frame of one is odd.  Raises BadInput for what is no certificate at all."""
    try:
        return load(whole)
    except UNREADABLE as error:
        raise BadInput("certificate", f"is not readable X.509 ({error})", LOOK_AT_IT) from error


class Link:
    """Read once and kept.  Raises BadInput where not even its dates can be read: then it cannot stand in a path."""

    def __init__(self, whole: bytes) -> None:
        self.der = whole
        self.loaded = load_certificate(whole)
        # What name constraints said of it, by the DER of who set them, and what that has cost.
        self.violations: dict[tuple[bytes, bool], str] = {}
        self.comparisons = 0
        try:
            self.not_before = self.loaded.not_valid_before_utc
            self.not_after = self.loaded.not_valid_after_utc
        except UNREADABLE as error:
            raise BadInput("certificate", f"its dates cannot be read ({error})", LOOK_AT_IT) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Link) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __str__(self) -> str:
        """Short enough to stand in a sentence."""
        try:
            text = self.loaded.subject.rfc4514_string()
        except UNREADABLE:
            return "a certificate whose name cannot be read"
        return printable(text, 80) or "a certificate without name"

    @cached_property
    def to_be_signed(self) -> bytes:
        """As it stands in it: one that was loaded without its extensions gives other bytes."""
        return next(der.parts_of(der.only(self.der, der.SEQUENCE))).whole

    @cached_property
    def fields(self) -> der.Fields:
        return der.fields_of(self.to_be_signed)

    @cached_property
    def subject(self) -> Name:
        return _named(self.fields.subject.whole, lambda: self.loaded.subject)

    @cached_property
    def issuer(self) -> Name:
        return _named(self.fields.issuer.whole, lambda: self.loaded.issuer)

    @cached_property
    def key_facts(self) -> KeyFacts:
        return key_facts(self.loaded, self.fields.subject_public_key_info.content)

    @property
    def key(self) -> Key | None:
        return self.key_facts.key

    @cached_property
    def spki_sha256(self) -> str:
        """Of the bytes as they stand in it where the key cannot be loaded; empty where there are none."""
        try:
            if self.key is None:
                spki = self.fields.subject_public_key_info.whole
            else:
                spki = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except UNREADABLE:
            return ""
        return hashlib.sha256(spki).hexdigest()

    @cached_property
    def extensions(self) -> Extensions:
        return extensions_of(self.der, self.loaded)

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer

    @cached_property
    def is_self_signed(self) -> bool:
        return self.is_self_issued and signed_by(self, self)

    @property
    def is_taken_for_self_signed(self) -> bool:
        """Whether OpenSSL takes it for self-signed (EXFLAG_SS), which asks for names and kinds and no signature.

        Where a CA moves to a key of another kind, its old key signs the new one under one name: that is a link.
        """
        kind = self.loaded.signature_algorithm_oid.dotted_string
        return self.is_self_issued and not self.mismatch(self) and may_make(self.key, kind)

    @property
    def names_one_algorithm(self) -> bool:
        """RFC 5280 4.1.1.2: inside and outside of what is signed stands the same, or another could be put on it."""
        parts = der.parts_of(der.only(self.der, der.SEQUENCE))
        next(parts)
        return self.fields.signature.whole == next(parts).whole

    @cached_property
    def weak_signature(self) -> str:
        try:
            used = self.loaded.signature_hash_algorithm
        except UNREADABLE:
            return "its signature algorithm is not known"
        return f"it is signed with {used.name}" if used is not None and used.name in WEAK_HASHES else ""

    @cached_property
    def unhandled(self) -> str:
        """A critical extension that no client of ours knows, or empty."""
        return next((word(oid) for oid in sorted(self.extensions.critical - _HANDLED)), "")

    @property
    def path_length(self) -> int | None:
        limits = [one.path_length for one in self.extensions.all(x509.BasicConstraints) if one.ca]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def objection(self) -> str:
        """Why it may not issue, by its own words (RFC 5280 6.1.4 (k) and (n)); empty where it may."""
        return self._no_signing or ("" if self._says_ca else "its basicConstraints do not say CA")

    @property
    def objection_as_root(self) -> str:
        """The same of a root: of version 1 it cannot say that it is a CA, and its keyUsage may say it as well."""
        basic = self.extensions.all(x509.BasicConstraints)
        if basic or not (self._is_old or self.extensions.first(x509.KeyUsage)):
            return self.objection
        return self._no_signing

    def mismatch(self, lower: "Link") -> bool:
        """Whether ``lower`` asks by its authorityKeyIdentifier for another issuer (RFC 5280 4.2.1.1).

        By key identifier, serial or issuer, whichever it gives; of several names the first directory name, as
        OpenSSL does (`X509_check_akid`).
        """
        asked = lower.extensions.first(x509.AuthorityKeyIdentifier)
        if asked is None:
            return False
        own = self.extensions.first(x509.SubjectKeyIdentifier)
        if asked.key_identifier is not None and own is not None and asked.key_identifier != own.digest:
            return True
        serial = asked.authority_cert_serial_number
        if serial is not None and serial != self.loaded.serial_number:
            return True
        names = (one.value for one in asked.authority_cert_issuer or () if isinstance(one, x509.DirectoryName))
        return any(_compared(name) != self.issuer for name in islice(names, 1))

    @property
    def _no_signing(self) -> str:
        usages = self.extensions.all(x509.KeyUsage)
        return "its keyUsage lacks keyCertSign" if usages and not all(one.key_cert_sign for one in usages) else ""

    @property
    def _says_ca(self) -> bool:
        return any(one.ca for one in self.extensions.all(x509.BasicConstraints))

    @property
    def _is_old(self) -> bool:
        try:
            return self.loaded.version is x509.Version.v1 and self.is_self_issued
        except UNREADABLE:
            return False


def signed_by(lower: Link, upper: Link) -> bool:
    """Whether the key of ``upper`` made the signature of ``lower``; nothing else is asked."""
    key, loaded = upper.key, lower.loaded
    try:
        if not lower.names_one_algorithm:
            return False
        signed, signature = lower.to_be_signed, loaded.signature
        used, scheme = loaded.signature_hash_algorithm, loaded.signature_algorithm_parameters
        # The library names no scheme for MD5, nor for SHA-1 with ECDSA; weak they are, and yet the issuer's.
        if isinstance(key, rsa.RSAPublicKey) and used:
            key.verify(signature, signed, scheme if isinstance(scheme, padding.PSS) else padding.PKCS1v15(), used)
        elif isinstance(key, ec.EllipticCurvePublicKey) and used:
            key.verify(signature, signed, ec.ECDSA(used))
        elif isinstance(key, dsa.DSAPublicKey) and used:
            key.verify(signature, signed, used)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and used is None:
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


# The names of CAs come again with every leaf; by their bytes, for a loaded name is slow to take apart.
_NAMES: dict[bytes, Name] = {}
MOST_NAMES = 5000


def _named(raw: bytes, load: Callable[[], x509.Name]) -> Name:
    """As OpenSSL compares: letters without case, blanks as one, whatever string type (RFC 5280 7.1)."""
    found = _NAMES.get(raw)
    if found is None:
        try:
            found = _compared(load())
        except UNREADABLE:
            found = (raw,)
        # Looks run in threads: one may empty it while another reads.
        if len(_NAMES) >= MOST_NAMES:
            _NAMES.clear()
        _NAMES[raw] = found
    return found


def _compared(name: x509.Name) -> Name:
    return tuple(tuple(sorted((a.oid.dotted_string, _folded(a.value)) for a in rdn)) for rdn in name.rdns)


def _folded(value: str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else " ".join(value.translate(_LOWER).split())
