"""One page of a scope: which looks are made, and which of the answers are slots.

First every address and port is asked without a name; where a certificate comes, its other key algorithm is asked for.
Then every live endpoint is asked for the names of its scope.  The rule for what counts:

- the answer without a name is a slot, and so is the other algorithm's, where it has a certificate of that algorithm;
- an answer to a name is a slot of its own only if its leaf is not one that the same address and port serves without a
  name (a wildcard server answers every name with one certificate: one slot), and, where nothing is served without a
  name, only if the leaf covers the name; a slot that is known stays one either way;
- a known slot that was not seen gets a look that says how asking for it ended.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from activities.scanners.base import Ask, Patience, Progress, Scanner, Sight
from domain.certificate import Algorithm, Certificate, Endpoint, Look, LookOutcome, Slot
from domain.errors import BadInput
from domain.findings import covers
from formats.x509 import fingerprint_of, parse_certificate
from store.sightings.looks import SeenCertificate

OTHER_KEY: dict[str, Algorithm] = {"rsa": "ecdsa", "ecdsa": "rsa"}
# A server that answers nothing without a name may still answer to one (nginx ssl_reject_handshake).
MAY_WANT_A_NAME = frozenset({LookOutcome.SEEN, LookOutcome.HANDSHAKE_FAILED, LookOutcome.NO_CERTIFICATE})

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Targets:
    """What one page asks.  ``names``: by address, what to ask for there; ``known``: its slots so far."""

    places: tuple[Place, ...]
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    known: tuple[Slot, ...] = ()


@dataclass(slots=True)
class Findings:
    """What a page came to.  ``outcomes``: exactly one per address and port, or per file."""

    looks: dict[Slot, Look] = field(default_factory=dict)
    certificates: dict[str, SeenCertificate] = field(default_factory=dict)
    outcomes: list[LookOutcome] = field(default_factory=list)


def seen_certificate(der: bytes) -> SeenCertificate:
    try:
        facts: Certificate | None = parse_certificate(der)
    except BadInput:
        facts = None
    return SeenCertificate(fingerprint_of(der), der, facts)


class Sweep:
    """One page, asked through ``scanner``."""

    def __init__(self, scanner: Scanner, patience: Patience, progress: Progress) -> None:
        self._scanner, self._patience, self._progress = scanner, patience, progress
        self._found = Findings()
        self._sights: dict[tuple[str, Algorithm | None], Sight] = {}

    async def files(self, paths: Iterable[str], known: Sequence[Slot]) -> Findings:
        """Every path, and every known file slot."""
        wanted = {Endpoint("file", "localhost", path=path).url for path in paths} | {slot.url for slot in known}
        for sight in await self._ask([Ask(Endpoint.parse(url)) for url in sorted(wanted)]):
            self._found.outcomes.append(sight.outcome)
            self._keep(sight)
        self._account_for(known)
        return self._found

    async def endpoints(self, targets: Targets) -> Findings:
        """Every address and port of ``targets``, in two phases."""
        base = await self._ask([Ask(Endpoint("tls", host, port)) for host, port in targets.places])
        served: dict[Place, set[str]] = {}
        for sight in base:
            self._found.outcomes.append(sight.outcome)
            self._keep(sight)
            served[_place(sight)] = {self._leaf(sight)} - {""}
        for sight in await self._ask(self._other_keys(base)):
            if self._is_asked_key(sight):
                self._keep(sight)
                served[_place(sight)].add(self._leaf(sight))
        await self._names(targets, [s for s in base if s.outcome in MAY_WANT_A_NAME], served)
        self._account_for(targets.known)
        return self._found

    async def _names(self, targets: Targets, live: Sequence[Sight], served: dict[Place, set[str]]) -> None:
        known = {slot.url for slot in targets.known}
        asks: list[Ask] = []
        for sight in live:
            host, port = _place(sight)
            mine = {s.endpoint.sni for s in targets.known if (s.endpoint.host, s.endpoint.port) == (host, port)}
            for name in sorted({*targets.names.get(host, ()), *mine} - {""}):
                asks.append(Ask(Endpoint("tls", host, port, name)))
        answers = await self._ask(asks)
        counted = [s for s in answers if s.ask.endpoint.url in known or self._is_own_slot(s, served[_place(s)])]
        counted = await self._without_races(counted, known)
        for sight in counted:
            self._keep(sight)
        for sight in await self._ask(self._other_keys(counted)):
            is_known = sight.ask.endpoint.url in known
            if self._is_asked_key(sight) and (is_known or self._leaf(sight) not in served[_place(sight)]):
                self._keep(sight)

    def _is_own_slot(self, sight: Sight, served: set[str]) -> bool:
        if sight.outcome is not LookOutcome.SEEN or self._leaf(sight) in served:
            return False
        facts = self._facts(sight)
        return bool(served) or (facts is not None and covers(facts.names, sight.ask.endpoint.sni))

    async def _without_races(self, counted: Sequence[Sight], known: set[str]) -> list[Sight]:
        """Leave out what differs only because the certificate was replaced between the two phases."""
        fresh = [s for s in counted if s.ask.endpoint.url not in known]
        places = sorted({_place(s) for s in fresh})
        again = await self._ask([Ask(Endpoint("tls", host, port)) for host, port in places])
        now = {_place(s): self._leaf(s) for s in again}
        return [s for s in counted if s.ask.endpoint.url in known or now[_place(s)] != self._leaf(s)]

    def _other_keys(self, sights: Iterable[Sight]) -> list[Ask]:
        asks: list[Ask] = []
        for sight in sights:
            facts = self._facts(sight)
            if facts is not None and facts.algorithm in OTHER_KEY:
                asks.append(Ask(sight.ask.endpoint, OTHER_KEY[facts.algorithm]))
        return asks

    def _is_asked_key(self, sight: Sight) -> bool:
        facts = self._facts(sight)
        return facts is not None and facts.algorithm == sight.ask.algorithm

    async def _ask(self, asks: Sequence[Ask]) -> tuple[Sight, ...]:
        sights = await self._scanner.look(asks, self._patience, self._progress)
        for sight in sights:
            self._sights[sight.ask.endpoint.url, sight.ask.algorithm] = sight
            for der in sight.chain:
                print_ = fingerprint_of(der)
                if print_ not in self._found.certificates:
                    # Hashed first, parsed once: most of a network serves what was met before.
                    self._found.certificates[print_] = await asyncio.to_thread(seen_certificate, der)
        return sights

    def _keep(self, sight: Sight) -> None:
        """Make a look of ``sight``; a closed port that nobody knew is no news and is only counted."""
        if sight.outcome is LookOutcome.REFUSED:
            return
        facts = self._facts(sight)
        slot = Slot(sight.ask.endpoint.url, facts.algorithm if facts else sight.ask.algorithm or "other")
        chain = tuple(fingerprint_of(der) for der in sight.chain)
        self._found.looks[slot] = Look(slot.url, slot.algorithm, sight.at, sight.outcome, chain, sight.detail)

    def _account_for(self, known: Iterable[Slot]) -> None:
        for slot in known:
            if slot in self._found.looks:
                continue
            asked = self._asked_for(slot)
            if asked is None:
                continue
            outcome, detail = asked.outcome, asked.detail
            if outcome is LookOutcome.SEEN:
                outcome, detail = LookOutcome.NO_CERTIFICATE, f"no {slot.algorithm} certificate is served there now"
            self._found.looks[slot] = Look(slot.url, slot.algorithm, asked.at, outcome, (), detail)

    def _asked_for(self, slot: Slot) -> Sight | None:
        """The closest look that was made: at the slot itself, else at its address and port without a name."""
        place = slot.endpoint
        bare = Endpoint("tls", place.host, place.port).url
        keys = ((slot.url, slot.algorithm), (slot.url, None), (bare, None))
        return next((self._sights[key] for key in keys if key in self._sights), None)

    def _facts(self, sight: Sight) -> Certificate | None:
        leaf = self._leaf(sight)
        return self._found.certificates[leaf].facts if leaf else None

    def _leaf(self, sight: Sight) -> str:
        return fingerprint_of(sight.chain[0]) if sight.chain else ""


def _place(sight: Sight) -> Place:
    return sight.ask.endpoint.host, sight.ask.endpoint.port
