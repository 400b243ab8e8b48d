"""What the policy says for one managed certificate: its terms, its plan and the targets of its slots."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import PurePosixPath

from domain.certificate import Endpoint, Life, Slot, TrustClass, lacks_names
from domain.classify import Placement, Seen, match
from domain.contracts import Plan, Terms
from domain.objections import ANY_USE, LEAST_BITS
from domain.profiles import USAGE_OIDS, lost_usages, usage_word
from domain.tiers import Issuer, Matcher, Policy, Profile, Renewal, Role, TargetRule

# Characters of the names of targets that a plan holds: it stands in events, approvals and pages.
MOST_NAMED = 4000


@dataclass(frozen=True, slots=True)
class Target:
    """How one slot is served: where the deployer puts chain and key, and the argument list that makes it serve.

    ``mode``: of the key file; ``owner``: ``user``, ``user:group`` or ``:group``, empty for the deployer's own.
    """

    name: str
    kind: str
    chain: str
    key: str
    reload: tuple[str, ...] = ()
    owner: str = ""
    mode: int = 0o600


def terms_for(policy: Policy, placement: Placement, life: Life, slots: Sequence[Slot]) -> Terms:
    """The terms of the certificate of ``life`` served at ``slots``.

    Without an issuer of its trust class, or without a target for every slot, ``plan`` is None and ``unroutable``
    says what is missing (DESIGN rule 7).
    """
    head = next(person.id for person in policy.people if person.role is Role.SECURITY_HEAD)
    contact = next((owner.contact for owner in policy.owners if owner.id == placement.owner), head)
    plan = plan_for(policy, life, slots, asks=policy.tier(placement.tier).asks)
    return Terms(
        policy_version=policy.version,
        tier=placement.tier,
        tier_reason=placement.reason,
        table=policy.tier(placement.tier),
        owner=placement.owner,
        service=placement.service,
        owner_contact=contact,
        head=head,
        placed=placement.placed,
        subscribers=next((s.subscribers for s in policy.services if s.id == placement.service), 0),
        plan=plan if isinstance(plan, Plan) else None,
        unroutable=plan if isinstance(plan, str) else "",
        changed_by=f"person/{policy.changed_by}" if policy.changed_by else "",
    )


def plan_for(policy: Policy, life: Life, slots: Sequence[Slot], *, asks: bool) -> Plan | str:
    """How it would be renewed, or a sentence that says what is missing for that.

    ``asks``: a person approves it, and so may approve that it loses a usage.
    """
    if life.is_ca and not _is_appliance(life, slots):
        return _ca_stays(slots)
    if lacks_names(life.other_names):
        return f"it has {life.other_names[-1]}: renew it where it was made, or divide its names among several"
    if life.other_names:
        told = f"of its names {life.other_names[0]} would be lost: orders give DNS, IP and mail names alone"
        return f"{told}; renew it where it was made, and the new one is taken over where it is seen"
    route = _route(policy, life, slots, asks)
    if isinstance(route, str):
        return route
    issuer, profile = route
    if not profile.validity and life.length <= timedelta():
        told = f"profile {profile.name} renews for as long as before, but this certificate ends before it begins"
        return f"{told}: give it a profile with a validity of its own"
    if not slots:
        return "it has no slot any more: say whether it is retired or moved"
    targets: list[Target] = []
    for slot in sorted(slots):
        target = expand_target(policy, slot)
        if target is None and not _is_harmless(slot.endpoint):
            return f"no target can be written for {slot.url}: rename it without '..', control or invisible characters"
        if target is None:
            return f"no target of the policy matches {slot.url} ({slot.algorithm}): add one under targets"
        targets.append(target)
    plan = Plan(
        issuer=issuer.name,
        issuer_kind=issuer.kind,
        trust_class=issuer.trust_class,
        profile=profile.name,
        validity_seconds=int((profile.validity or life.length).total_seconds()),
        names=life.names,
        algorithm=life.algorithm,
        key_bits=max(life.key_bits, LEAST_BITS.get(life.algorithm, 0)),
        targets=_named(targets),
        usages=profile.usages,
        targets_sha256=digest_of(targets),
        loses=tuple(map(usage_word, _lost(profile, life))),
    )
    return replace(plan, version=plan_version(plan))


def _is_appliance(life: Life, slots: Sequence[Slot]) -> bool:
    """Whether a certificate that says CA:TRUE is a server's own all the same, and may be renewed like one.

    Appliances make such certificates for themselves and serve them: self-signed, in a handshake, and nowhere else.
    One that a CA issued is an intermediate, wherever it is served; one that lies in a file is what others trust, or
    what signs: a server's leaf in its place would break everything below it.
    """
    schemes = {slot.endpoint.scheme for slot in slots}
    return life.trust_class is TrustClass.SELF_SIGNED and schemes == {"tls"}


def _ca_stays(slots: Sequence[Slot]) -> str:
    file = next((slot.url for slot in sorted(slots) if slot.endpoint.scheme == "file"), "")
    out = f", or take {file} out of the scope" if file else ""
    return (
        "it is a CA certificate, which is watched and never replaced by one of a server: whoever runs that CA must "
        f"give its successor; put that in its place{out}"
    )


def _named(targets: Sequence[Target]) -> tuple[str, ...]:
    """The first of them by name, for a person to read; ``digest_of`` binds them all, however many there are."""
    names: list[str] = []
    for target in targets:
        if names and sum(map(len, names)) + len(target.name) > MOST_NAMED:
            break
        names.append(target.name)
    return tuple(names)


def plan_version(plan: Plan) -> str:
    """SHA-256 (hex) over the canonical JSON of every other field: what a decision is bound to (DESIGN rule 8)."""
    told = {name: value for name, value in _fields(plan).items() if name != "version" and value is not None}
    if not plan.loses:
        # A field of later: what was asked before must not read as another plan.
        del told["loses"]
    return _sha256(told)


def digest_of(targets: Sequence[Target]) -> str:
    """SHA-256 (hex) over all that is done at ``targets``: where chain and key go, as whose, and which command runs.

    A plan names its targets alone; with this it is another plan when the policy does something else there.
    """
    return _sha256([_fields(target) for target in targets])


def _fields(value: Plan | Target) -> dict[str, object]:
    """As ``asdict`` gives them, which copies deeply: there may be a hundred thousand plans to make."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def expand_target(policy: Policy, slot: Slot) -> Target | None:
    """The deployment target of ``slot``: the first target rule that matches it, filled in; None where none does.

    A target belongs to a place, not to a certificate: ``names`` of its matcher compare with the slot's SNI.
    """
    place = slot.endpoint
    if not _is_harmless(place):
        return None
    seen = Seen.at((slot,), names=(place.sni,) if place.sni else ())
    rule = next((rule for rule in policy.targets if match(rule.when, seen) is not None), None)
    return None if rule is None else _fill(rule, slot)


def _route(policy: Policy, life: Life, slots: Sequence[Slot], asks: bool) -> tuple[Issuer, Profile] | str:
    """The first renewal that matches and keeps trust class and usages, or why there is none (DESIGN rules 7 and 9)."""
    seen = Seen.at(slots, life.names, life.issuer)
    matching = [r for r in policy.renewals if match(r.when, seen) is not None]
    refusals: list[str] = []
    for renewal in matching:
        found = _accepts(policy, renewal, life, asks)
        if not isinstance(found, str):
            return found
        refusals.append(found)
    wanted = life.trust_class.value
    if not matching:
        return f"no renewal of the policy matches it: add one with an issuer of trust class {wanted}"
    return f"no matching renewal may be used: {'; '.join(dict.fromkeys(refusals))}"


def _accepts(policy: Policy, renewal: Renewal, life: Life, asks: bool) -> tuple[Issuer, Profile] | str:
    issuer = next(i for i in policy.issuers if i.name == renewal.issuer)
    profile = next(p for p in policy.profiles if p.name == renewal.profile)
    if issuer.trust_class is not life.trust_class:
        return (
            f"issuer {issuer.name} is {issuer.trust_class.value} but this certificate is {life.trust_class.value}, "
            "and a change of trust class needs a person's approval"
        )
    refused = [n for n in life.names if not _permits(profile, n)]
    if refused:
        return f"profile {profile.name} does not permit the name {refused[0]}"
    if life.algorithm not in profile.algorithms:
        return f"profile {profile.name} does not allow {life.algorithm} keys"
    return _unasked_loss(profile, life, asks) or (issuer, profile)


def _lost(profile: Profile, life: Life) -> tuple[str, ...]:
    return lost_usages(life.extended_key_usages, [USAGE_OIDS[usage] for usage in profile.usages])


def _unasked_loss(profile: Profile, life: Life, asks: bool) -> str:
    """Why a renewal under ``profile`` would take a usage away that nobody could approve; empty where it would not."""
    lost = _lost(profile, life)
    keeps_some = bool(set(life.extended_key_usages) - {*lost, ANY_USE})
    if not lost or (asks and keeps_some):
        return ""
    mendable = [usage for usage, oid in USAGE_OIDS.items() if oid in lost]
    remedies = [f"add {', '.join(mendable)} to its usages"] if len(mendable) == len(lost) else []
    remedies += ["place it in a tier that asks, where a person may approve that"] if keeps_some else []
    told = f"profile {profile.name} would take {', '.join(map(usage_word, lost))} from it"
    return f"{told}: {', or '.join(remedies) or 'renew it where it was made'}"


def _permits(profile: Profile, name: str) -> bool:
    # The same reading as a rule's: a glob crosses dots and has no case.
    return match(Matcher(names=profile.permitted_names), Seen(names=(name,))) is not None


def _fill(rule: TargetRule, slot: Slot) -> Target:
    place = slot.endpoint
    values = {
        "address": place.host,
        "port": str(place.port or ""),
        "sni": place.sni,
        "algorithm": slot.algorithm,
        "path": place.path,
        "stem": str(PurePosixPath(place.path).with_suffix("")) if PurePosixPath(place.path).name else "",
    }

    def filled(template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], ""), template)

    return Target(
        name=f"{rule.name}@{slot.url}#{slot.algorithm}",
        kind=rule.kind,
        chain=str(PurePosixPath(filled(rule.chain))),
        key=str(PurePosixPath(filled(rule.key))),
        reload=tuple(filled(part) for part in rule.reload),
        owner=rule.owner,
        mode=rule.mode,
    )


def _is_harmless(place: Endpoint) -> bool:
    """Whether no part of an endpoint could climb out of the folder that a template names, or read as an option, and its
    path can be printed: a target is written down."""
    climbs = "/" in place.host + place.sni or ".." in place.path.split("/")
    return not climbs and place.path.isprintable() and not place.sni.startswith((".", "-"))
