"""What one look costs: our TLS scanner and a loop of `openssl s_client`, over the same live endpoints in the same run.

    python benchmarks/scan.py [--data-dir DIR] [--rounds 3]

The endpoints are those of the sample estate below DIR, which `everleaf up` must be serving.  CPU is that of the looking
side alone: this process, or all the `openssl` children.  The peer starts one process for each endpoint, eight at once.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from activities.scanners.base import Ask, Patience
from activities.scanners.tls import TLSScanner
from cli.home import chosen
from domain.certificate import Endpoint, LookOutcome

PEERS_AT_ONCE = 8
PEER_SECONDS = 10


def endpoints_of(home: Path) -> list[tuple[str, int]]:
    """Address and port of every listener of the estate."""
    folders = sorted(path.name for path in (home / "demo" / "endpoints").iterdir() if path.is_dir())
    return [(name.rpartition("_")[0], int(name.rpartition("_")[2])) for name in folders]


def ours(places: list[tuple[str, int]]) -> int:
    asks = [Ask(Endpoint("tls", host, port)) for host, port in places]
    scanner = TLSScanner(lambda: datetime.now(UTC))
    sights = asyncio.run(scanner.look(asks, Patience(), lambda: None))
    return sum(sight.outcome is LookOutcome.SEEN for sight in sights)


def peer(places: list[tuple[str, int]]) -> int:
    with ThreadPoolExecutor(PEERS_AT_ONCE) as pool:
        return sum(pool.map(_openssl, places))


def _openssl(place: tuple[str, int]) -> bool:
    # Security level 0, as in our scanner: the estate has gear with weak keys.
    command = ["openssl", "s_client", "-connect", f"{place[0]}:{place[1]}", "-showcerts", "-noservername"]
    command += ["-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PEER_SECONDS)
    return b"BEGIN CERTIFICATE" in done.stdout


def measure(look: Callable[[list[tuple[str, int]]], int], places: list[tuple[str, int]]) -> tuple[float, float, int]:
    """Wall and CPU milliseconds for each endpoint, and at how many a certificate was seen."""
    cpu, wall = _cpu_seconds(), time.monotonic()
    seen = look(places)
    wall, cpu = time.monotonic() - wall, _cpu_seconds() - cpu
    return 1000 * wall / len(places), 1000 * cpu / len(places), seen


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of one look, beside openssl s_client.")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    places = endpoints_of(chosen(given.data_dir).path)
    machine = f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    print(f"{len(places)} endpoints, {given.rounds} rounds, medians; {machine}")
    print(f"{'looking side':22} {'seen':>5} {'wall ms':>8} {'CPU ms':>8}")
    for name, look in (("everleaf TLSScanner", ours), ("openssl s_client loop", peer)):
        rounds = [measure(look, places) for _ in range(given.rounds)]
        wall, cpu = (statistics.median(round_[part] for round_ in rounds) for part in (0, 1))
        print(f"{name:22} {min(seen for _, _, seen in rounds):5} {wall:8.2f} {cpu:8.2f}")


if __name__ == "__main__":
    main()
