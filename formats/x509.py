"""X.509 bytes to domain values.  Everything here was written by strangers: each field is guarded on its own."""

import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from domain.certificate import Algorithm, Certificate, Life, TrustClass
from domain.errors import BadInput
from domain.tiers import Issuer
from formats.other_names import other_names
from formats.paths import MAX_CHAIN, issued_by, path_above
from formats.paths import UNREADABLE as UNREADABLE

# A hostile certificate may carry thousands of names; what is kept must stay small enough for a payload and a row.
MAX_NAMES = 500
MAX_TEXT = 1000

# Odd certificates are what we look for: what the library says of one is no news for a log, and comes at every look.
# Once and for all, because a filter set around each reading is not safe between threads.  Once a release refuses a
# serial that is not positive (RFC 5280 4.1.2.2) instead of warning, its certificate is kept as unreadable, like others.
warnings.filterwarnings("ignore", module=r"formats\.(x509|bundle|paths)$")
warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")

T = TypeVar("T")


def fingerprint_of(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def parse_certificate(der: bytes) -> Certificate:
    """The facts of one certificate.  Raises BadInput where not even its dates can be read."""
    loaded = _load(der)
    try:
        not_before, not_after = loaded.not_valid_before_utc, loaded.not_valid_after_utc
        serial = format(loaded.serial_number, "x")
    except UNREADABLE as error:
        raise BadInput("certificate", f"its dates or serial cannot be read ({error})", _REMEDY) from error
    subject = _guarded(lambda: _clean(loaded.subject.rfc4514_string()), "")
    issuer = _guarded(lambda: _clean(loaded.issuer.rfc4514_string()), "")
    no_key: tuple[Algorithm, int] = ("other", 0)
    algorithm, bits = _guarded(lambda: _key_of(loaded), no_key)
    return Certificate(
        fingerprint=fingerprint_of(der),
        subject=subject,
        issuer=issuer,
        serial=serial,
        names=_names_of(loaded),
        not_before=not_before,
        not_after=not_after,
        algorithm=algorithm,
        key_bits=bits,
        signature_hash=_guarded(lambda: _signature_hash(loaded), ""),
        spki_sha256=_guarded(lambda: _spki(loaded), ""),
        extended_key_usages=_guarded(lambda: _usages_of(loaded), ()),
        is_ca=_guarded(lambda: _is_ca(loaded), False),
        is_self_signed=issued_by(loaded, loaded),
        other_names=_guarded(lambda: tuple(map(_clean, other_names(loaded))), ("of a kind that cannot be read",)),
    )


def load_pem_chain(data: bytes) -> tuple[bytes, ...]:
    """The DER of every certificate in ``data``, in its order.  Other PEM blocks are skipped.  Raises BadInput."""
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise BadInput("chain", "holds no certificate", "Give PEM: -----BEGIN CERTIFICATE-----, leaf first.")
    try:
        return tuple(c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(data))
    except UNREADABLE as error:
        raise BadInput("chain", f"cannot be read ({error})", "Give PEM certificates, leaf first.") from error


def may_issue(der: bytes) -> bool:
    """Whether it says that it is a CA; one of version 1 cannot say so (RFC 5280 4.2.1.9).  Raises BadInput."""
    loaded = _load(der)
    return _guarded(lambda: loaded.version is x509.Version.v1, False) or _guarded(lambda: _is_ca(loaded), False)


def pem_of(chain: Iterable[bytes]) -> bytes:
    """``chain`` (DER, leaf first) as PEM."""
    return b"".join(_load(der).public_bytes(Encoding.PEM) for der in chain)


def life_of(chain: Sequence[bytes], issuers: Sequence[Issuer]) -> Life:
    """What a lifecycle must know of the leaf of ``chain`` (DER as served, leaf first).

    E is the earliest ``not_after`` on the path below the root: of the leaf and of every certificate of ``chain`` that
    really stands above it, in whatever order they are served; self-signed ones above the leaf left out.
    """
    if not chain:
        raise BadInput("chain", "is empty", "Give the leaf first.")
    leaf = parse_certificate(chain[0])
    return Life(
        fingerprint=leaf.fingerprint,
        names=leaf.names,
        not_before=leaf.not_before,
        ends_at=min(_ends_on_path(chain, leaf)),
        algorithm=leaf.algorithm,
        key_bits=leaf.key_bits,
        trust_class=trust_class_of(chain[0], leaf, issuers),
        issuer=leaf.issuer,
        serial=leaf.serial,
        extended_key_usages=leaf.extended_key_usages,
        is_ca=leaf.is_ca,
        other_names=leaf.other_names,
    )


def trust_class_of(der: bytes, leaf: Certificate, issuers: Sequence[Issuer]) -> TrustClass:
    """Self-signed by its signature; else what the policy's issuers recognise.

    An issuer that nobody recognises is public when the certificate carries signed certificate timestamps
    (RFC 6962 3.3: only CAs that browsers trust embed them), else private.
    """
    if leaf.is_self_signed:
        return TrustClass.SELF_SIGNED
    known = issuer_of(leaf.issuer, issuers)
    if known is not None:
        return known.trust_class
    timestamps = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
    has_timestamps = _guarded(lambda: bool(_load(der).extensions.get_extension_for_oid(timestamps)), False)
    return TrustClass.PUBLIC if has_timestamps else TrustClass.PRIVATE


def issuer_of(distinguished_name: str, issuers: Sequence[Issuer]) -> Issuer | None:
    """The first issuer of the policy that recognises ``distinguished_name`` (without regard to case)."""
    wanted = distinguished_name.lower()
    return next((i for i in issuers if any(fnmatchcase(wanted, glob.lower()) for glob in i.recognise)), None)


def is_chain_whole(chain: Sequence[bytes], anchors: Sequence[bytes] = ()) -> bool:
    """Every certificate of ``chain`` is directly issued by the next one, and the last leads somewhere.

    A lone leaf must be self-signed or issued by one of ``anchors`` (DER).  A longer chain may leave its root out, as
    servers do (RFC 8446 4.4.2), whether or not we know that root.
    """
    try:
        loaded = [_load(der) for der in chain[:MAX_CHAIN]]
    except BadInput:
        return False
    if not loaded or len(chain) > MAX_CHAIN:
        return False
    if not all(issued_by(lower, upper) for lower, upper in itertools.pairwise(loaded)):
        return False
    last = loaded[-1]
    return len(loaded) > 1 or issued_by(last, last) or any(issued_by(last, _load(a)) for a in anchors)


def in_path_order(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """The leaf of ``chain`` (DER, leaf first) and what really stands above it, the nearest first.  Raises BadInput."""
    leaf = _load(chain[0])
    above = path_above([leaf, *_readable(chain[1:MAX_CHAIN])])
    return chain[0], *(one.public_bytes(Encoding.DER) for one in above)


def is_out_of_order(chain: Sequence[bytes], anchors: Sequence[bytes] = ()) -> bool:
    """Not whole as it is served, though everything that it needs is there: strict clients refuse it."""
    try:
        return not is_chain_whole(chain, anchors) and is_chain_whole(in_path_order(chain), anchors)
    except BadInput:
        return False


def brings_a_strange_root(chain: Sequence[bytes], anchors: Sequence[bytes]) -> bool:
    """Whether ``chain`` (DER) ends in a root of its own above the leaf, and none of ``anchors`` stands behind that.

    Without any anchor nothing can be said: then no root is strange.
    """
    if len(chain) < 2 or not anchors:
        return False
    try:
        last = _load(chain[-1])
        return issued_by(last, last) and not any(issued_by(last, _load(anchor)) for anchor in anchors)
    except BadInput:
        return False


def is_root_known(chain: Sequence[bytes], anchors: Sequence[bytes], trust: TrustClass) -> bool:
    """Whether a whole ``chain`` (DER) of class ``trust`` may be anybody's: of a private one, one of ``anchors`` must
    stand behind it, where there are any.  Public ones are not for our roots to judge; self-signed ones are their own.
    """
    if trust is not TrustClass.PRIVATE or not anchors:
        return True
    return any(issued_by(_load(chain[-1]), _load(anchor)) for anchor in anchors)


_REMEDY = "The bytes are kept; look at them with `openssl x509 -inform der -text`."


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE as error:
        raise BadInput("certificate", f"is not readable X.509 ({error})", _REMEDY) from error


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except UNREADABLE:
        return otherwise


def _clean(text: str) -> str:
    """Printable, bounded and still to be recognised: PostgreSQL refuses NUL, and a terminal must not obey a subject."""
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in text[:MAX_TEXT])


def _names_of(loaded: x509.Certificate) -> tuple[str, ...]:
    nothing: tuple[str, ...] = ()
    names = _guarded(lambda: _alternative_names(loaded), nothing)
    if not names:
        names = _guarded(lambda: _common_names(loaded), nothing)
    return tuple(sorted({_clean(name.strip().lower()) for name in names} - {""}))[:MAX_NAMES]


def _alternative_names(loaded: x509.Certificate) -> tuple[str, ...]:
    san = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        *san.get_values_for_type(x509.DNSName),
        *(str(address) for address in san.get_values_for_type(x509.IPAddress)),
        *san.get_values_for_type(x509.RFC822Name),
    )


def _common_names(loaded: x509.Certificate) -> tuple[str, ...]:
    return tuple(str(a.value) for a in loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _key_of(loaded: x509.Certificate) -> tuple[Algorithm, int]:
    key = loaded.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ecdsa", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return "other", 0


def _signature_hash(loaded: x509.Certificate) -> str:
    used = loaded.signature_hash_algorithm
    return used.name if used else ""


def _spki(loaded: x509.Certificate) -> str:
    public = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _usages_of(loaded: x509.Certificate) -> tuple[str, ...]:
    usages = loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return tuple(sorted({usage.dotted_string for usage in usages}))


def _is_ca(loaded: x509.Certificate) -> bool:
    return loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def _ends_on_path(chain: Sequence[bytes], leaf: Certificate) -> list[datetime]:
    ends = [leaf.not_after]
    for upper in path_above(_readable(chain)):
        end = _end_of(upper)
        if end is not None and not issued_by(upper, upper):
            ends.append(end)
    return ends


def _end_of(upper: x509.Certificate) -> datetime | None:
    """What cannot be read above the leaf cannot shorten its life; the chain is a finding of its own."""
    return _guarded(lambda: upper.not_valid_after_utc, None)


def _readable(chain: Sequence[bytes]) -> list[x509.Certificate]:
    found = []
    for der in chain[:MAX_CHAIN]:
        try:
            found.append(_load(der))
        except BadInput:
            continue
    return found
