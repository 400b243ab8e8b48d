"""The whole at a glance: the headline, the rows that need somebody, what is in flight, how Everleaf itself is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.engine_health import Pulse
from api.web.text import count
from api.web.words import SEVERITIES, STAGES, Reader, Row, happened, stake, verb
from domain.reconciling import STALE_AFTER, WORDS, counted
from domain.watching import Status

# Columns of the track -> the stages that stand in them.  What no plan can renew is in none: nothing of it is under way.
TRACK = (
    ("Awaiting approval", ("awaiting-approval", "rejected", "held")),
    ("Ordering", ("ordering", "waiting-for-ca")),
    ("Deploying", ("deploying", "unreachable-target", "rolling-back", "waiting-for-person")),
    ("Verifying", ("verifying",)),
)


def headline(found: Any, reader: Reader) -> tuple[str, str]:
    """(sentence, second sentence) of Situation: the answer to "is anything wrong?"."""
    by = dict.fromkeys(SEVERITIES, 0)
    for (_, severity), number in found.matrix.items():
        by[severity] += number
    others = found.managed - found.needing
    urgent = by["critical"]
    if found.managed == 0:
        return (
            "No certificate is known yet",
            "Start a discovery: it looks at the policy's scope and adopts what it finds.",
        )
    if urgent:
        said, first = urgent, f"{_many(urgent, 'certificate')} cannot wait"
    elif by["major"]:
        said, first = by["major"], f"{_many(by['major'], 'certificate')} must be dealt with this month"
    elif by["minor"]:
        said, waits = by["minor"], "waits" if by["minor"] == 1 else "wait"
        first = f"{_many(said, 'certificate')} {waits} for somebody, with time"
    else:
        return "All clear", f"{found.managed:,} of {found.managed:,} certificates need nobody."
    worst = found.attention[0] if found.attention else None
    second = ""
    if worst is not None:
        who = f"of {worst['service']}" if worst["service"] else "without a service"
        ended = worst["not_after"] <= reader.times.now
        when = "has ended" if ended else f"ends {reader.times.until(worst['not_after'])}"
        second = f"The worst, {who}, {when}. "
    if found.needing > said:
        more = found.needing - said
        second += f"{more:,} more need{'s' if more == 1 else ''} somebody, with more time. "
    return first, f"{second}The other {others:,} need nobody now."


def _many(number: int, noun: str) -> str:
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    said = count(number, noun)
    return f"{words[number]} {said.partition(' ')[2]}" if number < len(words) else said


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """One row of "Attention required": everything its template prints."""

    row: Row
    said: str
    stake: str
    of_what: str
    verb: str
    address: str


def attention_row(row: Row, reader: Reader) -> AttentionRow:
    label, address = verb(row, reader)
    much, of_what = stake(row)
    return AttentionRow(row, happened(row, reader), much, of_what, label, address)


@dataclass(frozen=True, slots=True)
class Stop:
    """One stage of the track: how many, and the stuck ones with the reason."""

    name: str
    count: int
    stuck: list[tuple[Row, str]]


def track(found: Any, reader: Reader) -> list[Stop]:
    stops = []
    for name, stages in TRACK:
        stuck = [(row, stuck_because(row, reader)) for row in found.stuck if row["stage"] in stages]
        stuck.sort(key=lambda pair: SEVERITIES.index(pair[0]["severity"]))
        stops.append(Stop(name, sum(found.flight.get(stage, 0) for stage in stages), stuck[:3]))
    return stops


def stuck_because(row: Row, reader: Reader) -> str:
    if row["failure"]:
        return str(row["failure"])
    if row["retry_at"] is not None and row["retry_at"] > reader.times.now:
        return f"{STAGES[row['stage']].lower()}, {reader.times.until(row['retry_at'])}"
    return f"for {reader.times.span(reader.times.now - row['opened_at'])}"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of Everleaf itself; ``well`` False: somebody must look."""

    name: str
    said: str
    well: bool


def _lifecycles(counts: Any, pulse: Pulse) -> Part:
    """Whether everything that is governed runs: what was ended by hand in Temporal is missing here."""
    living = sum(counts.by_state.values()) + counts.unrecorded
    if pulse.running is None:
        return Part("Lifecycles", f"{living:,}, not counted just now", counts.unrecorded == 0)
    told = f"{min(pulse.running, living):,} of {living:,} run"
    return Part("Lifecycles", told, pulse.running >= living and counts.unrecorded == 0)


def workers_of(pulse: Pulse) -> Part:
    """Silence is no good news: a queue of which nothing could be found out is told."""
    said = [f"nobody asks for the work of {', '.join(pulse.idle)}: it waits"] if pulse.idle else []
    said += [f"not known of {', '.join(pulse.unknown)}"] if pulse.unknown else []
    return Part("Workers", "; ".join(said) or "all at work", not said)


NAMED = 5


def compared(last: Row | None, reader: Reader) -> Part:
    """How inventory and engine compared last; every five minutes, so three that are missing are told."""
    if last is None:
        return Part("Lifecycles compared", "not yet", False)
    when = reader.times.until(last["noted_at"])
    if last["held_since"] is not None:
        return Part("Lifecycles compared", f"{when}: the store was put back, and our CAs sign nothing", False)
    said = ", ".join(counted(kind, number) for kind, number in sorted(last["counts"].items()))
    stale = reader.times.now - last["noted_at"] > STALE_AFTER
    return Part("Lifecycles compared", f"{when}, {said or 'nothing differs'}", not said and not stale)


@dataclass(frozen=True, slots=True)
class Lost:
    """What one comparison found of one kind; ``named``: the first of (name, address of its page)."""

    at: datetime
    said: str
    named: list[tuple[str, str]]
    more: int


def lost(comparisons: Sequence[Row]) -> list[Lost]:
    """Newest first, a line for each kind."""
    found = []
    for row in comparisons:
        for kind in WORDS:
            told = [one for one in row["differences"] if one["kind"] == kind and one["told"]]
            if told:
                named = [(one["name"] or one["managed_id"], _page_of(one)) for one in told]
                count_of_all = max(row["counts"].get(kind, 0), len(told))
                found.append(Lost(row["noted_at"], counted(kind, count_of_all), named[:NAMED], count_of_all - NAMED))
    return found


def _page_of(one: dict[str, str]) -> str:
    # What our CAs have forgotten is of no certificate that is managed.
    return "/certificates" if one["kind"] == "forgotten" else f"/certificates/{one['managed_id']}"


def watcher(said: Status | None, reader: Reader) -> Part:
    """Who would tell people if this page could not."""
    if said is None:
        return Part("Watcher", "none is seen from here: nobody tells when Everleaf itself is away", False)
    if said.is_late(reader.times.now):
        return Part("Watcher", f"its last round was {reader.times.until(said.at)}", False)
    if not said.routes:
        return Part("Watcher", "watches, and has no way to tell anybody", False)
    told = [f"{one.fault.kind}: {one.fault.says}" for one in said.faults if one.told_at is not None]
    ways = f"tells by {' and '.join(said.routes)}"
    return Part(
        "Watcher", "; ".join(told) or (f"all well, {ways}" if not said.faults else f"looks closer, {ways}"), not told
    )


def health(counts: Any, pulse: Pulse, checked_at: datetime | None, reader: Reader, last: Row | None) -> list[Part]:
    looked = "never" if checked_at is None else reader.times.until(checked_at)
    stale = checked_at is None or (reader.times.now - checked_at).days >= 1
    return [
        Part("Temporal", "answers" if pulse.alive else "does not answer: renewals wait, nothing is lost", pulse.alive),
        Part("Database", "answers", True),
        _lifecycles(counts, pulse),
        compared(last, reader),
        workers_of(pulse),
        Part(
            "Overdue", "none" if counts.overdue == 0 else f"{counts.overdue:,} moments have passed", counts.overdue == 0
        ),
        Part("Notices", "all sent" if counts.unsent_notices == 0 else f"{counts.unsent_notices:,} unsent", True),
        Part("Messages", "none waits" if counts.queued_deliveries == 0 else f"{counts.queued_deliveries:,} wait", True),
        Part("Last discovery", looked, not stale),
    ]
