"""The sample estate: ``prepare`` writes it, ``serve`` serves it, ``extra`` changes it behind our back.

    python -m demo.estate serve DIR
    python -m demo.estate extra DIR --add 7 --remove 3

Below DIR/demo: ``endpoints/<address>_<port>/[<name>/]<algorithm>.chain.pem`` and ``.key.pem``, ``vpn/*.pem``, ``ca/``.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from demo.authorities import (
    NAMES,
    PrivateKey,
    StandIn,
    issue,
    key_pem,
    load,
    make_key,
    make_stand_in,
    save,
    write_secret,
)
from demo.census import DAY, WORDS, Entry, Place, Signer, asked_names, census
from demo.listeners import serve_folder
from domain.errors import NotReady

TEMPLATE = Path(__file__).with_name("policy.yaml")
TEMPLATE_HOME = "/var/lib/everleaf"
# The census is written for 127.40/16; where another estate listens there already, the next network is taken.
NETWORK = "127.40."
NETWORKS = tuple(f"127.{number}." for number in range(40, 60))
# Addresses of the scope that the census leaves free, for listeners that nobody announced.
UNANNOUNCED = "6.{host}"
FIRST_UNANNOUNCED = 50


def unclaimed(name: str) -> bool:
    """For whoever prepares one estate alone."""
    return bool(name)


def prepare(
    data_dir: Path, now: datetime | None = None, *, seed: int = 1, claim: Callable[[str], bool] = unclaimed
) -> None:
    """Write the estate and its policy below ``data_dir``.  A second call changes nothing.

    Interrupted, it begins anew: the mark that it is whole is written last.  ``claim`` says whether a network is ours
    alone: between the choice and the first listener another installation could choose the same.
    """
    home = data_dir / "demo"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = home / "prepared.json"
    entries = census(seed)
    if not mark.exists():
        for part in ("endpoints", "vpn", "ca", "removed"):
            shutil.rmtree(home / part, ignore_errors=True)
        network = _free_network(claim)
        _write_estate(home, _moved(entries, network), seed, now or datetime.now(UTC))
        mark.write_text(json.dumps({"seed": seed, "network": network, "certificates": len(entries)}) + "\n")
    elif not claim(_claimed_as(network := json.loads(mark.read_text())["network"])):
        raise NotReady(f"another estate has taken {network}0.0/16 meanwhile; end it with `everleaf down`, or reset.")
    policy = data_dir / "policy.yaml"
    if not policy.exists():
        draft = policy.with_suffix(".new")
        network = json.loads(mark.read_text())["network"]
        write_secret(draft, _policy(data_dir, _moved(entries, network), network).encode())
        os.replace(draft, policy)


def _claimed_as(network: str) -> str:
    return f"network-{network}"


def _free_network(claim: Callable[[str], bool]) -> str:
    """The first network that nobody has claimed and on whose first endpoint nobody listens."""
    for network in NETWORKS:
        with socket.socket() as probe:
            heard = probe.connect_ex((f"{network}1.1", 8443)) == 0
        # Claimed last: a claim on a network that is not taken would keep it from others for nothing.
        if not heard and claim(_claimed_as(network)):
            return network
    raise NotReady(f"other estates listen on every network from {NETWORKS[0]} on; end one with `everleaf down`")


def _moved(entries: tuple[Entry, ...], network: str) -> tuple[Entry, ...]:
    def moved(place: Place) -> Place:
        return replace(place, address=place.address.replace(NETWORK, network, 1))

    return tuple(replace(entry, places=tuple(moved(place) for place in entry.places)) for entry in entries)


def _write_estate(home: Path, entries: tuple[Entry, ...], seed: int, now: datetime) -> None:
    organization = WORDS[(seed - 1) % len(WORDS)].domain.partition(".")[0].capitalize() + " Telecom"
    stand_ins: dict[Signer, StandIn] = {}
    for signer in NAMES:
        stand_ins[signer] = make_stand_in(signer, organization, now)
        save(stand_ins[signer], home / "ca" / signer)
    keys: dict[str, PrivateKey] = {}
    for entry in entries:
        key = keys[entry.shares] if entry.shares else make_key(entry.key)
        keys[entry.names[0]] = key
        _write_entry(home, entry, key, issue(entry, key, stand_ins.get(entry.signer), now))


def _write_entry(home: Path, entry: Entry, key: PrivateKey, chain: bytes) -> None:
    for place in entry.places:
        chain_path, key_path = _paths(home, place, entry)
        chain_path.parent.mkdir(parents=True, exist_ok=True)
        chain_path.write_bytes(chain)
        write_secret(key_path, key_pem(key))
        if entry.lies:
            (chain_path.parent / "lies").touch()


def _paths(home: Path, place: Place, entry: Entry) -> tuple[Path, Path]:
    if place.file:
        path = home / "vpn" / place.file
        return path, path.with_suffix(".key")
    folder = home / "endpoints" / f"{place.address}_{place.port}" / place.sni
    algorithm = entry.key.partition("-")[0]
    return folder / f"{algorithm}.chain.pem", folder / f"{algorithm}.key.pem"


def _policy(data_dir: Path, entries: tuple[Entry, ...], network: str) -> str:
    text = TEMPLATE.read_text().replace(TEMPLATE_HOME, str(data_dir)).replace(NETWORK, network)
    names = "".join(f"\n    - {json.dumps(name)}" for name in asked_names(entries))
    roots = "".join(_yaml_block(data_dir / "demo" / "ca" / signer / "root.pem") for signer in NAMES)
    return text.replace("  names: []", f"  names:{names}", 1).replace("roots: []", f"roots:{roots}", 1)


def _yaml_block(pem: Path) -> str:
    return "\n  - |\n" + "".join(f"    {line}\n" for line in pem.read_text().splitlines()).rstrip("\n")


def serve(data_dir: Path) -> None:
    """Serve every endpoint until the process is ended; ``demo/estate.ready`` says that all of them listen."""
    home = data_dir / "demo"
    asyncio.run(serve_folder(home / "endpoints", home / "estate.ready"))


def extra(data_dir: Path, *, add: int, remove: int, now: datetime | None = None) -> tuple[list[str], list[str]]:
    """Bring up ``add`` listeners that no generator knows and take ``remove`` away; gives both as ``address:port``."""
    home = data_dir / "demo"
    stand_in = load(home / "ca" / "internal")
    network = json.loads((home / "prepared.json").read_text())["network"]
    added: list[str] = []
    host = FIRST_UNANNOUNCED
    while len(added) < add:
        address = network + UNANNOUNCED.format(host=host)
        place = Place(address, 8443)
        host += 1
        if (home / "endpoints" / f"{address}_8443").exists():
            continue
        entry = Entry((f"shadow-{host}.dc.example",), (place,), "internal", 365 * DAY, 200 * DAY)
        # Made aside and moved in whole: the server must not meet half a folder.
        key = make_key(entry.key)
        _write_entry(home / "arriving", entry, key, issue(entry, key, stand_in, now or datetime.now(UTC)))
        os.replace(home / "arriving" / "endpoints" / f"{address}_8443", home / "endpoints" / f"{address}_8443")
        added.append(f"{address}:8443")
    return added, _take_away(home, remove)


def _take_away(home: Path, remove: int) -> list[str]:
    """Ordinary cell-site listeners: one certificate, one place."""
    (home / "removed").mkdir(exist_ok=True)
    taken: list[str] = []
    for folder in sorted((home / "endpoints").glob("127.*.5.*"))[:remove]:
        os.replace(folder, home / "removed" / folder.name)
        taken.append(folder.name.replace("_", ":"))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.estate", description="The sample estate of Everleaf.")
    parser.add_argument("order", choices=("prepare", "serve", "extra"))
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--add", type=int, default=0)
    parser.add_argument("--remove", type=int, default=0)
    given = parser.parse_args()
    match given.order:
        case "prepare":
            prepare(given.data_dir, seed=given.seed)
        case "serve":
            serve(given.data_dir)
        case _:
            added, removed = extra(given.data_dir, add=given.add, remove=given.remove)
            print(json.dumps({"added": added, "removed": removed}))


if __name__ == "__main__":
    main()
