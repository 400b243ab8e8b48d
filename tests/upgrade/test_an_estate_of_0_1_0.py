"""A database of a 0.1.0 demo estate is carried over: its lifecycles go on from what the store holds of them.

The dump is of 320 certificates after twenty minutes of `everleaf up` at the tag v0.1.0: without keys, sessions, tokens
and histories, which nothing here needs.
"""

import lzma
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import Engine

from activities.recording import RecordingActivities, RecordingParts
from domain.contracts import Recall
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.commands import DueMoments, StepDone, TakeRules
from domain.lifecycle.decide import base_of, decide
from domain.lifecycle.evolve import evolve
from domain.lifecycle.refold import Recalled, lacks
from domain.lifecycle.rules import NEWEST
from domain.lifecycle.served import lives
from domain.lifecycle.standing import severity
from domain.lifecycle.state import LifecycleState, Recalling
from domain.lifecycle.view import snapshot
from store import reader
from store.engine import create_engine
from store.migrate import upgrade
from tests.servers import Cluster

pytestmark = pytest.mark.server

DUMP = Path(__file__).parent / "estate-0.1.0.sql.xz"
# A moment after it was taken.
NOW = datetime(2026, 11, 30, 13, 56, tzinfo=UTC)


@pytest.fixture(scope="module")
def carried(cluster: Cluster) -> Iterator[Engine]:
    """The estate as 0.1.0 left it, migrated to what this release needs."""
    cluster.execute("CREATE DATABASE carried")
    url = cluster.url("carried")
    dumped = lzma.decompress(DUMP.read_bytes()).decode()
    # What psql alone reads.
    statements = "\n".join(line for line in dumped.splitlines() if not line.startswith("\\"))
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute(statements.encode())
    upgrade(url)
    engine = create_engine(url)
    yield engine
    engine.dispose()
    cluster.execute("DROP DATABASE carried WITH (FORCE)")


@pytest.fixture(scope="module")
def recalled(carried: Engine) -> dict[str, Recalled]:
    """What the store gives of each lifecycle."""
    parts = RecordingParts(carried, None, "0.2.0", lambda: NOW)  # type: ignore[arg-type]  # a recall asks no Temporal
    activities = RecordingActivities(parts)
    with carried.connect() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM managed_certificates ORDER BY id")]
    return {managed_id: activities.recall(Recall(managed_id)) for managed_id in ids}


def begun_anew(managed_id: str, told: Recalled) -> LifecycleState:
    """As `everleaf upgrade` begins it: a run that takes the newest rules and reads the store."""
    state = LifecycleState(managed_id, recall=Recalling("everleaf", "ended"))
    for command in (TakeRules(NEWEST), StepDone(Recall(managed_id), told), DueMoments()):
        _, happened = decide(state, command, NOW)
        state = base_of(state, command)
        for fact in happened:
            state = evolve(state, fact)
    return state


def test_every_certificate_of_0_1_0_is_still_there_and_readable(carried: Engine, recalled: dict[str, Recalled]) -> None:
    assert len(recalled) == 320
    for managed_id, told in recalled.items():
        assert told.state is not None, managed_id
        assert told.state.life is not None and told.state.terms is not None
        row = reader.get_certificate(carried, managed_id)
        assert row["fingerprint"] == told.state.life.fingerprint
        assert row["generation"] == told.state.generation
        assert row["calls"] == [] and row["blocked_by"] == ""


def test_what_the_looks_of_0_1_0_lack_is_read_from_the_certificates(recalled: dict[str, Recalled]) -> None:
    lacked = 0
    for managed_id, told in recalled.items():
        assert told.state is not None
        lacked += len(lacks(told.state))
        state = begun_anew(managed_id, told)
        assert lacks(state) == (), managed_id
        assert all(seen.not_before is not None for place in state.places for seen in place.lives)
        for one in lives(state):
            assert one.ends_at - one.not_before == one.length
    assert lacked >= 320, "the dump says less than is needed, or this test says nothing"


def test_every_lifecycle_goes_on_under_the_newest_rules_with_a_next_moment(recalled: dict[str, Recalled]) -> None:
    for managed_id, told in recalled.items():
        state = begun_anew(managed_id, told)
        assert told.state is not None
        assert (state.rules, state.recall, state.generation) == (NEWEST, None, told.state.generation)
        assert next_moment(state, NOW) is not None
        row = snapshot(state, NOW)
        assert row is not None and row.severity == severity(state, NOW)


def test_who_was_escalated_stays_so_and_what_was_asked_is_asked(recalled: dict[str, Recalled]) -> None:
    states = {managed_id: begun_anew(managed_id, told) for managed_id, told in recalled.items()}
    waiting = [state for state in states.values() if state.case is not None and state.case.stage == "awaiting-approval"]
    assert len(waiting) >= 10
    told = [state for state in states.values() if state.climbs]
    assert len(told) >= 5
    foreign = [state for state in states.values() if any(one.kind == "foreign-certificate" for one in state.questions)]
    assert foreign, "one file was replaced by hand"
    # The rung that was told before the upgrade is not told as a new one.
    for state in told:
        assert all(climb.last_at < NOW for climb in state.climbs)
