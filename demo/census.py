"""Who lives in the sample estate: 320 certificates of a regional telecom, from a seed.

Names, lives and places follow from the seed alone; keys are new each time, for they cannot be seeded.  At most 40 keys
are RSA: making one takes about a tenth of a second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Literal

Key = Literal["ecdsa", "rsa", "rsa-1024"]
Signer = Literal["internal", "public", "cpe", "self"]

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
PORTS = (8443, 9443)


@dataclass(frozen=True, slots=True)
class Place:
    """An address and port with an optional name, or, with ``file``, a PEM file below ``vpn``."""

    address: str = ""
    port: int = 0
    sni: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate.  ``left``: until it ends; ``shares``: it has the key of the entry with that first name."""

    names: tuple[str, ...]
    places: tuple[Place, ...]
    signer: Signer
    life: timedelta
    left: timedelta
    key: Key = "ecdsa"
    usages: tuple[str, ...] = ("server",)
    has_chain: bool = True
    lies: bool = False
    shares: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """How one operator names things."""

    domain: str
    billing: tuple[str, ...]
    portal: tuple[str, ...]
    management: tuple[str, ...]
    gateways: tuple[str, ...]
    cells: tuple[str, ...]
    centre: tuple[str, ...]


WORDS = (
    Words(
        "sahyadri.example",
        ("pay", "invoice", "rating", "mediation", "dunning"),
        ("my", "recharge", "plans", "store", "port-in"),
        ("ems", "nms", "alarm", "pm", "inventory"),
        ("vpn", "ipsec", "bng"),
        ("gnb-pune", "enb-satara", "olt-nashik", "agg-kolhapur"),
        ("ldap", "git", "wiki", "backup", "vcenter"),
    ),
    Words(
        "deccanmobile.example",
        ("charge", "ledger", "tariff", "collect", "tax"),
        ("self", "topup", "offers", "shop", "sim"),
        ("oss", "fault", "perf", "config", "topo"),
        ("remote", "tunnel", "edge"),
        ("site-hyd", "site-vij", "tower-guntur", "ring-nizam"),
        ("idp", "repo", "tickets", "vault", "esx"),
    ),
)


def census(seed: int = 1) -> tuple[Entry, ...]:
    """All 320 entries: 300 on listeners, 20 in files."""
    words = WORDS[(seed - 1) % len(WORDS)]
    chance = Random(seed)  # noqa: S311 - names and dates of a demo, no secret
    zones = (
        _billing(words, chance),
        _portal(words, chance),
        _management(words, chance),
        _gateways(words, chance),
        _cells(words, chance),
        _centre(words, chance),
        _premises(words, chance),
        _lab(words, chance),
        _short_lived(words),
        _clients(words, chance),
    )
    return tuple(entry for zone in zones for entry in zone)


def asked_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What the operator's DNS would say: ``name@address`` for every endpoint that serves more than one name."""
    named = {f"{place.sni}@{place.address}" for entry in entries for place in entry.places if place.sni}
    wrong = {f"wrong.{e.names[0].partition('.')[2]}@{e.places[0].address}" for e in entries if "misnamed" in e.names[0]}
    return tuple(sorted(named | wrong))


def _zone(number: int, count: int) -> Iterator[Place]:
    for index in range(count):
        yield Place(f"127.40.{number}.{index // 2 + 1}", PORTS[index % 2])


def _row(words: Sequence[str], zone: str, count: int, domain: str) -> Iterator[str]:
    for index in range(count):
        yield f"{words[index % len(words)]}-{index // len(words) + 1:02d}.{zone}.{domain}"


def _age(chance: Random, signer: Signer) -> tuple[timedelta, timedelta]:
    """(life, left), well before any lead time."""
    if signer == "public":
        return chance.choice(((199 * DAY, chance.randint(100, 190) * DAY), (398 * DAY, chance.randint(95, 140) * DAY)))
    life = chance.choice((365, 730))
    return life * DAY, chance.randint(95, life - 20) * DAY


def _aged(entries: Sequence[Entry], lefts: Sequence[float]) -> list[Entry]:
    """``entries``, the first of them near their end: ``lefts`` in days."""
    near = [replace(entry, left=left * DAY) for entry, left in zip(entries, lefts, strict=False)]
    return [*near, *entries[len(near) :]]


def _plain(names: Iterator[str], places: Iterator[Place], signers: Sequence[Signer], chance: Random) -> list[Entry]:
    entries: list[Entry] = []
    for name, place, signer in zip(names, places, signers, strict=True):
        life, left = _age(chance, signer)
        entries.append(Entry((name,), (place,), signer, life, left))
    return entries


def _signers(public: int, private: int, own: int = 0) -> list[Signer]:
    # Spread evenly, so that every few hosts there is another story.
    mixed: list[Signer] = []
    for signer, count in _counts(public, private, own):
        mixed += [signer] * count
    return [mixed[index * 7 % len(mixed)] for index in range(len(mixed))] if len(mixed) % 7 else mixed


def _counts(public: int, private: int, own: int) -> tuple[tuple[Signer, int], ...]:
    return (("public", public), ("internal", private), ("self", own))


def _billing(words: Words, chance: Random) -> list[Entry]:
    """50 on 56 sockets: one wildcard on seven of them, two of 47 days, some RSA."""
    names = _row(words.billing, "billing", 50, words.domain)
    entries = _aged(_plain(names, _zone(1, 50), _signers(30, 20), chance), (8, 21, 28, 44, 66, 83))
    wide = tuple(Place(f"127.40.1.{n}", 8443) for n in range(40, 46))
    entries[10] = replace(entries[10], names=(f"*.billing.{words.domain}",), places=(*entries[10].places, *wide))
    for index in (20, 21):
        entries[index] = replace(entries[index], life=47 * DAY, left=(30 + index % 2) * DAY)
    return [replace(e, key="rsa") if index % 6 == 5 else e for index, e in enumerate(entries)]


def _portal(words: Words, chance: Random) -> list[Entry]:
    """40: four endpoints with RSA and ECDSA, three with three names each, many-named ones, one with a wrong name."""
    names = _row(words.portal, "care", 36, words.domain)
    places = list(_zone(2, 30))
    spots = [*places, *(Place(places[n].address, places[n].port, f"tenant{k}.care.{words.domain}") for n, k in _GUESTS)]
    entries = _aged(_plain(names, iter(spots), ["public"] * 36, chance), (12, 26, 55, 70, 88))
    entries = [replace(e, names=(e.places[0].sni,)) if e.places[0].sni else e for e in entries]
    for index in range(8, 12):
        extra = tuple(f"{label}.{entries[index].names[0]}" for label in ("www", "api", "m"))
        entries[index] = replace(entries[index], names=(entries[index].names[0], *extra))
    for index in (14, 15, 16):
        entries[index] = replace(entries[index], life=100 * DAY, left=(70 + index) * DAY)
    # On an address of its own: what DNS says of an address is asked at each of its ports.
    alone = (Place("127.40.2.60", 8443),)
    entries[17] = replace(entries[17], names=(f"misnamed.care.{words.domain}",), places=alone)
    twins = [replace(entry, key="rsa") for entry in entries[20:24]]
    return [*entries, *(replace(twin, left=twin.left - DAY) for twin in twins)]


# (index of a portal endpoint, number of its guest): each serves two more names beside its own.
_GUESTS = ((24, 1), (24, 2), (26, 3), (26, 4), (28, 5), (28, 6))


def _management(words: Words, chance: Random) -> list[Entry]:
    """50, 20 of them bought from the public CA and usable by clients, which its browsers' rules end."""
    names = _row(words.management, "oam", 50, words.domain)
    entries = _aged(_plain(names, _zone(3, 50), _signers(20, 30), chance), (17, 29, 61, 80))
    entries = [replace(e, usages=("server", "client")) if e.signer == "public" else e for e in entries]
    return [replace(e, key="rsa") if index % 9 == 8 else e for index, e in enumerate(entries)]


def _gateways(words: Words, chance: Random) -> list[Entry]:
    """30 enterprise VPN gateways, 14 of them from the public CA."""
    names = _row(words.gateways, "evpn", 30, words.domain)
    entries = _aged(_plain(names, _zone(4, 30), _signers(14, 16), chance), (25, 75))
    return [replace(e, usages=("server", "client")) if e.signer == "public" else e for e in entries]


def _cells(words: Words, chance: Random) -> list[Entry]:
    """62 cell sites: six self-signed, one with a key of 1024 bits, two that do not send their chain, RSA gear."""
    names = _row(words.cells, "ran", 62, words.domain)
    entries = _aged(_plain(names, _zone(5, 62), _signers(0, 56, 6), chance), (40, 86))
    entries[7] = replace(entries[7], key="rsa-1024", signer="internal")
    for index in (11, 13):
        entries[index] = replace(entries[index], has_chain=False, signer="internal")
    return [replace(e, key="rsa") if index % 8 == 3 else e for index, e in enumerate(entries)]


def _centre(words: Words, chance: Random) -> list[Entry]:
    """44 in the data centre: equal names on three nodes, one certificate on four, one expired, a shared key."""
    names = _row(words.centre, "dc", 44, words.domain)
    entries = _aged(_plain(names, _zone(6, 44), _signers(0, 41, 3), chance), (-3, 10, 40, 50, 55, 58))
    for index in range(6):
        entries[index] = replace(entries[index], signer="internal", life=365 * DAY)
    for index in (10, 11, 12):
        entries[index] = replace(entries[index], names=(f"radius.dc.{words.domain}",), signer="internal")
    more = tuple(Place(f"127.40.6.{n}", 8443) for n in range(40, 44))
    entries[14] = replace(entries[14], places=(*entries[14].places, *more))
    entries[16] = replace(entries[16], shares=entries[15].names[0])
    for index, life in ((20, 47), (21, 47), (22, 100), (23, 100)):
        entries[index] = replace(entries[index], life=life * DAY, left=life * 0.7 * DAY)
    return entries


def _premises(words: Words, chance: Random) -> list[Entry]:
    """10 on the premises of enterprise customers, from a CA of their supplier."""
    names = (f"cpe-{n:02d}.customer.{words.domain}" for n in range(1, 11))
    return _aged(_plain(names, _zone(7, 10), ["cpe"] * 10, chance), (35, 70))


def _lab(words: Words, chance: Random) -> list[Entry]:
    """Six that nobody owns, and two that no rule places."""
    names = (f"bench-{n}.lab.{words.domain}" for n in range(1, 7))
    owned = _plain(names, _zone(9, 6), ["internal"] * 6, chance)
    lost = (Place("127.40.9.201", 8443), Place("127.40.9.202", 8443))
    strange = iter((f"appliance-77.{words.domain}", f"legacy-portal.{words.domain}"))
    return [*owned, *_plain(strange, iter(lost), ["internal", "public"], chance)]


def _short_lived(words: Words) -> list[Entry]:
    """Six that live for 20 to 40 minutes: four internal, one of whose reload lies, two network-critical that ask."""
    lives = ((1, 20, False), (2, 25, False), (3, 30, False), (4, 22, True), (9, 30, False), (10, 40, False))
    entries: list[Entry] = []
    for host, minutes, lies in lives:
        name = f"flash-{host:02d}.{'core' if host > 8 else 'dc'}.{words.domain}"
        life = minutes * MINUTE
        entries.append(
            Entry((name,), (Place(f"127.40.8.{host}", 8443),), "internal", life, life - MINUTE / 2, lies=lies)
        )
    return entries


def _clients(words: Words, chance: Random) -> list[Entry]:
    """20 VPN client certificates in files, six of them from the public CA."""
    names = (f"client-{n:02d}.evpn.{words.domain}" for n in range(1, 21))
    places = (Place(file=f"client-{n:02d}.pem") for n in range(1, 21))
    entries = _aged(_plain(names, places, _signers(6, 14), chance), (27, 58))
    return [replace(entry, usages=("client",)) for entry in entries]
