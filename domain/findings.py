"""What is wrong with what was seen, and how bad things stand (X.733 words; the defaults of the look)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from domain.certificate import Certificate, TrustClass
from domain.classify import Placement
from domain.objections import LEAST_BITS
from domain.tiers import FULL_LIFE

CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
# CA/B Forum BR 6.3.2 (until 15 Mar 2026; later limits are shorter, and what is longer was issued before them).
LONGEST_PUBLIC = timedelta(days=398)
# Within a week of the end, a duty week of people is the last chance.
CRITICAL_BEFORE_END = timedelta(days=7)
WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})


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
    BROKEN_CHAIN = "broken chain"
    UNKNOWN_ROOT = "unknown root"
    NO_OWNER = "no owner"
    PUBLIC_CLIENT_AUTH = "public clientAuth"
    TOO_LONG_LIVED = "too long-lived"
    SHARED_KEY = "shared key"
    UNPLACED = "unplaced"
    FOREIGN = "foreign certificate"
    NAMES_CHANGED = "names changed"
    UNREADABLE = "unreadable"
    MISSED = "missed"


# What is not here is a warning.  Lifecycles write what they find with hyphens; the last four only they find.
_SEVERITIES = {
    "expired": Severity.CRITICAL,
    "not yet valid": Severity.MAJOR,
    "foreign certificate": Severity.MAJOR,
    "no owner": Severity.MINOR,
    "unplaced": Severity.MINOR,
    "names changed": Severity.MINOR,
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
class Standing:
    """What the severity of a managed certificate depends on.  ``escalates``: the unscaled mark of its tier."""

    not_before: datetime
    ends_at: datetime
    escalates: timedelta
    is_replacement_verified: bool = False
    is_broken: bool = False
    needs_person: bool = False
    has_findings: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One certificate as seen at one place.

    ``asked``: the names that were asked for there; ``sharers``: how many other certificates have its key;
    ``is_out_of_order``: what makes the chain whole is there, elsewhere than it belongs;
    ``is_root_strange``: the chain ends in a root of its own that nobody named.
    """

    certificate: Certificate
    asked: tuple[str, ...]
    trust_class: TrustClass
    placement: Placement
    is_chain_whole: bool = True
    is_out_of_order: bool = False
    is_root_strange: bool = False
    sharers: int = 0


def severity_of(standing: Standing, now: datetime) -> Severity:
    """How bad it stands: the worst of time left, breakage, a person awaited, and findings.

    ``is_broken``: rolled back or drifted.  Marks shrink with the life of the certificate (DESIGN rule 1).
    """
    scale = min(1.0, (standing.ends_at - standing.not_before) / FULL_LIFE)
    left = standing.ends_at - now
    if not standing.is_replacement_verified:
        if left <= CRITICAL_BEFORE_END * scale:
            return Severity.CRITICAL
        if left <= standing.escalates * scale:
            return Severity.MAJOR
    if standing.is_broken:
        return Severity.MAJOR
    if standing.needs_person:
        return Severity.MINOR
    return Severity.WARNING if standing.has_findings else Severity.CLEARED


def findings_of(subject: Subject, now: datetime) -> tuple[Finding, ...]:
    """Everything wrong with one certificate at one place, in the order of ``Kind``."""
    found = (
        *_of_certificate(subject.certificate, subject.trust_class, now),
        *_of_place(subject),
    )
    return tuple(sorted(found, key=lambda finding: list(Kind).index(finding.kind)))


def sharers_of(spki_by_fingerprint: Mapping[str, str]) -> dict[str, int]:
    """For every fingerprint, how many other certificates have the same public key."""
    counts: dict[str, int] = {}
    for spki in spki_by_fingerprint.values():
        counts[spki] = counts.get(spki, 0) + 1
    return {print_: counts[spki] - 1 if spki else 0 for print_, spki in spki_by_fingerprint.items()}


def _of_certificate(leaf: Certificate, trust_class: TrustClass, now: datetime) -> list[Finding]:
    found: list[Finding] = []
    if leaf.not_after <= now:
        found.append(Finding(Kind.EXPIRED, f"ended at {leaf.not_after.isoformat()}"))
    if leaf.not_before > now:
        told = f"begins only at {leaf.not_before.isoformat()}, and clients refuse it until then"
        found.append(Finding(Kind.NOT_YET_VALID, told))
    if leaf.key_bits < LEAST_BITS.get(leaf.algorithm, 0):
        found.append(Finding(Kind.WEAK_KEY, f"{leaf.algorithm} of {leaf.key_bits} bits"))
    if leaf.signature_hash in WEAK_HASHES:
        found.append(Finding(Kind.WEAK_SIGNATURE, f"signed with {leaf.signature_hash}"))
    if trust_class is not TrustClass.PUBLIC:
        return found
    if CLIENT_AUTH in leaf.extended_key_usages:
        told = "browsers' CAs end clientAuth in 2026; move it to the private CA"
        found.append(Finding(Kind.PUBLIC_CLIENT_AUTH, told))
    if leaf.lifetime > LONGEST_PUBLIC:
        told = f"lives {leaf.lifetime.days} days; {LONGEST_PUBLIC.days} are allowed"
        found.append(Finding(Kind.TOO_LONG_LIVED, told))
    return found


def _of_place(subject: Subject) -> list[Finding]:
    found: list[Finding] = []
    wanted = next((name for name in subject.asked if not covers(subject.certificate.names, name)), None)
    if wanted is not None:
        told = f"asked for {wanted}, got {', '.join(subject.certificate.names[:3]) or 'no name'}"
        found.append(Finding(Kind.WRONG_NAME, told))
    if not subject.is_chain_whole:
        gap = "the served chain has a gap, or is a lone leaf of no root that we know"
        order = "the served chain is out of order, or holds what does not belong to it: strict clients refuse it"
        found.append(Finding(Kind.BROKEN_CHAIN, order if subject.is_out_of_order else gap))
    if subject.is_root_strange:
        found.append(Finding(Kind.UNKNOWN_ROOT, "the served chain ends in a root that the policy does not name"))
    if subject.sharers:
        told = f"its key serves {subject.sharers} more certificate(s)"
        found.append(Finding(Kind.SHARED_KEY, told))
    if not subject.placement.placed:
        found.append(Finding(Kind.UNPLACED, subject.placement.reason))
    elif not subject.placement.owner:
        found.append(Finding(Kind.NO_OWNER, f"nobody owns service {subject.placement.service}"))
    return found


def covers(names: Sequence[str], name: str) -> bool:
    """``name`` is one of ``names`` or one label below a wildcard of them (RFC 6125 6.4.3); an address only itself."""
    if name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        parent = name.partition(".")[2]
        return bool(parent) and f"*.{parent}" in names
    return False
