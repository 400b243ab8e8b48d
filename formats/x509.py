"""X.509 bytes to domain values.  Everything here was written by strangers: each field is guarded on its own."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from ssl import DER_cert_to_PEM_cert
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from domain.certificate import LEFT_OUT, Certificate, Life, TrustClass, life_from
from domain.errors import BadInput
from domain.paths import Path
from domain.tiers import Issuer
from formats.extensions import UNREAD_SAN, Extensions
from formats.extensions import UNREADABLE as UNREADABLE
from formats.links import LOOK_AT_IT, Link, printable
from formats.other_names import other_names
from formats.paths import PathBuilder
from formats.pem import load_pem_chain as load_pem_chain

# A hostile certificate may carry thousands of names; what is kept must stay small enough for a payload and a row.
MAX_NAMES = 500
MAX_TEXT = 1000
MAX_FLAWS = 20
MAX_USAGES, MAX_USAGE = 100, 64
# Hex digits: the twenty octets that RFC 5280 allows, and a sign.
MAX_SERIAL = 42

# Odd certificates are what we look for: what the library says of one is no news for a log, and comes at every look.
# Once and for all, because a filter set around each reading is not safe between threads.  Once a release refuses a
# serial that is not positive (RFC 5280 4.1.2.2) instead of warning, its certificate is kept as unreadable, like others.
warnings.filterwarnings("ignore", module=r"formats\.")
warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")

_TIMESTAMPS = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS.dotted_string

T = TypeVar("T")


def fingerprint_of(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def parse_certificate(der: bytes) -> Certificate:
    """The facts of one certificate.  Raises BadInput where not even its dates can be read.

    What else cannot be read is left out and told by ``flaws``; nothing that is odd hides anything else.
    """
    link = Link(der)
    read = _Reader()
    try:
        serial = format(link.loaded.serial_number, "x")
    except UNREADABLE as error:
        raise BadInput("certificate", f"its serial cannot be read ({error})", LOOK_AT_IT) from error
    if len(serial) > MAX_SERIAL:
        read.flaws.append(f"its serial has {len(serial) // 2} octets (RFC 5280 4.1.2.2: 20 at most)")
        serial = serial[:MAX_SERIAL]
    subject = read("subject", lambda: _clean(link.loaded.subject.rfc4514_string()), "")
    issuer = read("issuer", lambda: _clean(link.loaded.issuer.rfc4514_string()), "")
    names, false_names = _names_of(link, read)
    return Certificate(
        fingerprint=fingerprint_of(der),
        subject=subject,
        issuer=issuer,
        serial=serial,
        names=names,
        not_before=link.not_before,
        not_after=link.not_after,
        algorithm=link.key_facts.algorithm,
        key_bits=link.key_facts.bits,
        signature_hash=read("signature algorithm", lambda: _signature_hash(link.loaded), ""),
        spki_sha256=link.spki_sha256,
        extended_key_usages=_usages_of(link.extensions),
        is_ca=any(one.ca for one in link.extensions.all(x509.BasicConstraints)),
        is_self_signed=link.is_self_signed,
        other_names=_other_names(link.extensions, read.left_out),
        false_names=false_names,
        key_flaw=_clean(link.key_facts.flaw),
        flaws=tuple(map(_clean, dict.fromkeys((*link.extensions.flaws, *read.flaws))))[:MAX_FLAWS],
    )


def may_issue(der: bytes) -> bool:
    """Whether it says that it is a CA; one of version 1 cannot say so (RFC 5280 4.2.1.9).  Raises BadInput."""
    link = Link(der)
    is_old = _guarded(lambda: link.loaded.version is x509.Version.v1, False)
    return is_old or any(one.ca for one in link.extensions.all(x509.BasicConstraints))


def pem_of(chain: Iterable[bytes]) -> bytes:
    """``chain`` (DER, leaf first) as PEM."""
    return "".join(map(DER_cert_to_PEM_cert, chain)).encode()


def life_of(der: bytes, issuers: Sequence[Issuer], path: Path) -> Life:
    """What a lifecycle must know of the leaf ``der``.  E and the issuer's key are those of ``path``.

    Whoever asks builds the path, below the roots of the policy: without them an ended cross-certificate of one of
    them reads as the end of the leaf.
    """
    leaf = parse_certificate(der)
    return life_from(leaf, trust_class_of(der, leaf, issuers), path.ends_at, path.issuer_spki)


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
    has_timestamps = _TIMESTAMPS in Link(der).extensions.present
    return TrustClass.PUBLIC if has_timestamps else TrustClass.PRIVATE


def issuer_of(distinguished_name: str, issuers: Sequence[Issuer]) -> Issuer | None:
    """The first issuer of the policy that recognises ``distinguished_name`` (without regard to case)."""
    wanted = distinguished_name.lower()
    return next((i for i in issuers if any(fnmatchcase(wanted, glob.lower()) for glob in i.recognise)), None)


def in_path_order(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """The leaf of ``chain`` (DER, leaf first) and what really stands above it, the nearest first.  Raises BadInput."""
    return PathBuilder().ways(chain).row()


class _Reader:
    """Reads one field after another; what cannot be read is a flaw and hides no other."""

    def __init__(self) -> None:
        self.flaws: list[str] = []
        # Names that there is no room for.
        self.left_out = 0

    def __call__(self, field: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except UNREADABLE:
            self.flaws.append(f"its {field} cannot be read")
            return otherwise


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except UNREADABLE:
        return otherwise


def _clean(text: str) -> str:
    return printable(text, MAX_TEXT)


def _names_of(link: Link, read: _Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the SAN, or the common name that it goes by without one; and which of them no client takes."""
    sans = link.extensions.all(x509.SubjectAlternativeName)
    nothing: tuple[str, ...] = ()
    found = read("subjectAltName", lambda: tuple(name for san in sans for name in _alternative(san)), nothing)
    names, left_out = _kept(found)
    if left_out:
        read.flaws.append(f"it holds {len(names) + left_out} names, of which {len(names)} are kept")
        read.left_out = left_out
    if not names:
        names, _ = _kept(_guarded(lambda: _common_names(link.loaded), nothing))
        return names, names
    addresses = {name for name in names if _is_address(name)}
    if not addresses:
        return names, ()
    true = {str(one) for san in sans for one in san.get_values_for_type(x509.IPAddress)}
    return names, tuple(sorted(addresses - true))


def _kept(names: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The first of them, sorted; and how many there are beside them."""
    every = sorted({_clean(name.strip().lower()) for name in names} - {""})
    return tuple(every[:MAX_NAMES]), max(0, len(every) - MAX_NAMES)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _alternative(san: x509.SubjectAlternativeName) -> tuple[str, ...]:
    return (
        *san.get_values_for_type(x509.DNSName),
        *(str(address) for address in san.get_values_for_type(x509.IPAddress)),
        *san.get_values_for_type(x509.RFC822Name),
    )


def _other_names(extensions: Extensions, left_out: int) -> tuple[str, ...]:
    """A name that cannot be read, or that there is no room for, would be lost as well as one that cannot be ordered.

    ``left_out``: so many names that could be ordered.
    """
    unread = ("of a kind that cannot be read",)
    try:
        found = tuple(map(_clean, other_names(extensions.all(x509.SubjectAlternativeName))))
    except UNREADABLE:
        return unread
    kept = found[:MAX_NAMES]
    left_out += len(found) - len(kept)
    told = (f"{left_out} {LEFT_OUT}",) if left_out else ()
    return (*kept, *told, *(unread if UNREAD_SAN in extensions.flaws else ()))


def _common_names(loaded: x509.Certificate) -> tuple[str, ...]:
    return tuple(str(a.value) for a in loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _signature_hash(loaded: x509.Certificate) -> str:
    used = loaded.signature_hash_algorithm
    return used.name if used else ""


def _usages_of(extensions: Extensions) -> tuple[str, ...]:
    every = {usage.dotted_string for one in extensions.all(x509.ExtendedKeyUsage) for usage in one}
    # A hundred of 64 characters; nobody has a use for more, and whoever writes so many wants something else.
    return tuple(sorted(usage[:MAX_USAGE] for usage in every))[:MAX_USAGES]
