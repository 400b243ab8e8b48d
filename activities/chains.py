"""Served chains held against the roots of the policy."""

from collections.abc import Sequence
from datetime import datetime

from domain.paths import Path
from domain.tiers import Policy
from formats.paths import Ways
from formats.roots import paths_below
from formats.x509 import fingerprint_of

# The looks of one discovery meet the same chain again and again; a chain that is met anew costs its signatures again.
MOST_REMEMBERED = 2000


class Chains:
    """``chain``: DER as served, leaf first.  Each is built once, whatever the times at which it is asked for."""

    def __init__(self, policy: Policy) -> None:
        self._builder = paths_below(policy.roots)
        self._ways: dict[tuple[str, ...], Ways] = {}

    def path(self, chain: Sequence[bytes], at: datetime) -> Path:
        """The best path of ``chain`` as it is served ``at`` that time.  Raises BadInput where nothing of it is."""
        return self._ways_of(chain).at(at)

    def _ways_of(self, chain: Sequence[bytes]) -> Ways:
        prints = tuple(fingerprint_of(der) for der in chain)
        if prints not in self._ways:
            if len(self._ways) >= MOST_REMEMBERED:
                self._ways.clear()
            self._ways[prints] = self._builder.ways(chain)
        return self._ways[prints]
