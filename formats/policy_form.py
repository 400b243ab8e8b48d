"""The form of a policy file, part by part, and what its values are in the domain."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.certificate import Algorithm, TrustClass
from domain.retention import KEPT, Retention, written
from domain.tiers import (
    DEFAULT_TIERS,
    LONGEST_PRIVATE,
    Audience,
    Issuer,
    Matcher,
    Owner,
    Person,
    Policy,
    Profile,
    Renewal,
    Role,
    Rule,
    Rung,
    Scope,
    Service,
    TargetRule,
    Tier,
    TierPolicy,
)
from formats.policy_atoms import Duration, Mode, Name, Pems, Printable, Texts, TimeServer, Validity


def _shown(default: str) -> Any:
    """A default as an author would write it: the schema's own spelling of it would be refused by its pattern."""
    return Field(json_schema_extra={"default": default})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rung(_Part):
    lead: Duration
    to: Audience


class _Tier(_Part):
    tier: Tier
    opens: Duration
    issues: Duration
    asks: bool
    rungs: tuple[_Rung, ...]
    retry_failures: Annotated[int, Field(ge=0, le=100)] = 3
    retry_for: Annotated[Duration, _shown("24h")] = timedelta(hours=24)


class _Person(_Part):
    id: Name
    name: Name
    email: Name
    role: Role


class _Owner(_Part):
    id: Name
    contact: Name
    outside: bool = False


class _Service(_Part):
    id: Name
    owner: Printable = ""
    subscribers: Annotated[int, Field(ge=0)] = 0


class _Matcher(_Part):
    names: Texts = ()
    hosts: Texts = ()
    ports: tuple[int, ...] = ()
    issuers: Texts = ()
    paths: Texts = ()


class _Rule(_Part):
    name: Name
    when: _Matcher
    tier: Tier
    service: Name
    owner: Printable = ""


class _Issuer(_Part):
    name: Name
    kind: Literal["private-ca", "manual"]
    trust_class: TrustClass
    recognise: Texts = ()
    price_per_year: Annotated[int, Field(ge=0)] = 0
    currency: Printable = "INR"
    label: Printable = ""
    roots: Pems = ()


class _Profile(_Part):
    name: Name
    validity: Validity
    usages: tuple[Literal["server", "client"], ...] = ("server",)
    algorithms: tuple[Algorithm, ...] = ("rsa", "ecdsa")
    permitted_names: Texts = ("*",)


class _Renewal(_Part):
    when: _Matcher
    issuer: Name
    profile: Name


class _Target(_Part):
    name: Name
    when: _Matcher
    kind: Literal["file"] = "file"
    chain: Annotated[Printable, Field(min_length=1, max_length=4096)]
    key: Annotated[Printable, Field(min_length=1, max_length=4096)]
    reload: Texts = ()
    owner: Printable = ""
    mode: Mode = 0o600


class _Scope(_Part):
    cidrs: Texts = ()
    ports: tuple[int, ...] = ()
    names: Texts = ()
    paths: Texts = ()


class _Retention(_Part):
    looks: Annotated[Duration, _shown(written(KEPT.looks))] = KEPT.looks
    findings: Annotated[Duration, _shown(written(KEPT.findings))] = KEPT.findings
    deliveries: Annotated[Duration, _shown(written(KEPT.deliveries))] = KEPT.deliveries
    changes: Annotated[Duration, _shown(written(KEPT.changes))] = KEPT.changes
    security_events: Annotated[Duration, _shown(written(KEPT.security_events))] = KEPT.security_events
    requests: Annotated[Duration, _shown(written(KEPT.requests))] = KEPT.requests
    sessions: Annotated[Duration, _shown(written(KEPT.sessions))] = KEPT.sessions


class PolicyFile(_Part):
    """The policy of Everleaf.  Every part is named, also an empty one, and the file ends with the line `...`."""

    # None has a default: a part that was lost must not read as one that is empty.
    tiers: tuple[_Tier, ...]
    people: tuple[_Person, ...]
    owners: tuple[_Owner, ...]
    services: tuple[_Service, ...]
    rules: tuple[_Rule, ...]
    issuers: tuple[_Issuer, ...]
    profiles: tuple[_Profile, ...]
    renewals: tuple[_Renewal, ...]
    targets: tuple[_Target, ...]
    scope: _Scope
    roots: Pems
    longest_private: Annotated[Duration, _shown("825d")] = LONGEST_PRIVATE
    changed_by: Printable = ""
    retention: _Retention = _Retention()
    ntp: TimeServer = ""


# Part -> how it is written where there is nothing to say.
EMPTY: Mapping[str, Any] = {
    name: {} if name == "scope" else [] for name, field in PolicyFile.model_fields.items() if field.is_required()
}


def to_domain(read: PolicyFile, version: str) -> Policy:
    given = tuple(_tier(row) for row in read.tiers)
    named = {row.tier for row in given}
    return Policy(
        version=version,
        tiers=(*given, *(row for row in DEFAULT_TIERS if row.tier not in named)),
        people=tuple(Person(**dict(row)) for row in read.people),
        owners=tuple(Owner(**dict(row)) for row in read.owners),
        services=tuple(Service(**dict(row)) for row in read.services),
        rules=tuple(Rule(r.name, _when(r.when), r.tier, r.service, r.owner) for r in read.rules),
        issuers=tuple(Issuer(**dict(row)) for row in read.issuers),
        profiles=tuple(Profile(**dict(row)) for row in read.profiles),
        renewals=tuple(Renewal(_when(r.when), r.issuer, r.profile) for r in read.renewals),
        targets=tuple(_target(row) for row in read.targets),
        scope=Scope(**dict(read.scope)),
        # Whoever answers for an issuer is known for every other judgement too.
        roots=(*read.roots, *(root for row in read.issuers for root in row.roots)),
        longest_private=read.longest_private,
        changed_by=read.changed_by,
        retention=Retention(**dict(read.retention)),
        ntp=read.ntp,
    )


def _tier(row: _Tier) -> TierPolicy:
    rungs: Sequence[Rung] = [Rung(rung.lead, rung.to) for rung in row.rungs]
    return TierPolicy(row.tier, row.opens, row.issues, row.asks, tuple(rungs), row.retry_failures, row.retry_for)


def _when(row: _Matcher) -> Matcher:
    return Matcher(**dict(row))


def _target(row: _Target) -> TargetRule:
    return TargetRule(
        row.name, _when(row.when), row.kind, row.chain, row.key, reload=row.reload, owner=row.owner, mode=row.mode
    )
