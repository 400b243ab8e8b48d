"""Ten minutes in which every twenty seconds a random part of `up` is killed, while certificates come due.

The supervisor starts what was killed again; nobody else lends a hand.  Bounded by the number of kills.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Measured
from tests.e2e.product import eventually, everleaf
from tests.faults.test_kill_points import served
from tests.faults.test_servers import BATCH, Installation
from tests.faults.worlds import LISTENERS, end, start
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.long]

KILLS = 30
BETWEEN_SECONDS = 20
# A new certificate comes due with every so many kills.
KILLS_PER_CERTIFICATE = 2
GAPS = "SELECT count(*) FROM (SELECT 1 FROM events GROUP BY stream HAVING count(*) <> max(seq) + 1 OR min(seq) <> 0) g"
DOUBLED = "SELECT count(*) FROM (SELECT 1 FROM orders WHERE state = 'issued' GROUP BY managed_id HAVING count(*) > 1) d"
RENEWED = "SELECT count(*) FROM managed_certificates WHERE generation = 2 AND state = 'sleeping'"


@pytest.fixture
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="evl-kills-", dir="/tmp", ignore_cleanup_errors=True) as name:
        made = Installation(Path(name))
        made.add(made.ports[:1])
        listening = made.folder / "listening"
        listeners = start(["-c", LISTENERS, str(made.folder / "endpoints"), str(listening)], made.folder / "log")
        try:
            until(listening.exists)
            done = everleaf(made.home, "up", "--no-demo", "--detach", EVERLEAF_POLICY=str(made.policy))
            assert done.returncode == 0, done.stderr
            yield made
        finally:
            everleaf(made.home, "down")
            end(listeners)


def until_then(moment: float) -> None:
    """The pace of the load, and no verdict."""
    until(lambda: time.monotonic() > moment)


def test_a_random_part_is_killed_every_twenty_seconds_and_every_renewal_ends_once(
    installation: Installation, record_property: Callable[[str, object], None], measured: Measured
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    record_property("seed", seed)
    chance = random.Random(seed)
    wanted = 1
    for number in range(KILLS):
        next_kill = time.monotonic() + BETWEEN_SECONDS
        living = [one for one in installation.status()["parts"] if one["pid"]]
        victim = chance.choice(sorted(living, key=lambda one: str(one["name"])))
        record_property("killed", victim["name"])
        os.kill(victim["pid"], signal.SIGKILL)
        if number % KILLS_PER_CERTIFICATE == 0 and wanted < len(installation.ports):
            installation.add(installation.ports[wanted : wanted + 1])
            wanted += 1
            # Refused while its part is away; the next round asks again.
            everleaf(installation.home, "discover")
        until_then(next_kill)
    assert wanted > BATCH
    with measured("from the last kill to rest"):
        eventually(lambda: everleaf(installation.home, "discover").returncode == 0, "a discovery is taken")
        eventually(lambda: installation.count(RENEWED) == wanted, f"{wanted} are renewed")
    assert installation.count("SELECT count(*) FROM managed") == wanted
    assert installation.count(DOUBLED) == 0
    assert installation.count(GAPS) == 0
    assert installation.count("SELECT count(*) FROM ca_issued WHERE der IS NOT NULL") == wanted
    serials = ", ".join(f"'{served(port).serial_number:x}'" for port in installation.ports[:wanted])
    assert installation.count(f"SELECT count(*) FROM ca_issued WHERE serial IN ({serials})") == wanted
