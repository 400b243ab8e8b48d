"""The scope of one discovery: inside the policy's, fixed when it begins, cut into pages."""

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from itertools import islice
from typing import Any

from domain.contracts import DiscoveryRequest
from domain.errors import BadInput
from domain.tiers import Scope

PAGE_TARGETS = 256
# Pages beyond this only fill the history of the workflow; the pages of a larger scope are larger instead.
MOST_PAGES = 1000
DNS_SECONDS = 3.0

Network = IPv4Network | IPv6Network
REMEDY = "Ask for a part of the policy's scope, or have the security head widen it."


@dataclass(frozen=True, slots=True)
class FixedScope:
    """What the pages are cut from.  ``names``: address, or "*" for every one, to the names that are asked for there."""

    cidrs: tuple[str, ...]
    ports: tuple[int, ...]
    names: dict[str, tuple[str, ...]]
    paths: tuple[str, ...]
    page_targets: int

    @property
    def targets(self) -> int:
        return sum(_size(network) for network in _networks(self.cidrs)) * len(self.ports)

    @property
    def pages(self) -> int:
        return self.tls_pages + (1 if self.paths else 0)

    @property
    def tls_pages(self) -> int:
        return -(-self.targets // self.page_targets)

    def places(self, page: int) -> tuple[tuple[str, int], ...]:
        """The addresses and ports of ``page``, always the same ones."""
        every = ((str(host), port) for net in _networks(self.cidrs) for host in _hosts(net) for port in self.ports)
        return tuple(islice(every, page * self.page_targets, (page + 1) * self.page_targets))

    def names_at(self, hosts: Iterable[str]) -> dict[str, tuple[str, ...]]:
        everywhere = self.names.get("*", ())
        return {host: (*everywhere, *self.names.get(host, ())) for host in set(hosts)}

    def contains(self, host: str) -> bool:
        return any(ip_address(host) in network for network in _networks(self.cidrs))

    def to_json(self) -> dict[str, Any]:
        names = {address: list(names) for address, names in self.names.items()}
        lists = {"cidrs": list(self.cidrs), "ports": list(self.ports), "paths": list(self.paths)}
        return {**lists, "names": names, "page_targets": self.page_targets}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "FixedScope":
        names = {address: tuple(names) for address, names in stored["names"].items()}
        lists = (tuple(stored["cidrs"]), tuple(stored["ports"]))
        return cls(*lists, names, tuple(stored["paths"]), stored["page_targets"])


async def fix_scope(request: DiscoveryRequest, scope: Scope) -> FixedScope:
    """The scope of ``request``, its names resolved.  Raises BadInput for anything outside the policy's scope.

    Whoever names a part means that part: paths alone look at no network, a network at no files, names alone only where
    these are.  Ports narrow the network that is looked at, and alone mean all of it.
    """
    asks_network = bool(request.cidrs or request.ports or request.names)
    permitted = _cidrs(request.cidrs, scope.cidrs)
    ports = tuple(sorted(set(_among("ports", request.ports, scope.ports))))
    paths = tuple(sorted(set(_among("paths", request.paths, scope.paths))))
    asked = tuple(sorted(set(_among("names", request.names, scope.names))))
    if request.paths and not asks_network:
        return FixedScope((), ports, {}, paths, PAGE_TARGETS)
    names = await _resolve(asked, _networks(permitted))
    if request.names and not request.cidrs:
        permitted = _where(names, permitted)
    if asks_network and not request.paths:
        paths = ()
    bare = FixedScope(permitted, ports, names, paths, PAGE_TARGETS)
    return FixedScope(permitted, ports, names, paths, max(PAGE_TARGETS, -(-bare.targets // MOST_PAGES)))


def _where(names: Mapping[str, tuple[str, ...]], permitted: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses at which ``names`` are asked for, as far as they are permitted; all of the permitted ones where DNS
    does not know one of the names."""
    if "*" in names:
        return permitted
    inside = [a for a in names if any(ip_address(a) in network for network in _networks(permitted))]
    return tuple(str(network) for network in _networks(inside))


def _among(field: str, asked: Sequence[Any], allowed: Sequence[Any]) -> tuple[Any, ...]:
    for one in asked:
        if one not in allowed:
            raise BadInput(field, f"{one!r} is outside the scope of the policy", REMEDY)
    return tuple(asked) or tuple(allowed)


def _cidrs(asked: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    permitted = _networks(allowed)
    for cidr in asked:
        try:
            network = ip_network(cidr)
        except ValueError as error:
            raise BadInput("cidrs", f"{cidr!r} is not a CIDR ({error})", "Write for example 10.0.4.0/24.") from error
        if not any(_is_inside(network, outer) for outer in permitted):
            raise BadInput("cidrs", f"{cidr} is outside the scope of the policy", REMEDY)
    return tuple(str(network) for network in _networks(asked or allowed))


def _is_inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def _networks(cidrs: Iterable[str]) -> list[Network]:
    """Sorted and without overlaps, so that no socket is asked twice and every page is the same for ever."""
    networks = [ip_network(cidr) for cidr in cidrs]
    v4 = collapse_addresses([net for net in networks if isinstance(net, IPv4Network)])
    v6 = collapse_addresses([net for net in networks if isinstance(net, IPv6Network)])
    return [*sorted(v4), *sorted(v6)]


def _hosts(network: Network) -> Iterable[Any]:
    return network.hosts()


def _size(network: Network) -> int:
    if network.num_addresses <= 2:
        return network.num_addresses
    # hosts() leaves out network and broadcast address, in IPv6 only the subnet-router anycast address.
    return network.num_addresses - (2 if network.version == 4 else 1)


async def _resolve(names: Sequence[str], networks: Sequence[Network]) -> dict[str, tuple[str, ...]]:
    """Where each name is asked for: ``name@address`` there; else where DNS says; else, unknown to DNS, everywhere."""
    answers = await asyncio.gather(*(_addresses(name) for name in names if "@" not in name))
    resolved = dict(zip((name for name in names if "@" not in name), answers, strict=True))
    where: dict[str, set[str]] = {}
    for name in names:
        host, _, address = name.lower().partition("@")
        if address:
            where.setdefault(address, set()).add(host)
            continue
        found = resolved[name]
        inside = [a for a in found if any(ip_address(a) in network for network in networks)]
        for place in inside if found else ["*"]:
            where.setdefault(place, set()).add(host)
    return {place: tuple(sorted(hosts)) for place, hosts in sorted(where.items())}


async def _addresses(name: str) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DNS_SECONDS):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return tuple(sorted({str(address[4][0]) for address in found}))
