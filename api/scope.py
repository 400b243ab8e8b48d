"""Whether a discovery stays inside the policy's scope: refused before it starts, naming the field."""

import ipaddress
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from api.bodies import DiscoveryAsked
from domain.errors import BadInput
from domain.tiers import Scope


def check_scope(asked: DiscoveryAsked, scope: Scope) -> None:
    """Raises BadInput for the first thing outside ``scope``."""
    allowed = [ipaddress.ip_network(cidr, strict=False) for cidr in scope.cidrs]
    for place, cidr in enumerate(asked.cidrs):
        field = f"cidrs.{place}"
        try:
            network = ipaddress.ip_network(cidr, strict=False)
        except ValueError as error:
            raise BadInput(field, f"is not a CIDR ({error})", "Write for example 10.0.4.0/24.") from error
        if not any(_inside(network, other) for other in allowed):
            raise _outside(field, cidr, scope.cidrs)
    for place, port in enumerate(asked.ports):
        if port not in scope.ports:
            raise _outside(f"ports.{place}", str(port), tuple(str(known) for known in scope.ports))
    for place, name in enumerate(asked.names):
        if name not in scope.names and name not in {known.partition("@")[0] for known in scope.names}:
            raise _outside(f"names.{place}", name, scope.names)
    for place, path in enumerate(asked.paths):
        # A wildcard or a step upwards in the question could reach further than its text matches.
        plain = "*" not in path and ".." not in PurePosixPath(path).parts
        if path not in scope.paths and not (plain and any(fnmatchcase(path, known) for known in scope.paths)):
            raise _outside(f"paths.{place}", path, scope.paths)


def _inside(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, other: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return network.subnet_of(other)
    if isinstance(network, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return network.subnet_of(other)
    return False


def _outside(field: str, given: str, known: tuple[str, ...]) -> BadInput:
    shown = ", ".join(known[:5]) + (" ..." if len(known) > 5 else "")
    remedy = f"Inside are: {shown}." if known else "The scope has none."
    return BadInput(field, f"{given[:200]!r} is outside the policy's scope", f"{remedy} A change of policy widens it.")
