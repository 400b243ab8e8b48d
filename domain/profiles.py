"""What a CA may sign: a plan as a fence around one certificate, checked on the finished bytes' facts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from domain.certificate import Certificate, TrustClass
from domain.contracts import Plan
from domain.objections import BROUGHT, LAST_FENCE, Standard, objections, of_certificate
from domain.tiers import Profile
from domain.usages import ANY_USE
from domain.usages import USAGE_OIDS as USAGE_OIDS
from domain.usages import usage_word as usage_word

# DESIGN rule 1: back-dating is at most L/20; five minutes span the clock skew of what reads it.
LARGEST_BACKDATE = timedelta(minutes=5)
# CAs round up to whole days and add the margin of their clocks; more than a tenth is another order than was approved.
LONGER_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found out about a certificate that a person brought, beside its own facts.

    ``spki_sha256``: of the request's key.  ``flaw``: of its path, or empty.  ``stranger``: why it does not come from
    the issuer that was asked, or empty.
    """

    now: datetime
    spki_sha256: str
    trust_class: TrustClass
    flaw: str = ""
    stranger: str = ""


def backdate(validity: timedelta) -> timedelta:
    """How long before now a certificate of ``validity`` begins."""
    return min(LARGEST_BACKDATE, validity / 20)


def usage_oids(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted(USAGE_OIDS[usage] for usage in plan.usages))


def lost_usages(present: Sequence[str], coming: Sequence[str]) -> tuple[str, ...]:
    """OIDs that ``present`` names and ``coming`` does not allow.

    One that may be used for anything, by anyExtendedKeyUsage or without the extension, names no use that could be lost.
    """
    if not coming or ANY_USE in coming:
        return ()
    return tuple(sorted(set(present) - {ANY_USE} - set(coming)))


def plan_breaches(plan: Plan, profile: Profile) -> tuple[str, ...]:
    """Why ``profile``, as the policy in force has it, does not let a CA sign ``plan``; empty when it does.

    Checked again by the CA itself: what reaches it came through hands that may not weaken its profile.
    """
    globs = [glob.lower() for glob in profile.permitted_names]
    strangers = [name for name in plan.names if not any(fnmatchcase(name.lower(), glob) for glob in globs)]
    found = [f"profile {profile.name} does not permit the name {name}" for name in strangers[:3]]
    # A profile without a life of its own renews for as long as before.
    if profile.validity and timedelta(seconds=plan.validity_seconds) > profile.validity:
        found.append(f"profile {profile.name} lives {profile.validity} at most")
    if not set(plan.usages) <= set(profile.usages):
        found.append(f"profile {profile.name} allows {', '.join(profile.usages)} alone")
    if plan.algorithm not in profile.algorithms:
        found.append(f"profile {profile.name} does not allow {plan.algorithm} keys")
    return tuple(found)


def own_breaches(made: Certificate, plan: Plan, spki_sha256: str) -> tuple[str, ...]:
    """Why our own CA must not sign ``made``: not exactly the key, names, usages and life that were ordered."""
    longest = timedelta(seconds=plan.validity_seconds)
    standard = replace(_ordered(plan, spki_sha256, made.not_before), longest=longest)
    found = objections(of_certificate(made, plan.trust_class), standard, LAST_FENCE)
    return tuple(objection.message for objection in found)


def brought_breaches(made: Certificate, plan: Plan, proof: Proof) -> tuple[str, ...]:
    """Why what a person brought does not answer an order of ``plan``; all at once, so that one trip mends it."""
    ordered = timedelta(seconds=plan.validity_seconds)
    longest = ordered + ordered / LONGER_AT_MOST
    standard = replace(_ordered(plan, proof.spki_sha256, proof.now), shortest=ordered / 2, longest=longest)
    candidate = of_certificate(made, proof.trust_class, proof.flaw, proof.stranger)
    return tuple(one.message for one in objections(candidate, standard, BROUGHT))


def _ordered(plan: Plan, spki_sha256: str, now: datetime) -> Standard:
    return Standard(
        now=now,
        names=plan.names,
        trust_class=plan.trust_class,
        usages=usage_oids(plan),
        algorithm=plan.algorithm,
        least_key_bits=plan.key_bits,
        spki=spki_sha256,
    )
