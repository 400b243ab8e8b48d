"""Spends warrants: the one proof that a message comes from whom it says."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.engine import Engine
from temporalio import activity

from domain.contracts import RedeemWarrant, Redemption
from store import access


class WarrantActivities:
    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], failpoint: Callable[[str], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._failpoint = failpoint

    @activity.defn
    def redeem(self, asked: RedeemWarrant) -> Redemption:
        """Spend the code; a refusal is an answer.  The same command hears the same answer again."""
        self._failpoint("redeem.begun")
        answer = access.redeem(self._engine, asked, self._clock())
        self._failpoint("redeem.committed")
        return answer
