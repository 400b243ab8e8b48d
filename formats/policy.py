"""The policy file: YAML to domain values, refused with file, line, field and remedy; and its JSON Schema."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

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
from formats.roots import root_problems

# Whoever has more of them than this mends the first and asks again.
MOST_TOLD = 50


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
    """The policy of Everleaf: tiers, people, owners, services, rules, issuers, profiles, renewals, targets, scope."""

    tiers: tuple[_Tier, ...] = ()
    people: tuple[_Person, ...]
    owners: tuple[_Owner, ...] = ()
    services: tuple[_Service, ...] = ()
    rules: tuple[_Rule, ...] = ()
    issuers: tuple[_Issuer, ...] = ()
    profiles: tuple[_Profile, ...] = ()
    renewals: tuple[_Renewal, ...] = ()
    targets: tuple[_Target, ...] = ()
    scope: _Scope = _Scope()
    roots: Pems = ()
    longest_private: Annotated[Duration, _shown("825d")] = LONGEST_PRIVATE
    changed_by: Printable = ""
    retention: _Retention = _Retention()


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
    tree = _load(text, file)
    try:
        read = PolicyFile.model_validate(tree)
    except ValidationError as error:
        raise _refusal(file, tree, _of_form(error)) from error
    policy = _to_domain(read, version_of(text))
    found = (*problems(policy), *root_problems(policy.roots))
    if not found:
        # Only a ladder that is whole can be held against how long renewals took.
        found = tuple(one for tier, times in (took or {}).items() for one in too_late(policy, tier, times))
    if found:
        raise _refusal(file, tree, found)
    return policy


def version_of(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _load(text: bytes, file: str) -> Any:
    try:
        tree = YAML(typ="rt").load(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadPolicy(file, 1, "policy", "is not UTF-8 text", "Save the file as UTF-8.") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"is not YAML: {error.problem or error.context or 'cannot be read'}"
        raise BadPolicy(file, line, "policy", problem, "Check indentation, colons and quotes there.") from error
    except YAMLError as error:
        raise BadPolicy(file, 1, "policy", "is not YAML", "Check indentation, colons and quotes.") from error
    except (ValueError, RecursionError) as error:
        # A thirteenth month, a number that is none, brackets without end: the reader lets them through as they are.
        problem = "holds a date or number that cannot be read, or is nested too deeply"
        raise BadPolicy(file, 1, "policy", problem, "Compare it with demo/policy.yaml.") from error
    if not isinstance(tree, dict):
        raise BadPolicy(file, 1, "policy", "is not a mapping", "Begin like demo/policy.yaml: people, owners, rules.")
    return tree


def _of_form(error: ValidationError) -> list[Problem]:
    return [_mistake(dict(found)) for found in error.errors(include_url=False)]


def _mistake(found: Mapping[str, Any]) -> Problem:
    path = tuple(part for part in found["loc"] if not (isinstance(part, str) and "[" in part))
    if found["type"] == "extra_forbidden":
        return Problem(path, "is not a field of a policy", "Remove it, or correct the spelling.")
    if found["type"] == "missing":
        return Problem(path, "is missing", "Add it; demo/policy.yaml shows every field.")
    return Problem(path, found["msg"].removeprefix("Value error, "), "demo/policy.yaml shows what may stand there.")


def _refusal(file: str, tree: Any, found: Sequence[Problem]) -> BadPolicy:
    told = [BadPolicy(file, _line(tree, one.path), one.field, one.problem, one.remedy) for one in found[:MOST_TOLD]]
    told[0].others = tuple(told[1:])
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
        roots=read.roots,
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
