"""What one discovery saw served: chains, and the life of every leaf in them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from activities.chains import Chains
from domain.certificate import Certificate, Life, Look
from domain.paths import Path
from domain.tiers import Policy
from formats.x509 import life_of


class Served:
    """``ders`` and ``facts``: by fingerprint; what could not be parsed has no facts."""

    def __init__(
        self, policy: Policy, looks: Collection[Look], ders: Mapping[str, bytes], facts: Mapping[str, Certificate]
    ) -> None:
        self._policy, self._looks, self._ders, self._facts = policy, looks, ders, facts
        self._chains = Chains(policy)
        self._lives: dict[str, Life] = {}

    def chain(self, look: Look) -> list[bytes]:
        return [self._ders[print_] for print_ in look.chain]

    def end(self, look: Look) -> datetime | None:
        """E of the path of ``look``; None where its leaf cannot be read."""
        return self.path(look).ends_at if look.leaf in self._facts else None

    def is_good(self, look: Look, is_ours: bool) -> bool:
        return self._chains.is_good(self.chain(look), self._facts.get(look.leaf or ""), is_ours, look.at)

    def path(self, look: Look) -> Path:
        """As it was served at the time of ``look``.  Raises BadInput where its leaf cannot be read."""
        return self._chains.path(self.chain(look), look.at)

    def life(self, leaf: str) -> Life:
        """With the earliest end of all chains with which ``leaf`` was served; of the leaf alone where it was not."""
        if leaf not in self._lives:
            ends = [end for look in self._looks if look.leaf == leaf and (end := self.end(look)) is not None]
            alone = life_of([self._ders[leaf]], self._policy.issuers)
            self._lives[leaf] = replace(alone, ends_at=min(ends, default=alone.ends_at))
        return self._lives[leaf]

    def own_life(self, leaf: str) -> Life:
        """Until its own end, whatever ends before it on its path: what is planned is as long as what it replaces."""
        return replace(self.life(leaf), ends_at=self._facts[leaf].not_after)
