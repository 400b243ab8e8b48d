"""What a policy is refused for, each with the path of the wrong field and what to write instead."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from ipaddress import ip_network

from domain import policy_places
from domain.lifecycle.ladder import days
from domain.policy_problem import Path as Path
from domain.policy_problem import Problem as Problem
from domain.retention import problems_of
from domain.tiers import FULL_LIFE, Matcher, Policy, Role, Tier, TierPolicy

# More than this and nobody reads the table any more: a rule should be a glob, not a list of hosts.
MAX_RULES = 30
# From this many renewals on, how long they took is known well enough to refuse a policy for it (DESIGN rule 1).
ENOUGH_CASES = 20
# Longer than any certificate lives; a slip like 9000d for 90d would reach back before the calendar.
LONGEST = timedelta(days=3650)
# RFC 5321 4.1.2, without quotes, comments and display names: one address that cannot become two, nor a header.
_ADDRESS = re.compile(r"(?=.{3,254}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def problems(policy: Policy) -> tuple[Problem, ...]:
    """Everything that is wrong with ``policy``, in the order of its file; empty: it may be set."""
    checks: tuple[Callable[[Policy], Iterator[Problem]], ...] = (
        _tiers,
        _people,
        _owners,
        _rules,
        _issuers,
        _renewals,
        policy_places.targets,
        policy_places.scope,
        _matchers,
        _doubles,
        _longest_private,
        _changed_by,
        _retention,
    )
    return tuple(problem for check in checks for problem in check(policy))


def too_late(policy: Policy, tier: Tier, took: Sequence[timedelta]) -> tuple[Problem, ...]:
    """Refusal of an escalation that leaves less time than 95 in 100 renewals of ``tier`` needed.

    ``took``: from approved to verified, of every closed case.  Judged for the shortest life that a profile issues.
    """
    index = next(i for i, row in enumerate(policy.tiers) if row.tier is tier)
    lives = [profile.validity for profile in policy.profiles if profile.validity]
    needed = usual(took)
    if needed is None or not lives:
        return ()
    left = policy.tiers[index].escalates * min(1.0, min(lives) / FULL_LIFE)
    if left >= needed:
        return ()
    told = f"its escalation leaves {days(left)}, but 95 in 100 renewals took up to {days(needed)}"
    return (Problem(("tiers", index, "rungs"), told, "Escalate earlier, or issue for longer lives."),)


def usual(took: Sequence[timedelta]) -> timedelta | None:
    """Within which 95 in 100 renewals ended; None while too few are known."""
    return sorted(took)[-(-95 * len(took) // 100) - 1] if len(took) >= ENOUGH_CASES else None


def _tiers(policy: Policy) -> Iterator[Problem]:
    for index, row in enumerate(policy.tiers):
        yield from _tier(("tiers", index), row)


def _tier(path: Path, row: TierPolicy) -> Iterator[Problem]:
    leads = [rung.lead for rung in row.rungs]
    if any(lead <= timedelta(0) for lead in (row.opens, row.issues, *leads)):
        yield Problem(path, "every lead time must be longer than nothing", "Write for example 30d.")
    if max((row.opens, row.issues, row.retry_for, *leads)) > LONGEST:
        yield Problem(path, f"no time may be longer than {_days(LONGEST)}", "Write for example 30d.")
    if any(later >= earlier for earlier, later in itertools.pairwise(leads)):
        yield Problem((*path, "rungs"), "rungs must fall strictly", "Order them like 30d, 21d, 14d, 7d, 3d, 1d.")
    if not any(rung.to == "security-head" for rung in row.rungs):
        yield Problem((*path, "rungs"), "no rung reaches the security head", "Add {lead: 30d, to: security-head}.")
        return
    if not row.opens >= row.issues > row.escalates:
        told = f"opens {_days(row.opens)} >= issues {_days(row.issues)} > escalation {_days(row.escalates)} must hold"
        yield Problem(path, told, "Open first, issue then, escalate last.")


def _changed_by(policy: Policy) -> Iterator[Problem]:
    if policy.changed_by and policy.changed_by not in {person.id for person in policy.people}:
        told = f"{policy.changed_by!r} is nobody of people"
        yield Problem(("changed_by",), told, "Write the id of whoever changed the policy, or leave it out.")


def _longest_private(policy: Policy) -> Iterator[Problem]:
    if not timedelta(0) < policy.longest_private <= LONGEST:
        told = f"must be longer than nothing and at most {_days(LONGEST)}"
        yield Problem(("longest_private",), told, "Write for example 825d, or leave it out.")


def _retention(policy: Policy) -> Iterator[Problem]:
    for name, problem, remedy in problems_of(policy.retention):
        yield Problem(("retention", name), problem, remedy)


def _days(lead: timedelta) -> str:
    return f"{lead / timedelta(days=1):g}d"


def _people(policy: Policy) -> Iterator[Problem]:
    if not any(person.role is Role.SECURITY_HEAD for person in policy.people):
        yield Problem(("people",), "nobody is a security-head", "Give one person role: security-head.")
    for index, person in enumerate(policy.people):
        if not _ADDRESS.fullmatch(person.email):
            told = f"{person.email!r} is not an address"
            yield Problem(("people", index, "email"), told, "Write one plain name@example.org.")


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
        if not timedelta(0) <= profile.validity <= LONGEST:
            told = f"is longer than {_days(LONGEST)}"
            yield Problem(("profiles", index, "validity"), told, "Write for example 90d, or same.")
        if not profile.usages:
            yield Problem(("profiles", index, "usages"), "is empty", "Write [server], [client] or both.")
        if not profile.algorithms or "other" in profile.algorithms:
            told = "names no key that could be made"
            yield Problem(("profiles", index, "algorithms"), told, "Write some of rsa, ecdsa, ed25519.")
        if not profile.permitted_names:
            told = "is empty, so nothing could be issued"
            yield Problem(("profiles", index, "permitted_names"), told, 'Write globs, or leave it out for ["*"].')


def _renewals(policy: Policy) -> Iterator[Problem]:
    issuers, profiles = {i.name for i in policy.issuers}, {p.name for p in policy.profiles}
    for index, renewal in enumerate(policy.renewals):
        if renewal.issuer not in issuers:
            yield _unknown(("renewals", index, "issuer"), renewal.issuer, "issuers")
        if renewal.profile not in profiles:
            yield _unknown(("renewals", index, "profile"), renewal.profile, "profiles")


def _matchers(policy: Policy) -> Iterator[Problem]:
    lists: tuple[tuple[str, list[Matcher]], ...] = (
        ("rules", [row.when for row in policy.rules]),
        ("renewals", [row.when for row in policy.renewals]),
        ("targets", [row.when for row in policy.targets]),
    )
    for part, matchers in lists:
        for index, when in enumerate(matchers):
            for position, port in enumerate(when.ports):
                if not 0 < port < 65536:
                    told = f"{port} is not a port"
                    yield Problem((part, index, "when", "ports", position), told, "Write a number from 1 to 65535.")
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
