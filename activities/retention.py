"""Forgets what is older than the policy says: once a day, a portion a minute, each table by the module that writes it.

To forget one more kind: an age in ``domain.retention``, a function in the module that writes its table, a line here.
"""

import logging
from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy.engine import Engine

from domain.retention import Retention
from store.access import forget_keys, forget_security_events, forget_sessions
from store.changes import forget_changes
from store.deliveries import forget_deliveries
from store.sightings.forgetting import forget_findings, forget_looks

log = logging.getLogger(__name__)

# A second's work: what else is due every minute must not wait for the first day of a large estate.
PORTION = 20_000

# Each drops at most so many rows of before that instant, and gives how many.
FORGET: dict[str, Callable[[Engine, datetime, int], int]] = {
    "looks": forget_looks,
    "findings": forget_findings,
    "deliveries": forget_deliveries,
    "changes": forget_changes,
    "security_events": forget_security_events,
    "requests": forget_keys,
    "sessions": forget_sessions,
}


class Pruning:
    """``ages``: of the policy in force, asked each time."""

    def __init__(self, engine: Engine, ages: Callable[[], Retention], clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._ages = ages
        self._clock = clock
        self._done_on: date | None = None

    def portion(self) -> int:
        """Forget the next portion, unless this day's work is done; how many rows went."""
        now = self._clock()
        if self._done_on == now.date():
            return 0
        gone = 0
        for name, forget in FORGET.items():
            age = getattr(self._ages(), name)
            count = forget(self._engine, now - age, PORTION - gone)
            gone += count
            if count:
                log.info("forgotten", extra={"kind": name, "rows": count})
            if gone >= PORTION:
                # The rest in a minute.
                return gone
        self._done_on = now.date()
        return gone
