"""Verification: a fresh look from outside.  It says what is served and decides nothing."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address, ip_network

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.discovery import heartbeat, in_a_thread
from activities.scanners import SCANNERS
from activities.scanners.base import Ask, Clock, Patience, Sight
from activities.scanners.sweep import seen_certificate
from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import MOST_FACTS, LookAgain, LookReport, SlotLook
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.rules import NEWEST, rule_set
from domain.paths import Reason
from domain.tiers import Policy, Scope
from formats.paths import Ways
from formats.roots import paths_below
from formats.x509 import fingerprint_of, life_of
from store.sightings.adoptions import record_looks
from store.sightings.looks import SeenCertificate, keep_certificates

# What one call may take in all; slots that no time is left for are told as not looked at, and asked for again.
TOTAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class VerificationActivities:
    engine: Engine
    load_policy: Callable[[], Policy]
    clock: Clock
    patience: Patience = field(default_factory=Patience)

    @activity.defn(name="look_again")
    async def look_again(self, asked: LookAgain) -> LookReport:
        """One look per slot, in their order; ``candidates``: every certificate seen that is not the expected one.

        A certificate of another key algorithm counts only where the slot's own is not served, or is the expected
        one.  What was seen is kept.  Heartbeats after every answer; ends within ``TOTAL_SECONDS`` and one look.
        """
        policy = await asyncio.to_thread(self.load_policy)
        sights = await self._look(asked, policy.scope)
        # Hostile chains cost many signatures each; the loop of the worker has others to serve.
        certificates, looks, lives = await in_a_thread(partial(_read, asked.slots, sights, policy))
        await asyncio.to_thread(self._keep, certificates, looks)
        # The one that ends first of those that share a leaf comes last, and stays.
        strangers = {life.fingerprint: life for life in sorted(lives, key=lambda life: life.ends_at, reverse=True)}
        strangers.pop(asked.expected, None)
        shown = Counter(look.fingerprint for look in looks)
        by_places = sorted(strangers.values(), key=lambda life: (-shown[life.fingerprint], life.fingerprint))
        return LookReport(looks, lives_that_fit(by_places, MOST_FACTS, rule_set(NEWEST)))

    def _keep(self, certificates: Sequence[SeenCertificate], looks: Sequence[SlotLook]) -> None:
        now = self.clock()
        keep_certificates(self.engine, certificates, now)
        # What was not tried says nothing of its place, and counts as no look in vain.
        record_looks(self.engine, [look for look in looks if look.outcome is not LookOutcome.NOT_LOOKED])

    async def _look(self, asked: LookAgain, scope: Scope) -> tuple[Sight, ...]:
        deadline = asyncio.get_running_loop().time() + TOTAL_SECONDS
        found: dict[Slot, Sight] = {}
        inside = [slot for slot in dict.fromkeys(asked.slots) if is_in_scope(slot, scope)]
        for start in range(0, len(inside), self.patience.at_once):
            batch = inside[start : start + self.patience.at_once]
            if asyncio.get_running_loop().time() > deadline:
                break
            first = await self._ask([Ask(slot.endpoint) for slot in batch], scope)
            found.update(zip(batch, first, strict=True))
            again = [slot for slot in batch if _is_another_key(slot, found[slot], asked.expected)]
            second = await self._ask([Ask(slot.endpoint, slot.algorithm) for slot in again], scope)
            found.update({s: sight for s, sight in zip(again, second, strict=True) if sight.chain})
        return tuple(found.get(slot) or self._not_looked(slot, slot in inside) for slot in asked.slots)

    async def _ask(self, asks: Sequence[Ask], scope: Scope) -> tuple[Sight, ...]:
        """Each through the scanner of its scheme, in order."""
        answers: dict[int, Sight] = {}
        for scheme, scanner in SCANNERS.items():
            mine = [index for index, ask in enumerate(asks) if ask.endpoint.scheme == scheme]
            if mine:
                looked = await scanner(self.clock, scope).look([asks[i] for i in mine], self.patience, heartbeat)
                answers.update(zip(mine, looked, strict=True))
        return tuple(answers[index] for index in range(len(asks)))

    def _not_looked(self, slot: Slot, is_inside: bool) -> Sight:
        outcome = LookOutcome.NOT_LOOKED if is_inside else LookOutcome.OUT_OF_SCOPE
        return Sight(Ask(slot.endpoint), self.clock(), outcome)


def is_in_scope(slot: Slot, scope: Scope) -> bool:
    """Files are judged by their scanner, which resolves links; a client has nothing to look at from outside."""
    place = slot.endpoint
    if place.scheme == "file":
        return True
    try:
        address = ip_address(place.host)
    except ValueError:
        return False
    in_networks = any(address in ip_network(cidr) for cidr in scope.cidrs)
    return place.scheme == "tls" and place.port in scope.ports and in_networks


def _is_another_key(slot: Slot, sight: Sight, expected: str) -> bool:
    if slot.endpoint.scheme != "tls" or not sight.chain or fingerprint_of(sight.chain[0]) == expected:
        return False
    facts = seen_certificate(sight.chain[0]).facts
    return facts is not None and facts.algorithm != slot.algorithm


def _read(
    slots: Sequence[Slot], sights: Sequence[Sight], policy: Policy, beat: Callable[[], None]
) -> tuple[list[SeenCertificate], tuple[SlotLook, ...], list[Life]]:
    """Every certificate that was seen, what each slot served, and the lives of those leaves."""
    certificates = [seen_certificate(der) for der in {der for sight in sights for der in sight.chain}]
    facts = {seen.fingerprint: seen.facts for seen in certificates}
    builder = paths_below(policy.roots)
    # Places of one certificate mostly serve the same chain, and its signatures are what costs.
    ways: dict[tuple[bytes, ...], Ways] = {}
    lives: list[Life] = []

    def look(slot: Slot, sight: Sight) -> SlotLook:
        beat()
        if not sight.chain:
            return SlotLook(slot, sight.at, sight.outcome)
        seen = SlotLook(slot, sight.at, sight.outcome, fingerprint_of(sight.chain[0]))
        leaf = facts[seen.fingerprint]
        if leaf is None:
            return replace(seen, chain_ok=False, flaw=f"{Reason.UNREADABLE}: its bytes are not readable X.509")
        if sight.chain not in ways:
            ways[sight.chain] = builder.ways(sight.chain)
        path = ways[sight.chain].at(sight.at)
        lives.append(life_of(sight.chain[0], policy.issuers, path))
        return replace(
            seen,
            chain_ok=path.is_good,
            ends_at=path.ends_at,
            not_before=leaf.not_before,
            flaw=path.flaw,
            rooted=path.rooted,
        )

    return certificates, tuple(look(slot, sight) for slot, sight in zip(slots, sights, strict=True)), lives
