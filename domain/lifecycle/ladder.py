"""Lead times: when a case opens, when it orders, when whom a rung reaches; and why (DESIGN rule 1)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from domain.certificate import Life
from domain.contracts import Terms
from domain.lifecycle.state import LifecycleState
from domain.tiers import FULL_LIFE, Audience, TierPolicy

MICROSECOND = timedelta(microseconds=1)
# At E and after it a rung fires every day, and an unanswered rung repeats daily; calls to people never scale.
REPEAT_AFTER = timedelta(hours=24)


# RFC 5280 4.1.2.5 writes "no well-defined end" as the last second of 9999: what is reckoned from there has no date.
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class RungMoment:
    """Rung ``index`` of the ladder: fires ``at``, reaches ``to``; ``mark`` is what a person calls it."""

    index: int
    at: datetime
    to: Audience
    mark: str


def opens_at(life: Life, table: TierPolicy) -> datetime:
    return moved(life.ends_at, -scaled(table.opens, life.length))


def issues_at(life: Life, table: TierPolicy, validity: timedelta) -> datetime:
    """When the order may be placed without asking, or the latest date to which an approver may hold.

    Not before half of the new life is gained on the present E, so that nothing converges (rule 1).
    """
    lead = min(scaled(table.issues, life.length), max(validity, timedelta()) / 2)
    return moved(life.ends_at, -lead)


def escalates_at(life: Life, table: TierPolicy) -> datetime:
    return moved(life.ends_at, -scaled(table.escalates, life.length))


def ladder(life: Life, table: TierPolicy) -> tuple[RungMoment, ...]:
    """Every rung with its instant, the last at E itself; falling leads, so rising instants."""
    rungs = [
        RungMoment(
            index, moved(life.ends_at, -scaled(rung.lead, life.length)), rung.to, f"{days(rung.lead)} before the end"
        )
        for index, rung in enumerate(table.rungs)
    ]
    return (*rungs, RungMoment(len(rungs), life.ends_at, "security-head", "the end"))


def retry_window(life: Life, table: TierPolicy) -> timedelta:
    return scaled(table.retry_for, life.length)


def days(lead: timedelta) -> str:
    """ "30 days", "12 hours", "10 minutes": the largest unit that keeps a whole number, else one decimal."""
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if lead >= size:
            count = lead / size
            text = f"{count:.0f}" if abs(count - round(count)) < 0.05 else f"{count:.1f}"
            return f"{text} {unit}{'' if text == '1' else 's'}"
    return f"{lead.total_seconds():.0f} seconds"


@dataclass(frozen=True, slots=True)
class Because:
    """One date with the sum that gives it; ``lead``: what the policy writes, "30 days"."""

    what: str
    at: datetime
    sum: str
    lead: str = ""


def explain(life: Life, terms: Terms) -> tuple[Because, ...]:
    """Every date of this generation, each with its arithmetic written out."""
    table = terms.table

    def line(what: str, lead: timedelta, at: datetime) -> Because:
        scale = "" if life.length >= FULL_LIFE else f" x ({days(life.length)} / 180 days)"
        return Because(what, at, f"{life.ends_at:%Y-%m-%d %H:%M:%S} UTC - {days(lead)}{scale}", days(lead))

    lines = [line("the renewal case opens", table.opens, opens_at(life, table))]
    if terms.plan is not None:
        validity = timedelta(seconds=terms.plan.validity_seconds)
        what = "the latest an approver may hold the order" if table.asks else "the order is placed without asking"
        lines.append(line(what, table.issues, issues_at(life, table, validity)))
    for rung, moment in zip(table.rungs, ladder(life, table), strict=False):
        who = "the head of IT security" if rung.to == "security-head" else "the owner"
        lines.append(line(f"without a verified replacement, {who} is told", rung.lead, moment.at))
    ends = Because("it ends; the head of IT security is told every day", life.ends_at, "the earliest end on its path")
    return (*lines, ends)


def warnings(life: Life, terms: Terms, usual: timedelta | None = None) -> tuple[str, ...]:
    """What ``explain`` warns of for this certificate: room that is too small to act in.

    ``usual``: within which 95 in 100 renewals of its tier were verified, where that is known.
    """
    found = []
    between = escalates_at(life, terms.table) - opens_at(life, terms.table)
    if between < timedelta(minutes=5):
        found.append(f"only {days(between)} lie between the opening of the case and the escalation")
    left = life.ends_at - escalates_at(life, terms.table)
    if usual is not None and left < usual:
        found.append(f"its escalation leaves {days(left)}, but 95 in 100 renewals of its tier took up to {days(usual)}")
    if life.ends_at <= life.not_before:
        found.append("it ends before it begins")
    return tuple(found)


def rungs_of(state: LifecycleState) -> tuple[RungMoment, ...]:
    """The ladder of a state; empty before its first notice was read."""
    life = state.alarm_life
    return () if life is None or state.terms is None else ladder(life, state.terms.table)


def on_the_ladder(after: LifecycleState, before: LifecycleState) -> LifecycleState:
    """An index is another mark on another ladder: the climb moves to the deepest rung that had come by the last call.

    An acknowledgement was of one mark, and falls with it.
    """
    old, new = rungs_of(before), rungs_of(after)
    climb = before.climb
    if old == new or climb.rung < 0:
        return after
    called = climb.last_at
    reached = [rung.index for rung in new if called is not None and rung.at <= called]
    moved = replace(climb, rung=reached[-1] if reached else -1, acknowledged_rung=-1, acknowledged_until=None)
    return replace(after, climb=moved)


def end_moved(state: LifecycleState, ends_at: datetime, at: datetime) -> LifecycleState:
    """``state`` with another E of its present certificate, known since ``at``."""
    assert state.life is not None
    after = replace(state, life=replace(state.life, ends_at=ends_at), known_at=at)
    if ends_at > state.life.ends_at:
        return on_the_ladder(after, state)
    if rungs_of(after) == rungs_of(state):
        return after
    # The same ladder, nearer: what was told of a rung stays told, and any deeper one that has come by now fires at
    # once, also where the last call was later than its mark: that call spoke of an end which was further away.
    return replace(after, climb=replace(state.climb, acknowledged_rung=-1, acknowledged_until=None))
