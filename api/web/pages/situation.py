"""Situation: is anything wrong, which, how long, what does one press."""

import asyncio
from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.engine_health import watcher_of
from api.parts import CallerDep
from api.web import charts, overview
from api.web.page_router import pages
from api.web.render import page, reader_of
from store import reader
from store.reader import reconciliations

router = pages()

# Answered without scrolling; the rest is one hop away.
SHOWN = 12
# What was begun again runs again: it is news for the shifts of a day, and then a matter of the histories.
LOST_SHOWN_FOR, MOST_LOST = timedelta(days=1), 3


@router.get("/")
async def show_situation(request: Request, caller: CallerDep) -> Response:
    """What needs somebody, worst first; how it stands; what is in flight; when everything ends."""
    pulse, here = await asyncio.gather(caller.gateway.pulse(), run_in_threadpool(_here, caller))
    reading, counts, checked_at, last = here.pop("measured")
    said = await run_in_threadpool(watcher_of, caller.parts.watch_dir)
    here["health"] = [
        *overview.health(counts, pulse, checked_at, reading, last),
        overview.watcher(said, reading),
    ]
    return await run_in_threadpool(page, request, caller, "situation.html", here)


def _here(caller: CallerDep) -> dict[str, Any]:
    reading = reader_of(caller, named=True)
    now, zone = reading.times.now, caller.parts.timezone
    found = reader.situation(caller.engine, now, SHOWN)
    first, second = overview.headline(found, reading)
    today = reading.times.local(now).date()
    last = (today.replace(day=1) + timedelta(days=366)).replace(day=1)
    counts, points, health = caller.parts.memory.recall(
        ("situation", today, zone),
        lambda: (
            reader.ends_by_day(caller.engine, today.replace(day=1), last, zone),
            reader.backlog_by_day(caller.engine, now, zone),
            reader.health(caller.engine, now),
        ),
    )
    return {
        "title": first,
        "headline": first,
        "second": second,
        "found": found,
        "rows": [overview.attention_row(row, reading) for row in found.attention],
        "track": overview.track(found, reading),
        "calendar": (calendar := charts.calendar(counts, today)),
        "elsewhen": max(0, found.managed - sum(month.total for month in calendar)),
        "today": today,
        "backlog": charts.backlog(points),
        "lost": overview.lost(reconciliations.differing_since(caller.engine, now - LOST_SHOWN_FOR, MOST_LOST)),
        "measured": (reading, health, found.checked_at, reconciliations.last_reconciliation(caller.engine)),
    }
