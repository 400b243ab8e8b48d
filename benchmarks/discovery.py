"""What one discovery of the whole product costs, and one of a single host after it: files and live TLS servers.

    python -m benchmarks.discovery [--files 2000] [--places 2000]

Starts an installation of its own as `everleaf up` does (PostgreSQL, Temporal's development server, workers, API) over a
folder of PEM files and as many TLS servers on loopback (benchmarks.listeners), each with a certificate of its own below
one CA.  Its first discovery looks at all of them.  Then the API is asked for a discovery of one host: once while the
lifecycles of the first are still being told, and once when all of them have begun and recorded.  Ends with an error
where something is not adopted, and after LIMIT_SECONDS.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.certificates import write_certificates
from benchmarks.lifecycles import POLICY, RECORDED, Product, cpu_of, installation
from benchmarks.listeners import FIRST
from cli.home import PROJECT
from cli.process import dying_with_parent

# Far above what is promised, so that a miss is measured and not cut off.
LIMIT_SECONDS = 900
# The API's own answer says when to look again: a second.  What takes less is to be seen, too.
PAUSE_SECONDS = 0.1

SCOPE = 'scope: {paths: ["FOLDER/*.pem"]'


@contextmanager
def listening(folder: Path) -> Iterator[int]:
    """One server for each file of ``folder``; gives their port."""
    port_file = folder.with_suffix(".port")
    command = [sys.executable, "-m", "benchmarks.listeners", str(folder), str(port_file)]
    served = subprocess.Popen(dying_with_parent(command), cwd=PROJECT)
    try:
        begun = time.monotonic()
        while not (port_file.exists() and port_file.read_text().strip()):
            if served.poll() is not None or time.monotonic() - begun > LIMIT_SECONDS:
                raise SystemExit("the TLS servers do not listen")
            time.sleep(PAUSE_SECONDS)
        yield int(port_file.read_text())
    finally:
        served.terminate()
        served.wait(30)


def policy_of(places: int, port: int) -> str:
    """That of the lifecycles' benchmark, which looks at the servers too."""
    size = 32 - (places + 1).bit_length()
    assert SCOPE in POLICY, "the scope is widened"
    return POLICY.replace(SCOPE, f'{SCOPE}, cidrs: ["{FIRST - 1}/{size}"], ports: [{port}]')


def until(product: Product, begun: float, query: str, wanted: int) -> float:
    """Seconds after ``begun`` at which ``query`` counted ``wanted``."""
    while (found := product.count(query)) < wanted:
        if time.monotonic() - begun > LIMIT_SECONDS:
            raise SystemExit(f"given up: {found} of {wanted}: {query}")
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - begun


def one_host(product: Product, when: str) -> None:
    """Ask the API for a discovery of the last host, until it says that it is done."""
    headers = {"authorization": f"Bearer {product.token}"}
    begun = time.monotonic()
    asked = httpx2.post(f"{product.api}/v1/discoveries", json={"cidrs": [f"{FIRST}/32"]}, headers=headers, timeout=120)
    asked.raise_for_status()
    while True:
        answer = httpx2.get(product.api + asked.json()["resource"], headers=headers, timeout=120)
        # Not there yet is an answer too: nobody has taken it up.
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        if found.get("status") in ("done", "failed"):
            break
        if time.monotonic() - begun > LIMIT_SECONDS:
            raise SystemExit(f"given up: a discovery of one host {when}: {found}")
        time.sleep(PAUSE_SECONDS)
    report = found.get("report") or {}
    if found["status"] != "done" or report.get("new") or report.get("missed"):
        raise SystemExit(f"a discovery of one host {when} came to {found}")
    print(f"one host, {when}: done {time.monotonic() - begun:.1f} s after it was asked for", flush=True)


def measure(files: int, places: int) -> None:
    with tempfile.TemporaryDirectory(prefix="evl-discovery-", dir="/tmp") as name:
        folder = Path(name)
        write_certificates(folder / "pem", files + places, 0)
        (folder / "tls").mkdir()
        for file in sorted((folder / "pem").iterdir())[files:]:
            file.rename(folder / "tls" / file.name)
        with (
            listening(folder / "tls") as port,
            installation(folder, policy_of(places, port)) as product,
        ):
            whole(product, files + places)


def whole(product: Product, certificates: int) -> None:
    machine = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    scanner, worker = product.part("worker-scan"), product.part("worker-lifecycle")
    adopted = "SELECT count(*) FROM discoveries WHERE state = 'adopted'"
    at = until(product, product.begun, adopted, 1)
    governed = product.count("SELECT count(*) FROM managed")
    if governed != certificates:
        raise SystemExit(f"{governed} of {certificates} were adopted")
    took = "SELECT round(extract(epoch FROM finished_at - started_at)) FROM discoveries WHERE state = 'adopted'"
    print(f"{certificates} certificates; {machine}")
    print(f"adopted {product.count(took)} s after the discovery began, {at:.0f} s after `up`")
    print(f"CPU until then: scan worker {cpu_of(scanner):.0f} s, lifecycle worker {cpu_of(worker):.0f} s", flush=True)
    one_host(product, "while lifecycles are told")
    begun = time.monotonic()
    until(product, begun, RECORDED, certificates)
    until(product, begun, "SELECT count(*) FROM notices WHERE sent_at IS NOT NULL", certificates)
    print(f"every lifecycle has begun and recorded {time.monotonic() - product.begun - at:.0f} s after the adoption")
    sleeping = product.count("SELECT count(*) FROM managed_certificates WHERE state = 'sleeping'")
    one_host(product, f"when {sleeping} of {certificates} sleep")


def main() -> None:
    parser = argparse.ArgumentParser(description="One discovery of the whole product, and one of a single host.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--places", type=int, default=2000)
    given = parser.parse_args()
    measure(given.files, given.places)


if __name__ == "__main__":
    main()
