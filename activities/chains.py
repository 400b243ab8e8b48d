"""Served chains held against the roots of the policy."""

from collections.abc import Sequence
from datetime import datetime

from domain.certificate import Certificate, TrustClass
from domain.paths import Path
from domain.tiers import Policy
from formats.paths import PathBuilder, Ways
from formats.x509 import fingerprint_of, load_pem_chain, trust_class_of

# The looks of one discovery meet the same chain again and again; a chain that is met anew costs its signatures again.
MOST_REMEMBERED = 2000


class Chains:
    """``chain``: DER as served, leaf first.  Each is built once, whatever the times at which it is asked for."""

    def __init__(self, policy: Policy) -> None:
        self._issuers = policy.issuers
        self._has_roots = bool(policy.roots)
        self._builder = PathBuilder([der for pem in policy.roots for der in load_pem_chain(pem.encode())])
        self._ways: dict[tuple[str, ...], Ways] = {}

    def path(self, chain: Sequence[bytes], at: datetime) -> Path:
        """The best path of ``chain`` as it is served ``at`` that time.  Raises BadInput where nothing of it is."""
        return self._ways_of(chain).at(at)

    def is_good(self, chain: Sequence[bytes], leaf: Certificate | None, is_ours: bool, at: datetime) -> bool:
        """Ours was judged when it was ordered or adopted, and need only be whole; a stranger's chain must lead where
        ours may (DESIGN rule 9): a private one to a root of the policy, where it names any."""
        if leaf is None:
            return False
        path = self.path(chain, at)
        return path.is_good if is_ours else self.is_fit(path, trust_class_of(chain[0], leaf, self._issuers))

    def is_fit(self, path: Path, trust_class: TrustClass) -> bool:
        """Whether the ``path`` of a stranger of ``trust_class`` is good and leads where ours may."""
        leads = path.rooted or not self._has_roots or trust_class is not TrustClass.PRIVATE
        return path.is_good and leads

    def _ways_of(self, chain: Sequence[bytes]) -> Ways:
        prints = tuple(fingerprint_of(der) for der in chain)
        if prints not in self._ways:
            if len(self._ways) >= MOST_REMEMBERED:
                self._ways.clear()
            self._ways[prints] = self._builder.ways(chain)
        return self._ways[prints]
