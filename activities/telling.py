"""Tells lifecycles what a discovery has found for them, no faster than they can take it in.

Five thousand lifecycles that begin at once bury a worker of two cores: tasks time out as deadlocks, and a decision
waits behind all of them.  So only a few are awake at a time.  That costs no throughput: the worker is busy anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.discovery import heartbeat
from activities.scanners.base import Clock
from domain.contracts import LifecyclesTold, TellLifecycles
from domain.errors import NotReady
from store.batches import batches
from store.facts import heads_of
from store.sightings.notices import mark_sent, unsent

# Notices that are read together.
PAGE = 1000
# Enough to keep two cores busy; a decision waits behind as many tasks at most, some tens of milliseconds each.
MOST_AWAKE = 24
AT_ONCE = 8
# How long one that records nothing is waited for: it may be broken, or its notice may say nothing new.
LOOKS = 40
# Each look is a query; more often costs the CPU that lifecycles need.
PAUSE_SECONDS = 0.25


@dataclass(slots=True)
class Awake:
    """Lifecycles that were told and have recorded nothing since: the number of their last event, and looks at it."""

    engine: Engine
    heads: dict[str, int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)

    async def make_room(self, for_more: int) -> None:
        """Wait until ``for_more`` may be woken."""
        while self.heads and len(self.heads) + for_more > MOST_AWAKE:
            now = await asyncio.to_thread(heads_of, self.engine, list(self.heads))
            for managed_id, before in list(self.heads.items()):
                self.looks[managed_id] += 1
                if now.get(managed_id, -1) > before or self.looks[managed_id] > LOOKS:
                    del self.heads[managed_id], self.looks[managed_id]
            heartbeat()
            await asyncio.sleep(PAUSE_SECONDS)

    def add(self, managed_id: str, head: int) -> None:
        self.heads[managed_id], self.looks[managed_id] = head, 0


@dataclass(frozen=True, slots=True)
class TellingActivities:
    """``send(managed_id, notice_id)``: tells a lifecycle and returns once Temporal has acknowledged it; ``failpoint``:
    called with the name of a point at which tests end the process."""

    engine: Engine
    clock: Clock
    send: Callable[[str, str], Awaitable[None]]
    failpoint: Callable[[str], None]
    # Two discoveries would send the same notices twice, at twice the pace.  Of this process alone: a second lifecycle
    # worker keeps as many awake again, and may send what this one has read already.  That harms nothing: each sends
    # those of one certificate in their order, from the first that is not acknowledged, and who hears one again knows it
    # by its id.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @activity.defn(name="tell_lifecycles")
    async def tell_lifecycles(self, asked: TellLifecycles) -> LifecyclesTold:
        """Send every notice that Temporal has not acknowledged, whichever discovery wrote it.

        Idempotent: what was acknowledged is not sent again.  All lifecycles are tried before NotReady is raised for
        those that could not be told: a broken one must not keep others from hearing.
        """
        while True:
            try:
                await asyncio.wait_for(self.turn.acquire(), 10)
                break
            except TimeoutError:
                heartbeat()
        try:
            return await self._tell_all()
        finally:
            self.turn.release()

    async def _tell_all(self) -> LifecyclesTold:
        awake, told, certificates = Awake(self.engine), 0, set[str]()
        # What could not be told to them comes first: told of a later notice now, they would take the earlier one,
        # which is tried again, for the newer.
        failures: dict[str, BaseException] = {}
        last = ""
        while page := await asyncio.to_thread(unsent, self.engine, PAGE, after=last):
            last = page[-1][1]
            queues: dict[str, list[str]] = {}
            for managed_id, notice_id in page:
                if managed_id not in failures:
                    queues.setdefault(managed_id, []).append(notice_id)
            heads = await asyncio.to_thread(heads_of, self.engine, list(queues))
            for batch in batches(queues.items(), AT_ONCE):
                await awake.make_room(len(batch))
                answers = await asyncio.gather(*(self._tell(*queue) for queue in batch), return_exceptions=True)
                answered = list(zip(batch, answers, strict=True))
                failures |= {one[0]: answer for one, answer in answered if isinstance(answer, BaseException)}
                heard = [one for one, answer in answered if answer is None]
                sent = [notice_id for _, notices in heard for notice_id in notices]
                await asyncio.to_thread(mark_sent, self.engine, sent, self.clock())
                heartbeat()
                for managed_id, notices in heard:
                    awake.add(managed_id, heads.get(managed_id, -1))
                    certificates.add(managed_id)
                    told += len(notices)
        if failures:
            raise _untold(failures, len(certificates))
        return LifecyclesTold(told, len(certificates))

    async def _tell(self, managed_id: str, notices: list[str]) -> None:
        """In the order of writing, so that it hears of its slots before what was seen in them."""
        for notice_id in notices:
            await self.send(managed_id, notice_id)
            self.failpoint("adopt.told")


def _untold(failures: Mapping[str, BaseException], told: int) -> BaseException:
    """Says how many failed, and why the first did; whatever ends the worker or the activity itself goes on as it is."""
    for failure in failures.values():
        if not isinstance(failure, Exception):
            return failure
    managed_id, first = next(iter(failures.items()))
    many = f"{len(failures)} of {len(failures) + told} lifecycles"
    return NotReady(f"{many} could not be told, and are tried again; the first, {managed_id}: {first}")
