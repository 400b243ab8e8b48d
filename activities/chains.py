"""Served chains held against the roots of the policy."""

from domain.tiers import Policy
from formats.paths import PathBuilder
from formats.x509 import load_pem_chain


def roots_of(policy: Policy) -> list[bytes]:
    """The DER of every root that ``policy`` names."""
    return [der for pem in policy.roots for der in load_pem_chain(pem.encode())]


def path_builder(policy: Policy) -> PathBuilder:
    """What finds the paths of chains (DER as served, leaf first) below the roots of ``policy``."""
    return PathBuilder(roots_of(policy))
