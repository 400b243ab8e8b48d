"""The policy: the versioned table that a security head reads and signs."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from domain.certificate import Algorithm, TrustClass
from domain.retention import KEPT, Retention

# Every lead time is written for lives of this length or more and shrinks with shorter ones (DESIGN rule 1).
FULL_LIFE = timedelta(days=180)


# Apple refuses servers that live longer, whoever issued them (since July 2019); a policy may say otherwise.
LONGEST_PRIVATE = timedelta(days=825)


class Tier(StrEnum):
    CUSTOMER_FACING = "customer-facing"
    NETWORK_CRITICAL = "network-critical"
    INTERNAL = "internal"


class Role(StrEnum):
    """What a person or a machine may do; see the table of roles in the README."""

    NOC = "noc"
    OPERATOR = "operator"
    SECURITY_HEAD = "security-head"
    AUTOMATION = "automation"
    AUDITOR = "auditor"
    ADMIN = "admin"


# Whom a rung reaches: the certificate's owner, or the head of IT security.
Audience = Literal["owner", "security-head"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: fires ``lead`` (unscaled) before E, to ``to``."""

    lead: timedelta
    to: Audience


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """Lead times before E, unscaled.  ``asks``: a person must approve before an order is placed.

    ``issues``: when the order is placed without asking (internal), or the latest date to which an approver may hold.
    ``rungs`` fall strictly; the first that reaches the security head is the escalation.
    """

    tier: Tier
    opens: timedelta
    issues: timedelta
    asks: bool
    rungs: tuple[Rung, ...]
    retry_failures: int = 3
    retry_for: timedelta = timedelta(hours=24)

    @property
    def escalates(self) -> timedelta:
        """The mark at which the head of IT security is reached."""
        return next(rung.lead for rung in self.rungs if rung.to == "security-head")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is told or asked.  ``id`` is a pseudonym that may stand in events; ``email`` never does."""

    id: str
    name: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class Owner:
    """A team that answers for certificates.  ``contact``: a person's id; ``outside``: on customer premises."""

    id: str
    contact: str
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What fails when the certificate does.  ``subscribers``: how many people are hit."""

    id: str
    owner: str
    subscribers: int = 0


@dataclass(frozen=True, slots=True)
class Matcher:
    """All given fields must match; each field matches if one of its values does.

    ``names``: globs over the certificate's names (``*`` crosses dots); ``hosts``: CIDRs of the endpoint;
    ``paths``: globs over file paths; ``issuers``: globs over the issuer's distinguished name.
    """

    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    issuers: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """``when`` it matches, the certificate belongs to ``tier`` and ``service``; the first rule that matches wins."""

    name: str
    when: Matcher
    tier: Tier
    service: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that may be asked.  ``recognise``: globs over issuer DNs of certificates that it made.

    ``price_per_year``: what one certificate costs a year, in ``currency`` units; ``label`` is shown wherever it is.
    ``roots``: PEM of the CAs that are this issuer, where the policy names them; they are among the policy's too.
    """

    name: str
    kind: Literal["private-ca", "manual"]
    trust_class: TrustClass
    recognise: tuple[str, ...]
    price_per_year: int = 0
    currency: str = "INR"
    label: str = ""
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renewal:
    """How certificates that match are renewed: by which issuer, under which profile.  The first match wins."""

    when: Matcher
    issuer: str
    profile: str


@dataclass(frozen=True, slots=True)
class TargetRule:
    """How the endpoints that match are served: a template for their deployment target.

    ``chain``, ``key`` and ``reload`` may hold {address} {port} {sni} {algorithm} {path}; no shell reads ``reload``.
    """

    name: str
    when: Matcher
    kind: Literal["file"]
    chain: str
    key: str
    reload: tuple[str, ...] = ()
    owner: str = ""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Scope:
    """Where discovery may look, and nowhere else.

    ``names``: ``name`` is looked up in DNS and, where that knows nothing, sent as SNI to every live endpoint of the
    scope; ``name@address`` is sent to that address alone.  ``paths``: globs of PEM files.
    """

    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What a CA may sign under this name.  ``usages``: "server", "client" or both."""

    name: str
    validity: timedelta
    usages: tuple[Literal["server", "client"], ...] = ("server",)
    algorithms: tuple[Algorithm, ...] = ("rsa", "ecdsa")
    permitted_names: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole table.  ``version``: ``sha256:`` and the hash of the file's bytes.

    ``changed_by``: the id of who changed it last, where it says so.

    ``longest_private``: how long a certificate of a private CA may live before that is a finding.

    ``retention``: how long what can be forgotten is kept.

    ``ntp``: host or host:port of a time server, the third witness of our clocks; empty: none.
    """

    version: str
    tiers: tuple[TierPolicy, ...]
    people: tuple[Person, ...]
    owners: tuple[Owner, ...]
    services: tuple[Service, ...]
    rules: tuple[Rule, ...]
    issuers: tuple[Issuer, ...]
    profiles: tuple[Profile, ...]
    renewals: tuple[Renewal, ...]
    targets: tuple[TargetRule, ...]
    scope: Scope
    roots: tuple[str, ...] = ()
    longest_private: timedelta = LONGEST_PRIVATE
    changed_by: str = ""
    retention: Retention = KEPT
    ntp: str = ""

    def tier(self, tier: Tier) -> TierPolicy:
        return next(row for row in self.tiers if row.tier is tier)


DEFAULT_TIERS: tuple[TierPolicy, ...] = (
    *(
        TierPolicy(
            tier=tier,
            opens=timedelta(days=90),
            issues=timedelta(days=60),
            asks=True,
            rungs=tuple(Rung(timedelta(days=days), "security-head") for days in (30, 21, 14, 7, 3, 1)),
        )
        for tier in (Tier.CUSTOMER_FACING, Tier.NETWORK_CRITICAL)
    ),
    TierPolicy(
        tier=Tier.INTERNAL,
        opens=timedelta(days=60),
        issues=timedelta(days=60),
        asks=False,
        rungs=tuple(Rung(timedelta(days=days), "security-head") for days in (14, 7, 3, 1)),
    ),
)
