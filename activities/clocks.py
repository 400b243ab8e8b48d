"""What signs, deploys or verifies asks two witnesses first whether its clock is right (DESIGN rule 12).

The witnesses are Temporal, which says when it handed out this attempt, and the database.  Neither is an argument of the
step, which whoever may start workflows could set.  Where both live on this machine they repeat its clock; the third is
the NTP server of the policy.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.clocks import DATABASE, TEMPORAL, TOLERANCE, wrong_clock
from domain.errors import ClockWrong

# By the names of their activities: whatever makes, places, revokes or judges a certificate by the time of day, and
# what says of thousands that they are overdue.
JUDGED_BY_TIME = frozenset(
    {"place_order", "collect_order", "revoke_order", "deploy", "roll_back", "look_again", "compare"}
)


class Witnessed(Interceptor):
    """Give one to every Worker, inside of the boundary.  A step whose clock is not believed raises ClockWrong.

    ``elsewhere``: what the NTP server says, where the policy names one that answers; ``here``: which of the other two
    live on this machine.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], datetime],
        elsewhere: Callable[[], Mapping[str, datetime]] = dict,
        here: Collection[str] = (),
    ) -> None:
        self._engine, self._clock, self._elsewhere, self._here = engine, clock, elsewhere, here

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Witnessed(next, self)

    def problem(self, handed_out: datetime) -> str:
        """``handed_out``: when Temporal says that it gave this attempt to us."""
        now = self._clock()
        witnesses = {TEMPORAL: handed_out, **_database(self._engine, self._clock), **self._elsewhere()}
        return wrong_clock(now, witnesses, self._here)


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
    return {DATABASE: said - (after - before) / 2} if after - before < TOLERANCE else {}


class _Witnessed(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, by: Witnessed) -> None:
        super().__init__(next)
        self._by = by

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.activity_type in JUDGED_BY_TIME:
            problem = await asyncio.to_thread(self._by.problem, info.started_time)
            if problem:
                raise ClockWrong(f"{problem}; nothing is signed, deployed, verified or compared until it is set right")
        return await self.next.execute_activity(input)
