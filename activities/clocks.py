"""What signs, deploys or verifies asks two witnesses first whether its clock is right (DESIGN rule 12).

The witnesses are Temporal, which says when it handed out this attempt, and the database.  Neither is an argument of the
step, which whoever may start workflows could set.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.clocks import TOLERANCE, wrong_clock
from domain.errors import ClockWrong

# By the names of their activities: whatever makes, places, revokes or judges a certificate by the time of day, and
# what says of thousands that they are overdue.
JUDGED_BY_TIME = frozenset(
    {"place_order", "collect_order", "revoke_order", "deploy", "roll_back", "look_again", "compare"}
)


class Witnessed(Interceptor):
    """Give one to every Worker, inside of the boundary.  A step whose clock is not believed raises ClockWrong."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine, self._clock = engine, clock

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Witnessed(next, self._engine, self._clock)


def confirmed(engine: Engine, clock: Callable[[], datetime]) -> datetime:
    """What ``clock`` says, for what is made by the time of day outside a step; the database is its one witness.

    Raises ClockWrong.
    """
    now = clock()
    problem = wrong_clock(now, _database(engine, clock))
    if problem:
        raise ClockWrong(f"{problem}; nothing is signed until it is set right")
    return now


def _database(engine: Engine, clock: Callable[[], datetime]) -> dict[str, datetime]:
    """Nothing where its answer took so long that it says little."""
    with engine.connect() as connection:
        before = clock()
        said = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        after = clock()
    return {"the database": said - (after - before) / 2} if after - before < TOLERANCE else {}


class _Witnessed(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, engine: Engine, clock: Callable[[], datetime]) -> None:
        super().__init__(next)
        self._engine, self._clock = engine, clock

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.activity_type in JUDGED_BY_TIME:
            handed_out = {"Temporal": info.started_time}
            problem = wrong_clock(
                self._clock(), handed_out | await asyncio.to_thread(_database, self._engine, self._clock)
            )
            if problem:
                raise ClockWrong(f"{problem}; nothing is signed, deployed, verified or compared until it is set right")
        return await self.next.execute_activity(input)
