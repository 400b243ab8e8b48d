"""The ladder: lead times, rungs, whom they reach, and how far each climb is (DESIGN rule 1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from domain.lifecycle.state import Case, Climb
from domain.tiers import FULL_LIFE, Audience, TierPolicy

MICROSECOND = timedelta(microseconds=1)
# RFC 5280 4.1.2.5 writes "no well-defined end" as the last second of 9999: what is reckoned from there has no date.
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Span(Protocol):
    """A life as far as its ladder goes: E, and L = E - not_before of the same certificate."""

    @property
    def ends_at(self) -> datetime: ...

    @property
    def length(self) -> timedelta: ...


def moved(at: datetime, by: timedelta) -> datetime:
    """``at`` plus ``by``, but never beyond the first or last instant that can be written."""
    try:
        return at + by
    except OverflowError:
        return LATEST if by > timedelta() else EARLIEST


def scaled(lead: timedelta, length: timedelta) -> timedelta:
    """``lead`` times s, where s = min(1, L / 180 d).  Whole microseconds, rounded down: never later than exact."""
    if length >= FULL_LIFE:
        return lead
    return MICROSECOND * ((lead // MICROSECOND) * max(length // MICROSECOND, 0) // (FULL_LIFE // MICROSECOND))


def pause(lead: timedelta, length: timedelta, least: timedelta) -> timedelta:
    """``lead``, scaled, as a wait of ours, at least ``least``.

    A life that ended before it began scales every wait to nothing: it is then waited for as for a long one, or people
    would hear of it every few minutes for ever.
    """
    return max(scaled(lead, length), least) if length > timedelta() else max(lead, least)


@dataclass(frozen=True, slots=True)
class RungMoment:
    """Rung ``index`` of the ladder: fires ``at``, reaches ``to``.

    ``lead``: as the policy writes it, before it is scaled; nothing for the end itself.
    """

    index: int
    at: datetime
    to: Audience
    lead: timedelta = timedelta()

    @property
    def mark(self) -> str:
        """What a person calls it."""
        return f"{days(self.lead)} before the end" if self.lead else "the end"


def opens_at(life: Span, table: TierPolicy) -> datetime:
    return moved(life.ends_at, -scaled(table.opens, life.length))


def escalates_at(life: Span, table: TierPolicy) -> datetime:
    return moved(life.ends_at, -scaled(table.escalates, life.length))


def ladder(life: Span, table: TierPolicy) -> tuple[RungMoment, ...]:
    """Every rung with its instant, the last at E itself; falling leads, so rising instants."""
    rungs = [
        RungMoment(index, moved(life.ends_at, -scaled(rung.lead, life.length)), rung.to, rung.lead)
        for index, rung in enumerate(table.rungs)
    ]
    return (*rungs, RungMoment(len(rungs), life.ends_at, "security-head"))


def rungs_to(audience: Audience, life: Span, table: TierPolicy) -> tuple[RungMoment, ...]:
    """The rungs of ``life`` that reach ``audience``: its own ladder, for what one heard the other has not."""
    return tuple(rung for rung in ladder(life, table) if rung.to == audience)


def by_audience(climbs: Iterable[Climb]) -> dict[tuple[str, Audience], Climb]:
    """Each climb by its life's fingerprint and whom it reaches: a hostile estate has a life for each of its places."""
    return {(one.fingerprint, one.to): one for one in climbs}


def reached(climb: Climb | None, rungs: tuple[RungMoment, ...], ends_at: datetime) -> RungMoment | None:
    """On which of ``rungs`` a climb stands, also where E or the policy has moved since it was called last.

    Nearer: what was told of a rung stays told, and any deeper one that has come by now is still to fire, also where the
    last call was later than its mark: that call spoke of an end which was further away.  Otherwise it stands on the
    deepest rung that had come by the last call.
    """
    if climb is None:
        return None
    if ends_at < climb.ends_at:
        told = timedelta(seconds=climb.lead_seconds)
        stood_on = [rung for rung in rungs if rung.lead >= told]
    else:
        stood_on = [rung for rung in rungs if rung.at <= climb.last_at]
    return stood_on[-1] if stood_on else None


def is_quiet(climb: Climb, rung: RungMoment, now: datetime) -> bool:
    """Whether the repeats of ``rung`` were acknowledged until after ``now``; a later rung is another."""
    return climb.quiet_lead_seconds == seconds_of(rung) and climb.quiet_until is not None and climb.quiet_until > now


def seconds_of(rung: RungMoment) -> int:
    return int(rung.lead.total_seconds())


def failure_about(fingerprint: str, case: Case) -> str:
    """What the owner's call for a failure is about: that step at that place, so that another failure calls anew."""
    place = case.failed_place
    if len(place) > 80:
        # It is sent back as it was read, by people too; the path of a file may have thousands of characters.
        place = f"{place[:80]}…{sha256(place.encode()).hexdigest()[:8]}"
    at = f" at {place}" if place else ""
    return f"{fingerprint[:16]}/a failure: {case.failed_step or 'nothing'}{at}"


def retry_window(life: Span, table: TierPolicy) -> timedelta:
    return scaled(table.retry_for, life.length)


def days(lead: timedelta) -> str:
    """ "30 days", "12 hours", "10 minutes": the largest unit that keeps a whole number, else one decimal."""
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if lead >= size:
            count = lead / size
            text = f"{count:.0f}" if abs(count - round(count)) < 0.05 else f"{count:.1f}"
            return f"{text} {unit}{'' if text == '1' else 's'}"
    return f"{lead.total_seconds():.0f} seconds"
