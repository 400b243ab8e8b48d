"""Whether a renewal gains time: one rule, asked before an order and again of what was issued (DESIGN rule 1).

A renewal of its own accord needs half of the planned life and is held until it gains it; what a person asked for may be
early, but must not end sooner than the present one.  A CA may back-date by a twentieth in either case.
"""

from datetime import datetime, timedelta

from domain.certificate import Life
from domain.contracts import Plan
from domain.lifecycle.ladder import moved
from domain.profiles import backdate

# A time of day is told in whole minutes, and one from which something holds must not come before it.
JUST_UNDER = timedelta(seconds=59, microseconds=999_999)


def gains(ends_at: datetime, present: Life, plan: Plan, requested: bool) -> bool:
    """Whether a certificate of ``plan`` that ends at ``ends_at`` is worth putting in the place of ``present``."""
    return ends_at - present.ends_at >= _least(plan, requested)


def gains_from(present: Life, plan: Plan) -> datetime:
    """The earliest instant at which an order that a person asks for could gain anything."""
    return moved(present.ends_at, _least(plan, requested=True) - (_planned(plan) - backdate(_planned(plan))))


def in_vain(present: Life, plan: Plan, at: datetime) -> str:
    """Why what a person asks for at ``at`` could only end in a certificate that is refused; empty when it could not.

    Judged for a CA that back-dates as ours does and begins with a whole second: what is issued later ends later.
    """
    ends_at = moved((at - backdate(_planned(plan))).replace(microsecond=0), _planned(plan))
    if gains(ends_at, present, plan, requested=True):
        return ""
    ends, gain_from = _day(present.ends_at), _day(moved(gains_from(present, plan), JUST_UNDER))
    return (
        f"it would gain nothing: ordered now it would end at {_day(ends_at)}, and the present one ends at {ends}; "
        f"it can gain from {gain_from} on, or under a longer profile"
    )


def _planned(plan: Plan) -> timedelta:
    # A life that ends before it begins is none.
    return max(timedelta(seconds=plan.validity_seconds), timedelta())


def _least(plan: Plan, requested: bool) -> timedelta:
    needed = timedelta() if requested else _planned(plan) / 2
    return needed - _planned(plan) / 20


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
