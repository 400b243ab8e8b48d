"""Served chains held against the roots of the policy."""

from collections.abc import Sequence
from datetime import datetime

from domain.certificate import Certificate
from domain.tiers import Policy
from formats.x509 import (
    brings_a_strange_root,
    is_chain_whole,
    is_out_of_order,
    is_root_known,
    life_of,
    load_pem_chain,
    trust_class_of,
)


class Chains:
    """``chain``: DER as served, leaf first."""

    def __init__(self, policy: Policy) -> None:
        self._issuers = policy.issuers
        self._roots = tuple(der for pem in policy.roots for der in load_pem_chain(pem.encode()))

    def end(self, chain: Sequence[bytes], leaf: Certificate | None) -> datetime | None:
        """E of ``chain`` as it is served; None where its leaf cannot be read."""
        return None if leaf is None else life_of(chain, self._issuers).ends_at

    def is_whole(self, chain: Sequence[bytes]) -> bool:
        return is_chain_whole(chain, self._roots)

    def is_out_of_order(self, chain: Sequence[bytes]) -> bool:
        return is_out_of_order(chain, self._roots)

    def brings_a_strange_root(self, chain: Sequence[bytes]) -> bool:
        return brings_a_strange_root(chain, self._roots)

    def is_good(self, chain: Sequence[bytes], leaf: Certificate | None, is_ours: bool) -> bool:
        """Ours was judged when it was ordered or adopted, and need only be whole; a stranger's chain must lead where
        ours may (DESIGN rule 9)."""
        if not self.is_whole(chain):
            return False
        if is_ours or leaf is None:
            return True
        return is_root_known(chain, self._roots, trust_class_of(chain[0], leaf, self._issuers))
