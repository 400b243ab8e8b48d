"""What is wrong with what was seen, and how bad each finding is (X.733 words; the defaults of the look)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from domain.certificate import Certificate, TrustClass, lacks_names
from domain.classify import Placement
from domain.objections import ANY_USE, LEAST_BITS, WEAK_HASHES
from domain.paths import Path, Reason, reason_of
from domain.profiles import USAGE_OIDS
from domain.tiers import LONGEST_PRIVATE

CLIENT_AUTH = USAGE_OIDS["client"]
# Chrome Root Program policy 1.8: leaves issued from then on are for serverAuth alone.  Some CAs ended it before.
CLIENT_AUTH_ENDS = datetime(2027, 3, 15, tzinfo=UTC)
# CA/B Forum BR 6.3.2 (ballots 193, SC31 and SC-081v3): how long a public certificate may live, by the day from which
# it is issued.  Older ones keep the limit of their day.
LONGEST_PUBLIC = (
    (datetime(2029, 3, 15, tzinfo=UTC), timedelta(days=47)),
    (datetime(2027, 3, 15, tzinfo=UTC), timedelta(days=100)),
    (datetime(2026, 3, 15, tzinfo=UTC), timedelta(days=200)),
    (datetime(2020, 9, 1, tzinfo=UTC), timedelta(days=398)),
    (datetime.min.replace(tzinfo=UTC), timedelta(days=825)),
)
# BR 6.3.2 counts the first and the last second of a certificate's life, RFC 5280 4.1.2.5 writes both down.
LAST_SECOND = timedelta(seconds=1)


class Severity(StrEnum):
    """ITU-T X.733 perceived severities."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"
    CLEARED = "cleared"

    @property
    def rank(self) -> int:
        """0 critical .. 4 cleared, so that severity sorts."""
        return list(Severity).index(self)


class Kind(StrEnum):
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WEAK_KEY = "weak key"
    WEAK_SIGNATURE = "weak signature"
    WRONG_NAME = "wrong name"
    MISSING_SAN = "missing SAN"
    EXPIRED_ISSUER = "expired issuer"
    BROKEN_CHAIN = "broken chain"
    UNTIDY_CHAIN = "untidy chain"
    UNKNOWN_ROOT = "unknown root"
    NO_OWNER = "no owner"
    PUBLIC_CLIENT_AUTH = "public clientAuth"
    TOO_LONG_LIVED = "too long-lived"
    SHARED_KEY = "shared key"
    UNPLACED = "unplaced"
    NAMES_CHANGED = "names changed"
    UNREADABLE = "unreadable"
    MALFORMED = "malformed"
    MISSED = "missed"
    TOO_MANY_PLACES = "too many places"


# What clients refuse today is major, or critical where its time is over; what is not here is a warning.  Lifecycles
# write what they find with hyphens; the last four only they find.
_SEVERITIES = {
    "expired": Severity.CRITICAL,
    "expired issuer": Severity.CRITICAL,
    "not yet valid": Severity.MAJOR,
    "wrong name": Severity.MAJOR,
    "missing SAN": Severity.MAJOR,
    "broken chain": Severity.MAJOR,
    "foreign certificate": Severity.MAJOR,
    "weak key": Severity.MINOR,
    "weak signature": Severity.MINOR,
    "unreadable": Severity.MINOR,
    "no owner": Severity.MINOR,
    "unplaced": Severity.MINOR,
    "names changed": Severity.MINOR,
    "too many places": Severity.MAJOR,
    "rolled back": Severity.MAJOR,
    "not served": Severity.MAJOR,
    "drift": Severity.MAJOR,
    "unseen": Severity.MINOR,
    "taken place": Severity.MINOR,
    "clock": Severity.MAJOR,
}


def severity_of_kind(kind: str) -> Severity:
    """Of a finding of ``kind``, in either spelling."""
    return _SEVERITIES.get(kind.replace("-", " "), Severity.WARNING)


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    detail: str

    @property
    def severity(self) -> Severity:
        return severity_of_kind(self.kind)


@dataclass(frozen=True, slots=True)
class Subject:
    """One certificate as seen at one place.

    ``asked``: the names that were asked for there; ``path``: of the chain as it is served there, None where nothing
    is known of it; ``sharers``: how many other certificates have its key; ``longest_private``: how long a private
    certificate may live under the policy.
    """

    certificate: Certificate
    asked: tuple[str, ...]
    trust_class: TrustClass
    placement: Placement
    path: Path | None = None
    sharers: int = 0
    longest_private: timedelta = LONGEST_PRIVATE


def findings_of(subject: Subject, now: datetime) -> tuple[Finding, ...]:
    """Everything wrong with one certificate at one place: at most one finding of a kind, in the order of ``Kind``."""
    leaf = subject.certificate
    found = [
        *_of_dates(leaf, now),
        *_of_strength(leaf),
        *_of_names(subject),
        *_of_path(subject.path),
        *_of_use(subject),
        *_of_place(subject),
    ]
    found += [Finding(Kind.MALFORMED, flaw) for flaw in leaf.flaws]
    return _one_of_a_kind(found)


def _one_of_a_kind(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """A leaf and its issuer may both be weak; a place has one finding of each kind, with all that is said of it."""
    told: dict[Kind, list[str]] = {}
    for finding in found:
        told.setdefault(finding.kind, []).append(finding.detail)
    return tuple(Finding(kind, "; ".join(told[kind])) for kind in Kind if kind in told)


def longest_public(not_before: datetime) -> timedelta:
    """How long a public certificate that begins then may live, both its first and its last second counted."""
    return next(longest for since, longest in LONGEST_PUBLIC if not_before >= since)


def covers(names: Sequence[str], name: str) -> bool:
    """``name`` is one of ``names``, or one label below a wildcard that is the whole first label of one of them.

    RFC 9525 6.3: without regard to case; an address only itself, however it is written, and never by a wildcard.
    """
    wanted = name.lower().removesuffix(".")
    try:
        address = str(ip_address(wanted))
    except ValueError:
        parent = wanted.partition(".")[2]
        return wanted in names or (bool(parent) and f"*.{parent}" in names)
    return address in names


def true_names(leaf: Certificate) -> tuple[str, ...]:
    """The names by which a client of today may know ``leaf``: of its SAN alone, addresses as addresses."""
    return tuple(name for name in leaf.names if name not in leaf.false_names)


def _of_dates(leaf: Certificate, now: datetime) -> Iterator[Finding]:
    if leaf.not_after <= now:
        yield Finding(Kind.EXPIRED, f"ended at {leaf.not_after.isoformat()}")
    if leaf.not_before > now:
        told = f"begins only at {leaf.not_before.isoformat()}, and clients refuse it until then"
        yield Finding(Kind.NOT_YET_VALID, told)


def _of_strength(leaf: Certificate) -> Iterator[Finding]:
    if leaf.key_flaw:
        yield Finding(Kind.WEAK_KEY, leaf.key_flaw)
    elif leaf.key_bits < LEAST_BITS.get(leaf.algorithm, 0):
        yield Finding(Kind.WEAK_KEY, f"{leaf.algorithm} of {leaf.key_bits} bits")
    if leaf.signature_hash in WEAK_HASHES:
        yield Finding(Kind.WEAK_SIGNATURE, f"signed with {leaf.signature_hash}")


def _of_names(subject: Subject) -> Iterator[Finding]:
    leaf, names = subject.certificate, true_names(subject.certificate)
    wanted = next((name for name in subject.asked if not covers(names, name)), None)
    if wanted is not None and not lacks_names(leaf.other_names):
        got = ", ".join(names[:3]) or "no name"
        common = "; its common name is none to a client of today (RFC 9525)" if covers(leaf.false_names, wanted) else ""
        yield Finding(Kind.WRONG_NAME, f"asked for {wanted}, got {got}{common}")
    if not leaf.is_ca and _is_for_servers(leaf) and not any(map(_is_of_a_host, names)):
        yield Finding(Kind.MISSING_SAN, _without_host((*names, *leaf.other_names)))


def _is_of_a_host(name: str) -> bool:
    """Of the names that are kept apart from ``other_names``, mail addresses alone are of none."""
    return "@" not in name


def _without_host(held: Sequence[str]) -> str:
    """RFC 9525 6: whoever asks for a host goes by DNS names and addresses, and by nothing else that a SAN may hold."""
    if not held:
        return "no subjectAltName that clients could match: Go, Python and browsers refuse it"
    some = ", ".join(held[:3])
    return f"its subjectAltName holds no DNS name and no address, only {some}: whoever asks for a host refuses it"


def _is_for_servers(leaf: Certificate) -> bool:
    """By its own words: without the extension it is for any use (RFC 5280 4.2.1.12)."""
    usages = leaf.extended_key_usages
    return not usages or USAGE_OIDS["server"] in usages or ANY_USE in usages


# As what the fault of a path is told; what is not here breaks the chain.
_KINDS = {
    Reason.EXPIRED: Kind.EXPIRED_ISSUER,
    Reason.NOT_YET_VALID: Kind.NOT_YET_VALID,
    Reason.WEAK_SIGNATURE: Kind.WEAK_SIGNATURE,
    Reason.WEAK_KEY: Kind.WEAK_KEY,
}


def _of_path(path: Path | None) -> Iterator[Finding]:
    """What stands above the leaf; its own dates and strength are findings of their own."""
    if path is None:
        return
    if path.flaw:
        yield Finding(_KINDS.get(reason_of(path.flaw), Kind.BROKEN_CHAIN), path.flaw)
    if path.is_out_of_order:
        told = "the served chain is out of order: clients that go from one to the next refuse it"
        yield Finding(Kind.UNTIDY_CHAIN, told)
    if path.superfluous:
        yield Finding(Kind.UNTIDY_CHAIN, f"the served chain holds {path.superfluous}: serve it no more")
    if path.has_strange_root:
        yield Finding(Kind.UNKNOWN_ROOT, "the served chain ends in a root that the policy does not name")


def _of_use(subject: Subject) -> Iterator[Finding]:
    leaf = subject.certificate
    if subject.trust_class is TrustClass.PUBLIC and CLIENT_AUTH in leaf.extended_key_usages:
        told = f"public CAs issue no clientAuth from {CLIENT_AUTH_ENDS:%d %B %Y} on; move it to the private CA"
        yield Finding(Kind.PUBLIC_CLIENT_AUTH, told)
    longest = _longest(subject)
    if longest is not None and not leaf.is_ca and leaf.lifetime + LAST_SECOND > longest + _GRACE[subject.trust_class]:
        told = f"lives {leaf.lifetime / timedelta(days=1):.6g} days; {longest.days} are allowed"
        yield Finding(Kind.TOO_LONG_LIVED, f"{told} to one of {leaf.not_before:%d %b %Y}")


# Nobody but public CAs counts the last second: 825 days from one midnight to another are 825 in a private one.
_GRACE = {TrustClass.PUBLIC: timedelta(), TrustClass.PRIVATE: LAST_SECOND}


def _longest(subject: Subject) -> timedelta | None:
    """None where nobody limits it: a self-signed one is trusted by name, for as long as somebody likes."""
    if subject.trust_class is TrustClass.SELF_SIGNED:
        return None
    is_public = subject.trust_class is TrustClass.PUBLIC
    return longest_public(subject.certificate.not_before) if is_public else subject.longest_private


def _of_place(subject: Subject) -> Iterator[Finding]:
    if subject.sharers:
        yield Finding(Kind.SHARED_KEY, f"its key serves {subject.sharers} more certificate(s)")
    if not subject.placement.placed:
        yield Finding(Kind.UNPLACED, subject.placement.reason)
    elif not subject.placement.owner:
        yield Finding(Kind.NO_OWNER, f"nobody owns service {subject.placement.service}")
