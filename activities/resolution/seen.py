"""What one discovery saw: its looks, each distinct chain judged once, and the life of every leaf."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection, Engine

from activities.resolution.verdicts import Chain, Verdicts
from domain.certificate import Certificate, Endpoint, Life, Look, Slot, TrustClass, life_from
from domain.paths import Path
from domain.tiers import Policy
from formats.roots import paths_below
from formats.x509 import trust_class_of
from store.sightings.chains import JudgedChain, keep_judged
from store.sightings.looks import certificates_of, digest_of_looks, looks_of

# A hostile chain costs half a second of signatures (formats.paths), and a page may have two thousand of them.
BEAT_EVERY = 20


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that was served and can be read."""

    facts: Certificate
    trust_class: TrustClass

    def life(self, ends_at: datetime, issuer_spki: str = "") -> Life:
        return life_from(self.facts, self.trust_class, ends_at, issuer_spki)

    @property
    def own_life(self) -> Life:
        """Until its own end, whatever ends before it on its path: what is planned is as long as what it replaces."""
        return self.life(self.facts.not_after)


class Discovered:
    """What one discovery saw, kept small: no DER, and one judgement for all places that serve the same chain."""

    def __init__(self, policy: Policy, now: datetime, verdicts: Verdicts) -> None:
        self.policy, self.now = policy, now
        self.looks: dict[Slot, Look] = {}
        self.chains: dict[Chain, Path] = {}
        self.leaves: dict[str, Leaf] = {}
        # Address -> the names that were asked for there by name.
        self.names_asked: dict[str, set[str]] = {}
        self.digest = ""
        self._builder, self._verdicts = paths_below(policy.roots), verdicts
        self._shared: dict[Chain, Chain] = {}
        self._paths: dict[str, tuple[datetime, str]] = {}

    def served(self, look: Look) -> Path | None:
        """None where nothing is served, or what is served cannot be read."""
        return self.chains.get(look.chain)

    def drop(self, slots: Iterable[Slot]) -> None:
        """Forget the looks at ``slots``: before anything is asked of lives."""
        for slot in slots:
            del self.looks[slot]

    def life(self, fingerprint: str) -> Life:
        """With the earliest end of all chains with which it was served: after ``find_paths``."""
        return self.leaves[fingerprint].life(*self._paths[fingerprint])

    def find_paths(self) -> None:
        """Of every leaf: the earliest end of its chains, and the key above it, as far as one of them shows that."""
        for chain in sorted({look.chain for look in self.looks.values()} & self.chains.keys()):
            path = self.chains[chain]
            ends_at, spki = self._paths.get(chain[0], (path.ends_at, path.issuer_spki))
            self._paths[chain[0]] = min(ends_at, path.ends_at), spki or path.issuer_spki

    def add(self, looks: Sequence[Look], evidence: "Evidence", beat: Callable[[], None]) -> list[JudgedChain]:
        """``looks`` with what is known of their chains; gives what was judged anew and may be kept."""
        judged: list[JudgedChain] = []
        met = len(self.chains)
        for look in looks:
            # One tuple for all places that serve the same chain: a hundred thousand places are a few chains.
            chain = self._shared.setdefault(look.chain, look.chain)
            self.looks[Slot(look.url, look.algorithm)] = look if chain is look.chain else replace(look, chain=chain)
            place = Endpoint.parse(look.url)
            if place.sni:
                self.names_asked.setdefault(place.host, set()).add(place.sni)
            if chain and chain not in self.chains and chain[0] in evidence.facts:
                judged += self._add_chain(look, evidence)
                if (len(self.chains) - met) % BEAT_EVERY == 0:
                    beat()
        return judged

    def unjudged(self, looks: Iterable[Look]) -> dict[Chain, datetime]:
        """The chains of ``looks`` that were not met before, each with the time of its first look."""
        met: dict[Chain, datetime] = {}
        for look in looks:
            if look.chain and look.chain not in self.chains:
                met.setdefault(look.chain, look.at)
        return met

    def _add_chain(self, look: Look, evidence: "Evidence") -> list[JudgedChain]:
        """Judged at the time of its first look: within one discovery, minutes decide nothing."""
        chain = look.chain
        facts = evidence.facts[chain[0]]
        if chain[0] not in self.leaves:
            trust_class = trust_class_of(evidence.ders[chain[0]], facts, self.policy.issuers)
            self.leaves[chain[0]] = Leaf(facts, trust_class)
        known = evidence.judged.get(chain)
        if known is not None:
            self.chains[chain] = known.path
            return []
        path = self._builder.ways([evidence.ders[print_] for print_ in chain]).at(look.at)
        self.chains[chain] = path
        if not evidence.facts.keys() >= set(chain):
            # Of what cannot be read no dates are known, and so not how long this holds.
            return []
        return self._verdicts.kept(chain, look.at, path, [evidence.facts[print_] for print_ in chain])


@dataclass(frozen=True, slots=True)
class Evidence:
    """By fingerprint, what the store has of a batch's certificates; ``judged``: chains of it that need no signature
    checked, of which only the leaf is there."""

    ders: Mapping[str, bytes]
    facts: Mapping[str, Certificate]
    judged: Mapping[Chain, JudgedChain]


def read(engine: Engine, discovery_id: str, rules: tuple[Policy, datetime], beat: Callable[[], None]) -> Discovered:
    """Everything that ``discovery_id`` saw, under ``rules``: the policy and the time by which findings are dated.

    Outside the lock and in short transactions: signatures are checked here, for minutes where there are many, and
    nobody may wait for that.  Looks and certificates of a scanned discovery do not change; should they all the same,
    ``digest`` is another one by then.
    """
    verdicts = Verdicts(rules[0])
    seen, last = Discovered(*rules, verdicts), None
    with engine.connect() as connection:
        seen.digest = digest_of_looks(connection, discovery_id)
    while True:
        with engine.connect() as connection:
            looks = looks_of(connection, discovery_id, last)
            if not looks:
                return seen
            evidence = _evidence(connection, seen.unjudged(looks), verdicts)
        keep_judged(engine, seen.add(looks, evidence, beat), rules[1])
        last = Slot(looks[-1].url, looks[-1].algorithm)
        beat()


def _evidence(connection: Connection, unjudged: Mapping[Chain, datetime], verdicts: Verdicts) -> Evidence:
    known = verdicts.of(connection, unjudged)
    wanted = {print_ for chain in unjudged for print_ in (chain[:1] if chain in known else chain)}
    return Evidence(*certificates_of(connection, wanted), known)
