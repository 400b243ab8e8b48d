"""The policy file: YAML to domain values, refused with file, line, field and remedy; and its JSON Schema."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.certificate import Algorithm, TrustClass
from domain.errors import BadPolicy
from domain.policy_rules import Path, Problem, problems, too_late
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
from formats.policy_atoms import Duration, Mode, Name, Pems, Printable, Texts, Validity
from formats.policy_text import PolicyText, read_policy_text, without_addresses
from formats.roots import root_problems

# Whoever has more of them than this mends the first and asks again.
MOST_TOLD = 50
MISSING = "is missing"


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


# Part -> how it is written where there is nothing to say.
EMPTY: Mapping[str, Any] = {
    name: {} if name == "scope" else [] for name, field in PolicyFile.model_fields.items() if field.is_required()
}


def policy_json_schema() -> dict[str, Any]:
    """The JSON Schema of the policy file (2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def parse_policy(
    text: bytes, file: str = "policy.yaml", took: Mapping[Tier, Sequence[timedelta]] | None = None
) -> Policy:
    """The policy in ``text``.  Raises BadPolicy naming file, line, field and remedy of each problem that can be told
    at once: those of the values show when those of the form are mended.

    ``took``: how long renewals took, where that is known; a policy that is set leaves that much time.
    """
    read = read_policy_text(text, file)
    try:
        form = PolicyFile.model_validate(read.tree)
    except ValidationError as error:
        raise _refusal(file, read, _of_form(error)) from error
    policy = _to_domain(form, version_of(text))
    found = (*problems(policy), *root_problems(form.roots, [row.roots for row in form.issuers]))
    if not found:
        # Only a ladder that is whole can be held against how long renewals took.
        found = tuple(one for tier, times in (took or {}).items() for one in too_late(policy, tier, times))
    if found or read.cut:
        raise _refusal(file, read, found)
    return policy


def kept_policy(text: str, version: str) -> Policy:
    """One that was in force, as the store has it.  Raises BadPolicy where this release cannot read it.

    It was judged before it came into the store, and by the release of that day: releases before 0.3.0 asked for no end
    mark, and let empty parts be left out.  So what must be whole and true in a file is not asked here again.
    """
    read = read_policy_text(text.encode(), version)
    try:
        form = PolicyFile.model_validate({**EMPTY, **read.tree})
    except ValidationError as error:
        raise _refusal(version, PolicyText(read.tree, None), _of_form(error)) from error
    return _to_domain(form, version)


def version_of(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _of_form(error: ValidationError) -> list[Problem]:
    return [_mistake(dict(found)) for found in error.errors(include_url=False)]


def _mistake(found: Mapping[str, Any]) -> Problem:
    path = tuple(part for part in found["loc"] if not (isinstance(part, str) and "[" in part))
    if found["type"] == "extra_forbidden":
        return Problem(path, "is not a field of a policy", "Remove it, or correct the spelling.")
    if found["type"] == "missing" and len(path) == 1:
        return Problem(path, MISSING, f"Every part is named: where it is empty, write `{_empty(str(path[0]))}`.")
    if found["type"] == "missing":
        return Problem(path, MISSING, "Add it; demo/policy.yaml shows every field.")
    if found["input"] is None and len(path) == 1 and path[0] in EMPTY:
        return Problem(path, "is followed by nothing", f"Where it is empty, write `{_empty(str(path[0]))}`.")
    return Problem(path, found["msg"].removeprefix("Value error, "), "demo/policy.yaml shows what may stand there.")


def _empty(part: str) -> str:
    return f"{part}: {EMPTY[part]}"


def _refusal(file: str, read: PolicyText, found: Sequence[Problem]) -> BadPolicy:
    """All of it as one: slips, then a cut, then what the cut explains: missing parts and a torn last line."""
    told = []
    for one in found:
        field, problem = without_addresses(one.field), without_addresses(one.problem)
        told.append(BadPolicy(file, _line(read.tree, one.path), field, problem, one.remedy))
    if cut := read.cut:
        explained = [one for one in told if one.problem == MISSING or one.line >= cut.line]
        told = [*(one for one in told if one not in explained), cut, *explained]
    told[0].others = tuple(told[1:MOST_TOLD])
    return told[0]


def _line(tree: Any, path: Path) -> int:
    """The line, from 1, of ``path`` in the loaded file, or of the deepest part of it that is there."""
    line = 0
    for key in path:
        places = getattr(tree, "lc", None)
        try:
            position = places.key(key) if isinstance(tree, dict) else places.item(key)  # type: ignore[union-attr]  # None is caught
            line, tree = position[0], tree[key]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
    return line + 1


def _to_domain(read: PolicyFile, version: str) -> Policy:
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
