"""Begins again the lifecycles that a comparison has missed, and gives messages that nobody sends to who can."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.discovery import heartbeat
from activities.notification import CHANNEL
from activities.telling import AT_ONCE, Awake
from domain.comparison import BeginAgain, BegunAgain, HandedOver, HandOver
from domain.contracts import Delivery, Message
from domain.reconciling import is_given_up
from store import deliveries
from store.batches import batches
from store.facts import heads_of
from store.sightings.notices import mark_sent, send_again

MOST_HANDED = 500


@dataclass(frozen=True, slots=True)
class MendingParts:
    """``begin``: starts a lifecycle that goes on from the store, where none runs; ``replace``: ends the one that runs
    before; ``observe``: tells it of a notice; ``hand_over``: gives a message to its Courier; ``give_up``: tells a
    lifecycle that its message reached nobody."""

    engine: Engine
    clock: Callable[[], datetime]
    begin: Callable[[str], Awaitable[None]]
    replace: Callable[[str], Awaitable[object]]
    observe: Callable[[str, str], Awaitable[None]]
    hand_over: Callable[[Message], Awaitable[None]]
    give_up: Callable[[Message], Awaitable[None]]


class MendingActivities:
    def __init__(self, parts: MendingParts) -> None:
        self._parts = parts

    @activity.defn
    async def begin_again(self, asked: BeginAgain) -> BegunAgain:
        """Begin each from what the store holds, no faster than the worker takes them in.

        Idempotent: one that runs is left alone.  What it had been told and had not recorded is sent to it once more;
        where that breaks off, the next discovery tells it.
        """
        engine, awake, notices = self._parts.engine, Awake(self._parts.engine), 0
        for batch in batches(asked.managed_ids, AT_ONCE):
            await awake.make_room(len(batch))
            heads = await asyncio.to_thread(heads_of, engine, list(batch))
            begin = self._parts.replace if asked.replacing else self._parts.begin
            notices += sum(await asyncio.gather(*(self._begin(managed_id, begin) for managed_id in batch)))
            heartbeat()
            for managed_id in batch:
                awake.add(managed_id, heads.get(managed_id, -1))
        return BegunAgain(len(asked.managed_ids), notices)

    async def _begin(self, managed_id: str, begin: Callable[[str], Awaitable[object]]) -> int:
        """How many notices it was sent again."""
        lost = await asyncio.to_thread(send_again, self._parts.engine, managed_id)
        await begin(managed_id)
        for notice_id in lost:
            await self._parts.observe(managed_id, notice_id)
        if lost:
            await asyncio.to_thread(mark_sent, self._parts.engine, lost, self._parts.clock())
        return len(lost)

    @activity.defn
    async def hand_over(self, asked: HandOver) -> HandedOver:
        """Give what waits to its Courier once more; what waits too long reached nobody, which its lifecycle hears."""
        now, handed, given_up = self._parts.clock(), 0, 0
        waiting = await asyncio.to_thread(
            deliveries.waiting, self._parts.engine, CHANNEL, asked.queued_before, MOST_HANDED
        )
        for message, queued_at in waiting:
            heartbeat()
            if not is_given_up(message, queued_at, asked):
                await self._parts.hand_over(message)
                handed += 1
                continue
            outcome = Delivery("undeliverable", f"queued at {queued_at:%d %b %Y %H:%M} UTC, and nobody could send it")
            await self._parts.give_up(message)
            await asyncio.to_thread(
                deliveries.finish_deliveries, self._parts.engine, [message.id], CHANNEL, (outcome, now)
            )
            given_up += 1
        return HandedOver(handed, given_up)
