"""What kill -9 leaves: real processes, ended at named points and at random moments."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509

from domain.contracts import CollectOrder, PlaceOrder, Plan
from store import tables
from tests.activities.conftest import House
from tests.launcher.waiting import LONG_SECONDS

ROOT = Path(__file__).parents[2]

COLLECT = """
import sys
from datetime import UTC, datetime, timedelta
from activities.failpoint import failpoint
from activities.issuance import IssuanceActivities
from activities.issuers import ISSUERS, IssuerParts
from domain.contracts import CollectOrder
from domain.tiers import Profile
from store.engine import create_engine

engine = create_engine(sys.argv[1])
profile, point = Profile("nms", timedelta(days=90)), failpoint(sys.argv[2])
parts = IssuerParts(engine, bytes(range(32)), lambda: datetime.now(UTC), tuple, lambda: (profile,), point)
issuing = IssuanceActivities(engine, {kind: make(parts) for kind, make in ISSUERS.items()}, parts.clock)
print("ready", flush=True)
for key in sys.argv[3:]:
    issuing.collect_order(CollectOrder(key))
"""


def collector(url: str, point: str, keys: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", COLLECT, url, point, *keys]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def one_certificate_per_order(house: House, keys: list[str]) -> None:
    for key in keys:
        assert house.issuance.collect_order(CollectOrder(key)).state == "issued"
    with house.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.ca_issued)).all()
        released = connection.execute(sa.select(tables.orders.c.order_key, tables.orders.c.chain)).all()
    assert sorted(row.number for row in rows) == list(range(1, len(keys) + 1))
    sealed = {row.order_key: bytes(row.der) for row in rows}
    assert {row.order_key: bytes(row.chain[0]) for row in released} == sealed
    for row in rows:
        assert x509.load_der_x509_certificate(row.der).serial_number == int(row.serial, 16)


@pytest.mark.parametrize("point", ["issue.intended", "issue.signed", "issue.committed"])
def test_a_killed_issuer_leaves_one_certificate_per_order(
    house: House, database_url: str, plan: Plan, point: str
) -> None:
    house.orders.place_order(PlaceOrder("mc-1.1.1.1", "mc-1", plan))
    killed = collector(database_url, point, ["mc-1.1.1.1"])
    killed.communicate(timeout=LONG_SECONDS)
    assert killed.returncode == -signal.SIGKILL
    one_certificate_per_order(house, ["mc-1.1.1.1"])


@pytest.mark.long
def test_issuers_killed_at_random_leave_one_certificate_per_order(house: House, database_url: str, plan: Plan) -> None:
    keys = [f"mc-1.1.1.{number}" for number in range(40)]
    for key in keys:
        house.orders.place_order(PlaceOrder(key, "mc-1", plan))
    chance = random.Random(20_261_124)
    for _ in range(5):
        racing = [collector(database_url, "", chance.sample(keys, len(keys))) for _ in range(2)]
        for process in racing:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.3))
        for process in racing:
            process.kill()
            process.communicate()
    one_certificate_per_order(house, keys)
