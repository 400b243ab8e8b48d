"""What a policy is refused for, each with the path of the wrong field and what to write instead."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network

from domain.tiers import FULL_LIFE, Matcher, Policy, Role, Tier, TierPolicy

# More than this and nobody reads the table any more: a rule should be a glob, not a list of hosts.
MAX_RULES = 30
# From this many renewals on, how long they took is known well enough to refuse a policy for it (DESIGN rule 1).
ENOUGH_CASES = 20
# One discovery of a scope: 1,048,576 sockets is the most that pages of 256 keep readable in Temporal.
MAX_TARGETS = 1 << 20
PLACEHOLDERS = frozenset({"address", "port", "sni", "algorithm", "path", "stem"})

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """``path``: keys and indexes from the top of the policy, as in its file."""

    path: Path
    problem: str
    remedy: str

    @property
    def field(self) -> str:
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip(".") or "policy"


def problems(policy: Policy) -> tuple[Problem, ...]:
    """Everything that is wrong with ``policy``, in the order of its file; empty: it may be set."""
    checks: tuple[Callable[[Policy], Iterator[Problem]], ...] = (
        _tiers,
        _people,
        _owners,
        _rules,
        _issuers,
        _renewals,
        _targets,
        _scope,
        _matchers,
        _doubles,
    )
    return tuple(problem for check in checks for problem in check(policy))


def too_late(policy: Policy, tier: Tier, took: Sequence[timedelta]) -> tuple[Problem, ...]:
    """Refusal of an escalation that leaves less time than 95 in 100 renewals of ``tier`` needed.

    ``took``: from approved to verified, of every closed case.  Judged for the shortest life that a profile issues.
    """
    index = next(i for i, row in enumerate(policy.tiers) if row.tier is tier)
    lives = [profile.validity for profile in policy.profiles if profile.validity]
    if len(took) < ENOUGH_CASES or not lives:
        return ()
    needed = sorted(took)[-(-95 * len(took) // 100) - 1]
    left = policy.tiers[index].escalates * min(1.0, min(lives) / FULL_LIFE)
    if left >= needed:
        return ()
    told = f"its escalation leaves {left}, but 95 in 100 renewals took up to {needed}"
    return (Problem(("tiers", index, "rungs"), told, "Escalate earlier, or issue for longer lives."),)


def _tiers(policy: Policy) -> Iterator[Problem]:
    for index, row in enumerate(policy.tiers):
        yield from _tier(("tiers", index), row)


def _tier(path: Path, row: TierPolicy) -> Iterator[Problem]:
    leads = [rung.lead for rung in row.rungs]
    if any(lead <= timedelta(0) for lead in (row.opens, row.issues, *leads)):
        yield Problem(path, "every lead time must be longer than nothing", "Write for example 30d.")
    if any(later >= earlier for earlier, later in itertools.pairwise(leads)):
        yield Problem((*path, "rungs"), "rungs must fall strictly", "Order them like 30d, 21d, 14d, 7d, 3d, 1d.")
    if not any(rung.to == "security-head" for rung in row.rungs):
        yield Problem((*path, "rungs"), "no rung reaches the security head", "Add {lead: 30d, to: security-head}.")
        return
    if not row.opens >= row.issues > row.escalates:
        told = f"opens {_days(row.opens)} >= issues {_days(row.issues)} > escalation {_days(row.escalates)} must hold"
        yield Problem(path, told, "Open first, issue then, escalate last.")


def _days(lead: timedelta) -> str:
    return f"{lead / timedelta(days=1):g}d"


def _people(policy: Policy) -> Iterator[Problem]:
    if not any(person.role is Role.SECURITY_HEAD for person in policy.people):
        yield Problem(("people",), "nobody is a security-head", "Give one person role: security-head.")
    for index, person in enumerate(policy.people):
        if "@" not in person.email:
            yield Problem(("people", index, "email"), f"{person.email!r} is not an address", "Write name@example.org.")


def _owners(policy: Policy) -> Iterator[Problem]:
    people, owners = {p.id for p in policy.people}, {o.id for o in policy.owners}
    for index, owner in enumerate(policy.owners):
        if owner.contact not in people:
            yield _unknown(("owners", index, "contact"), owner.contact, "people")
    for index, service in enumerate(policy.services):
        if service.owner and service.owner not in owners:
            yield _unknown(("services", index, "owner"), service.owner, "owners")


def _rules(policy: Policy) -> Iterator[Problem]:
    if len(policy.rules) > MAX_RULES:
        told = f"{len(policy.rules)} rules are more than {MAX_RULES}"
        yield Problem(("rules", MAX_RULES), told, "Say it with wider globs and CIDRs.")
    services, owners = {s.id for s in policy.services}, {o.id for o in policy.owners}
    for index, rule in enumerate(policy.rules):
        if rule.service not in services:
            yield _unknown(("rules", index, "service"), rule.service, "services")
        if rule.owner and rule.owner not in owners:
            yield _unknown(("rules", index, "owner"), rule.owner, "owners")
        if rule.when == Matcher():
            remedy = "Give names, hosts, ports, issuers or paths."
            yield Problem(("rules", index, "when"), "matches everything, so nothing would be unplaced", remedy)


def _issuers(policy: Policy) -> Iterator[Problem]:
    for index, issuer in enumerate(policy.issuers):
        if issuer.trust_class.value == "self-signed":
            told = "an issuer cannot make self-signed certificates"
            yield Problem(("issuers", index, "trust_class"), told, "Write private or public.")
    for index, profile in enumerate(policy.profiles):
        if profile.validity < timedelta(0):
            yield Problem(("profiles", index, "validity"), "is negative", "Write for example 90d, or same.")
        if not profile.usages:
            yield Problem(("profiles", index, "usages"), "is empty", "Write [server], [client] or both.")


def _renewals(policy: Policy) -> Iterator[Problem]:
    issuers, profiles = {i.name for i in policy.issuers}, {p.name for p in policy.profiles}
    for index, renewal in enumerate(policy.renewals):
        if renewal.issuer not in issuers:
            yield _unknown(("renewals", index, "issuer"), renewal.issuer, "issuers")
        if renewal.profile not in profiles:
            yield _unknown(("renewals", index, "profile"), renewal.profile, "profiles")


def _targets(policy: Policy) -> Iterator[Problem]:
    for index, target in enumerate(policy.targets):
        texts = {"chain": target.chain, "key": target.key, "reload": " ".join(target.reload)}
        for field, text in texts.items():
            strange = set(re.findall(r"\{([^{}]*)\}", text)) - PLACEHOLDERS
            if strange:
                known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
                told = f"{{{min(strange)}}} is not a placeholder"
                yield Problem(("targets", index, field), told, f"Use {known}.")
        for field in ("chain", "key"):
            if not texts[field].startswith(("/", "{path}", "{stem}")):
                told = "is not an absolute path"
                yield Problem(("targets", index, field), told, "Begin with /, or with {path} or {stem} for files.")
        if target.mode & 0o077:
            told = "lets others read the key"
            yield Problem(("targets", index, "mode"), told, 'Write mode: "0600".')


def _scope(policy: Policy) -> Iterator[Problem]:
    hosts = 0
    for index, cidr in enumerate(policy.scope.cidrs):
        try:
            hosts += ip_network(cidr).num_addresses
        except ValueError as error:
            yield Problem(("scope", "cidrs", index), f"{cidr!r}: {error}", "Write for example 10.0.4.0/24.")
    for index, port in enumerate(policy.scope.ports):
        if not 0 < port < 65536:
            yield Problem(("scope", "ports", index), f"{port} is not a port", "Write a number from 1 to 65535.")
    if hosts * len(policy.scope.ports) > MAX_TARGETS:
        told = f"{hosts} addresses and {len(policy.scope.ports)} ports are more than {MAX_TARGETS} sockets"
        yield Problem(("scope", "cidrs"), told, "Write narrower CIDRs, or fewer ports.")
    for index, path in enumerate(policy.scope.paths):
        if not path.startswith("/") or ".." in path.split("/"):
            yield Problem(("scope", "paths", index), f"{path!r} is not absolute", "Write /etc/ssl/*.pem.")


def _matchers(policy: Policy) -> Iterator[Problem]:
    lists: tuple[tuple[str, list[Matcher]], ...] = (
        ("rules", [row.when for row in policy.rules]),
        ("renewals", [row.when for row in policy.renewals]),
        ("targets", [row.when for row in policy.targets]),
    )
    for part, matchers in lists:
        for index, when in enumerate(matchers):
            for position, cidr in enumerate(when.hosts):
                try:
                    ip_network(cidr)
                except ValueError as error:
                    path = (part, index, "when", "hosts", position)
                    yield Problem(path, f"{cidr!r}: {error}", "Write for example 10.0.4.0/24.")


def _doubles(policy: Policy) -> Iterator[Problem]:
    lists: tuple[tuple[str, str, list[str]], ...] = (
        ("tiers", "tier", [row.tier.value for row in policy.tiers]),
        ("people", "id", [row.id for row in policy.people]),
        ("owners", "id", [row.id for row in policy.owners]),
        ("services", "id", [row.id for row in policy.services]),
        ("rules", "name", [row.name for row in policy.rules]),
        ("issuers", "name", [row.name for row in policy.issuers]),
        ("profiles", "name", [row.name for row in policy.profiles]),
        ("targets", "name", [row.name for row in policy.targets]),
    )
    for part, field, ids in lists:
        for index, name in enumerate(ids):
            if name in ids[:index]:
                yield Problem((part, index, field), f"{name!r} stands there twice", "Give each its own.")


def _unknown(path: Path, name: str, part: str) -> Problem:
    return Problem(path, f"{name!r} is not among {part}", f"Add it to {part}, or correct the spelling.")
