"""Why a date is what it is: every date of every life on the ladder, with its sum and the place that it stands on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.contracts import Terms
from domain.lifecycle.ladder import Span, days, escalates_at, ladder, opens_at, scaled
from domain.lifecycle.renewal_value import order_lead, orders_at
from domain.lifecycle.served import Served, lives, present
from domain.lifecycle.state import LifecycleState
from domain.tiers import FULL_LIFE

# Lives beside the present one, those that end first: a hostile estate may show thousands, and an answer is bounded.
MOST_EXPLAINED = 500


@dataclass(frozen=True, slots=True)
class Because:
    """One date with the sum that gives it; ``lead``: what the policy writes, "30 days".

    ``fingerprint``, ``whose``, ``place`` and ``ends_at``: the life whose E it is reckoned from, and where it is served.
    """

    what: str
    at: datetime
    sum: str
    lead: str = ""
    fingerprint: str = ""
    whose: str = "present"
    place: str = ""
    ends_at: datetime | None = None


def explain(state: LifecycleState) -> tuple[Because, ...]:
    """Every date of this generation, then the rungs of the other lives that places of ours show."""
    if state.life is None or state.terms is None:
        return ()
    mine, *others = lives(state)
    lines = [*_renewal(state, mine), *_rungs(mine, state.terms)]
    for life in sorted(others, key=lambda life: life.ends_at)[:MOST_EXPLAINED]:
        lines += _rungs(life, state.terms)
    return tuple(lines)


def _renewal(state: LifecycleState, mine: Served) -> list[Because]:
    terms, life = state.terms, present(state)
    assert terms is not None
    table = terms.table
    lines = [_line("the renewal case opens", mine, table.opens, opens_at(life, table))]
    if terms.plan is not None:
        validity = timedelta(seconds=terms.plan.validity_seconds)
        what = "the latest an approver may hold the order" if table.asks else "the order is placed without asking"
        at = orders_at(life, table, validity, state.led_by)
        lead = order_lead(life, table, validity, state.led_by)
        if lead == scaled(table.issues, life.length):
            lines.append(_line(what, mine, table.issues, at))
        else:
            why = "half of the next life" if lead == validity / 2 else "a week before the escalation, scaled"
            lines.append(_told(what, mine, at, f"{_instant(life.ends_at)} - {days(lead)}, {why}", days(lead)))
    return lines


def _rungs(life: Served, terms: Terms) -> list[Because]:
    lines = []
    for rung in ladder(life, terms.table):
        who = "the head of IT security" if rung.to == "security-head" else "the owner"
        if rung.lead:
            lines.append(_line(f"without a verified replacement, {who} is told", life, rung.lead, rung.at))
        else:
            what = "it ends; the head of IT security is told every day"
            lines.append(_told(what, life, rung.at, "the earliest end on its path", ""))
    return lines


def _line(what: str, life: Served, lead: timedelta, at: datetime) -> Because:
    scale = "" if life.length >= FULL_LIFE else f" x ({days(life.length)} / 180 days)"
    return _told(what, life, at, f"{_instant(life.ends_at)} - {days(lead)}{scale}", days(lead))


def _told(what: str, life: Served, at: datetime, sum_: str, lead: str) -> Because:
    place = life.place.url if life.place is not None else ""
    return Because(what, at, sum_, lead, life.fingerprint, life.whose, place, life.ends_at)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def warnings(life: Span, terms: Terms, usual: timedelta | None = None) -> tuple[str, ...]:
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
    if life.length <= timedelta():
        found.append("it ends before it begins")
    return tuple(found)
