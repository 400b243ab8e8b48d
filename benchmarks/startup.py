"""How long a fresh clone takes until it is ready, until it is settled, and how long a second start takes.

    python benchmarks/startup.py [--runs 3]

Every cold run clones this repository (what is committed) into a temporary folder and begins without .venv and .tools;
what the index of Python packages is asked for may come from the cache of pip and uv.  Each step has a limit.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# Seconds after which a step is given up: far above what is promised, so that a miss is measured and not cut off.
LIMITS = {"cold: ready": 600.0, "cold: settled": 600.0, "stop": 150.0, "warm: ready": 150.0, "warm: settled": 300.0}


@dataclass(frozen=True, slots=True)
class Place:
    clone: Path
    home: Path
    port: int


def measure(run: int) -> dict[str, float]:
    """Seconds of every step of one run.  Raises CalledProcessError or TimeoutExpired."""
    folder = Path(tempfile.mkdtemp(prefix=f"everleaf-startup-{run}-"))
    place = Place(folder / "clone", folder / "home", _free_port())
    took: dict[str, float] = {}
    try:
        subprocess.run(["git", "clone", "-q", str(PROJECT), str(place.clone)], check=True, timeout=60)
        steps = {
            "cold: ready": ["up", "--detach"],
            "cold: settled": ["status", "--wait", "settled", "--timeout", "600"],
            "stop": ["down"],
            "warm: ready": ["up", "--detach"],
            "warm: settled": ["status", "--wait", "settled", "--timeout", "300"],
        }
        for step, arguments in steps.items():
            took[step] = _timed(place, arguments, LIMITS[step])
    finally:
        if place.home.exists():
            _timed(place, ["reset", "--yes"], LIMITS["stop"])
        shutil.rmtree(folder, ignore_errors=True)
    return took


def _free_port() -> int:
    """One of its own: another installation on this machine may begin at the same moment and take the usual one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _timed(place: Place, arguments: list[str], limit: float) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
    environment |= {"EVERLEAF_HOME": str(place.home), "EVERLEAF_API_PORT": str(place.port)}
    began = time.monotonic()
    subprocess.run(
        [str(place.clone / "everleaf"), *arguments],
        env=environment,
        check=True,
        timeout=limit,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds from a fresh clone to ready and settled.")
    parser.add_argument("--runs", type=int, default=3)
    runs = [measure(number + 1) for number in range(parser.parse_args().runs)]
    print(f"{len(runs)} runs, seconds; load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'step':16} {'median':>8} {'least':>8} {'most':>8}")
    for step in LIMITS:
        taken = [run[step] for run in runs]
        print(f"{step:16} {statistics.median(taken):8.1f} {min(taken):8.1f} {max(taken):8.1f}")


if __name__ == "__main__":
    main()
