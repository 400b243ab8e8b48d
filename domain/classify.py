"""Chain of named rules: what was seen -> tier, service, owner and the reason.  The first rule that matches wins."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from urllib.parse import quote

from domain.certificate import Slot
from domain.tiers import Matcher, Policy, Tier


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a certificate from outside.  ``hosts``: addresses; ``issuer``: its distinguished name."""

    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()
    issuer: str = ""

    @classmethod
    def at(cls, slots: Iterable[Slot], names: tuple[str, ...] = (), issuer: str = "") -> "Seen":
        """What a certificate of ``names`` at ``slots`` looks like to a matcher."""
        places = [slot.endpoint for slot in slots]
        return cls(
            names=names,
            hosts=tuple(sorted({place.host for place in places if place.host})),
            ports=tuple(sorted({place.port for place in places if place.port})),
            paths=tuple(sorted({place.path for place in places if place.path})),
            issuer=issuer,
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a certificate belongs.  ``reason`` names the rule and what matched; not ``placed``: no rule did."""

    tier: Tier
    service: str
    owner: str
    reason: str
    placed: bool = True


def classify(policy: Policy, seen: Seen) -> Placement:
    """The placement that the first matching rule gives.

    What no rule can place runs on customer-facing lead times and is marked (DESIGN rule 2).
    """
    for rule in policy.rules:
        why = match(rule.when, seen)
        if why is not None:
            owner = rule.owner or next((s.owner for s in policy.services if s.id == rule.service), "")
            return Placement(rule.tier, rule.service, owner, f"rule '{rule.name}': {why}")
    reason = "no rule matches; customer-facing lead times until somebody names its tier"
    return Placement(Tier.CUSTOMER_FACING, "", "", reason, placed=False)


def match(when: Matcher, seen: Seen) -> str | None:
    """What matched, in words, or None.  All given fields must match, each by one of its values."""
    reasons: list[str] = []
    for word, wanted, found, fits in _fields(when, seen):
        if not wanted:
            continue
        hit = next(((w, f) for w in wanted for f in found if fits(w, f)), None)
        if hit is None:
            return None
        wanted_one, found_one = hit[0], in_words(hit[1])
        reasons.append(f"{word} {found_one} matches {wanted_one}" if wanted_one != hit[1] else f"{word} is {found_one}")
    return ", ".join(reasons) or "matches everything"


def in_words(seen: str) -> str:
    """``seen`` to be read: a path is bytes, and what cannot be printed of it stands as in its URL (RFC 3986, 2.1)."""
    return "".join(c if c.isprintable() else quote(c, safe="", errors="surrogateescape") for c in seen)


Fits = Callable[[str, str], bool]


def _fields(when: Matcher, seen: Seen) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...], Fits]]:
    yield "name", when.names, seen.names, _is_like
    yield "address", when.hosts, seen.hosts, _is_inside
    yield "port", tuple(map(str, when.ports)), tuple(map(str, seen.ports)), str.__eq__
    yield "issuer", when.issuers, (seen.issuer,) if seen.issuer else (), _is_like
    yield "path", when.paths, seen.paths, _is_path_like


def _is_path_like(glob: str, path: str) -> bool:
    """Paths keep their case."""
    return fnmatchcase(path, glob)


def _is_like(glob: str, text: str) -> bool:
    # `*` crosses dots; names and distinguished names compare without case (RFC 4343, RFC 5280 7.1).
    return fnmatchcase(text.lower(), glob.lower())


def _is_inside(cidr: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(cidr)
    except ValueError:
        return False
