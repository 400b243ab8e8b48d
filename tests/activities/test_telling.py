"""Lifecycles are told once each, in order, and only a few are awake at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from activities import telling
from activities.telling import MOST_AWAKE, TellingActivities
from domain.contracts import LifecyclesTold, Observation, TellLifecycles
from domain.errors import NotReady
from store import tables
from store.sightings.looks import Discovery, begin
from store.sightings.notices import OBSERVATION
from tests.activities.conftest import Crash
from tests.activities.estates import clock

pytestmark = pytest.mark.server


@dataclass
class Lifecycles:
    """Stands for Temporal and for what lifecycles record.  ``broken``: who cannot be told."""

    database: Engine
    records: bool = True
    broken: set[str] = field(default_factory=set)
    heard: list[tuple[str, str]] = field(default_factory=list)
    awake: set[str] = field(default_factory=set)
    most_awake: int = 0

    async def send(self, managed_id: str, notice_id: str) -> None:
        if managed_id in self.broken:
            raise NotReady(f"{managed_id} takes no signal")
        self.heard.append((managed_id, notice_id))
        self.awake.add(managed_id)
        self.most_awake = max(self.most_awake, len(self.awake))

    async def record_for_ever(self) -> None:
        """One after the other comes to rest: it has recorded."""
        while True:
            await asyncio.sleep(0.001)
            for managed_id in sorted(self.awake)[:3] if self.records else ():
                await asyncio.to_thread(self._record, managed_id)
                self.awake.discard(managed_id)

    def _record(self, managed_id: str) -> None:
        with self.database.begin() as connection:
            first = insert(tables.stream_heads).values(stream=managed_id, seq=3, leaf_hash=bytes(32))
            further = {"seq": tables.stream_heads.c.seq + 1}
            connection.execute(first.on_conflict_do_update(index_elements=["stream"], set_=further))


def write_notices(database: Engine, certificates: int, each: int = 1) -> None:
    observed = OBSERVATION.dump_python(Observation("n", "looked", clock()), mode="json")
    rows = [
        {"id": f"n-{number:04}-{copy}", "managed_id": f"mc-{number:04}", "observation": observed, "written_at": clock()}
        for number in range(certificates)
        for copy in range(each)
    ]
    known = [
        {
            "id": f"mc-{number:04}",
            "discovery_id": "d",
            "fingerprints": [],
            "names": [],
            "terms": {},
            "adopted_at": clock(),
        }
        for number in range(certificates)
    ]
    begin(database, Discovery("d", "test", {}, 0, 0), clock())
    with database.begin() as connection:
        connection.execute(sa.insert(tables.managed), known)
        connection.execute(sa.insert(tables.notices), rows)


async def tell(lifecycles: Lifecycles) -> LifecyclesTold:
    activities = TellingActivities(lifecycles.database, clock, lifecycles.send, lambda name: None)
    resting = asyncio.create_task(lifecycles.record_for_ever())
    try:
        return await activities.tell_lifecycles(TellLifecycles("d-1"))
    finally:
        resting.cancel()


async def test_every_notice_is_sent_once_in_its_order_and_few_lifecycles_are_awake(database: Engine) -> None:
    write_notices(database, 120, each=2)
    lifecycles = Lifecycles(database)
    assert await tell(lifecycles) == LifecyclesTold(240, 120)
    assert sorted(lifecycles.heard) == [(f"mc-{n:04}", f"n-{n:04}-{copy}") for n in range(120) for copy in (0, 1)]
    for number in range(120):
        of_one = [notice for managed, notice in lifecycles.heard if managed == f"mc-{number:04}"]
        assert of_one == [f"n-{number:04}-0", f"n-{number:04}-1"]
    assert lifecycles.most_awake <= MOST_AWAKE
    assert await tell(lifecycles) == LifecyclesTold(0, 0)


async def test_a_lifecycle_that_cannot_be_told_keeps_no_other_from_hearing(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PAGE", 10)
    write_notices(database, 40)
    lifecycles = Lifecycles(database, broken={f"mc-{number:04}" for number in range(15)})
    with pytest.raises(NotReady, match=r"^15 of 40 lifecycles .* mc-0000 takes no signal$"):
        await tell(lifecycles)
    assert len(lifecycles.heard) == 25
    lifecycles.broken.clear()
    assert await tell(lifecycles) == LifecyclesTold(15, 15)


async def test_who_could_not_be_told_hears_nothing_later_before_it_hears_that(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PAGE", 1)
    write_notices(database, 2, each=2)
    lifecycles = Lifecycles(database)
    failing = ["n-0000-0"]
    send = lifecycles.send

    async def send_but_once(managed_id: str, notice_id: str) -> None:
        if notice_id in failing:
            failing.remove(notice_id)
            raise NotReady(f"{managed_id} takes no signal")
        await send(managed_id, notice_id)

    monkeypatch.setattr(lifecycles, "send", send_but_once)
    with pytest.raises(NotReady, match="mc-0000 takes no signal"):
        await tell(lifecycles)
    assert [notice for _, notice in lifecycles.heard] == ["n-0001-0", "n-0001-1"]

    assert await tell(lifecycles) == LifecyclesTold(2, 1)
    assert [notice for _, notice in lifecycles.heard[2:]] == ["n-0000-0", "n-0000-1"]


async def test_lifecycles_that_record_nothing_hold_up_the_others_for_a_while_only(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LOOKS", 2)
    write_notices(database, 60)
    lifecycles = Lifecycles(database, records=False)
    assert await tell(lifecycles) == LifecyclesTold(60, 60)


async def test_two_discoveries_tell_one_after_the_other(database: Engine) -> None:
    write_notices(database, 30)
    lifecycles = Lifecycles(database)
    activities = TellingActivities(database, clock, lifecycles.send, lambda name: None)
    resting = asyncio.create_task(lifecycles.record_for_ever())
    both = await asyncio.gather(*(activities.tell_lifecycles(TellLifecycles(f"d-{n}")) for n in (1, 2)))
    resting.cancel()
    assert sorted(one.notices for one in both) == [0, 30]
    assert len(lifecycles.heard) == 30


async def test_a_worker_that_ends_is_no_lifecycle_that_could_not_be_told(database: Engine) -> None:
    write_notices(database, 3)
    lifecycles = Lifecycles(database, broken={"mc-0000"})

    def end(_name: str) -> None:
        raise Crash("killed")

    activities = TellingActivities(database, clock, lifecycles.send, end)
    with pytest.raises(Crash):
        await activities.tell_lifecycles(TellLifecycles("d-1"))


async def test_two_workers_at_once_tell_each_lifecycle_in_the_order_of_writing(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what it hears twice, the first time counts: it knows notices by their ids."""
    monkeypatch.setattr(telling, "PAGE", 7)
    write_notices(database, 10, each=3)
    lifecycles = Lifecycles(database)

    async def send(managed_id: str, notice_id: str) -> None:
        await asyncio.sleep(0)
        await lifecycles.send(managed_id, notice_id)

    workers = [TellingActivities(database, clock, send, lambda name: None) for _ in range(2)]
    resting = asyncio.create_task(lifecycles.record_for_ever())
    await asyncio.gather(*(worker.tell_lifecycles(TellLifecycles("d-1")) for worker in workers))
    resting.cancel()

    for number in range(10):
        of_one = [notice for managed_id, notice in lifecycles.heard if managed_id == f"mc-{number:04}"]
        assert list(dict.fromkeys(of_one)) == [f"n-{number:04}-{copy}" for copy in range(3)]
