"""Whether a renewal gains time: one rule, asked before an order and again of what was issued (DESIGN rule 1).

A renewal of its own accord needs half of the planned life and is held until it gains it; what a person asked for may be
early, but must not end sooner than the present one.  A CA may back-date by a twentieth in either case.
"""

from datetime import datetime, timedelta

from domain.certificate import Life
from domain.contracts import Plan
from domain.lifecycle.ladder import Span, moved, scaled
from domain.lifecycle.rules import RuleSet
from domain.tiers import TierPolicy

# How a sentence begins by which a case is unroutable that gains nothing yet.
IN_VAIN = "it would gain nothing"
# And one whose CA gives nothing that ends late enough.
ISSUER_ENDS_FIRST = "its issuer ends first"
# A time of day is told in whole minutes, and one from which something holds must not come before it.
JUST_UNDER = timedelta(seconds=59, microseconds=999_999)


def order_lead(life: Span, table: TierPolicy, validity: timedelta, rules: RuleSet) -> timedelta:
    """How long before E an order of ``validity`` is placed at the latest, or without asking.

    Not before half of the new life is gained on the present E, so that nothing converges (rule 1).  A step down in
    life (398 to 47 days) would wait for that past the escalation mark, and the head would be called for a plan that
    waits for its gain: it is ordered a week before the mark, where it gains anything at all then.
    """
    written = scaled(table.issues, life.length)
    planned = max(validity, timedelta())
    half = planned / 2
    before_the_mark = scaled(table.escalates, life.length) + scaled(rules.step_down_before, life.length)
    gains_anything = before_the_mark < planned - planned / rules.backdate_share
    return min(written, max(half, before_the_mark) if gains_anything else half)


def orders_at(life: Span, table: TierPolicy, validity: timedelta, rules: RuleSet) -> datetime:
    """When the order may be placed without asking, or the latest date to which an approver may hold."""
    return moved(life.ends_at, -order_lead(life, table, validity, rules))


def least_gain(present: Span, plan: Plan, table: TierPolicy, rules: RuleSet, *, requested: bool) -> timedelta:
    """By how much a certificate of ``plan`` must end later than ``present`` to be put in its place."""
    planned = _planned(plan)
    if requested:
        return -planned / rules.backdate_share
    # What is ordered at its time gains its whole life but for the lead: never asked for more than that can be.
    lead = order_lead(present, table, planned, rules)
    return min(planned / 2, planned - lead) - planned / rules.backdate_share


def gains(ends_at: datetime, present: Span, plan: Plan, table: TierPolicy, rules: RuleSet, *, requested: bool) -> bool:
    """Whether a certificate of ``plan`` that ends at ``ends_at`` is worth putting in the place of ``present``."""
    return ends_at - present.ends_at >= least_gain(present, plan, table, rules, requested=requested)


def gains_from(present: Life, plan: Plan, rules: RuleSet) -> datetime:
    """The earliest instant at which an order that a person asks for could gain anything."""
    return moved(present.ends_at, -_planned(plan) / rules.backdate_share - (_planned(plan) - _backdate(plan, rules)))


def in_vain(present: Life, plan: Plan, at: datetime, rules: RuleSet) -> str:
    """Why what a person asks for at ``at`` could only end in a certificate that is refused; empty when it could not.

    Judged for a CA that back-dates as ours does and begins with a whole second: what is issued later ends later.
    """
    ends_at = moved((at - _backdate(plan, rules)).replace(microsecond=0), _planned(plan))
    if ends_at - present.ends_at >= -_planned(plan) / rules.backdate_share:
        return ""
    ends, gain_from = _day(present.ends_at), _day(moved(gains_from(present, plan, rules), JUST_UNDER))
    return (
        f"{IN_VAIN}: ordered now it would end at {_day(ends_at)}, and the present one ends at {ends}; "
        f"it can gain from {gain_from} on, or under a longer profile"
    )


def _backdate(plan: Plan, rules: RuleSet) -> timedelta:
    """By how much our own CA begins a certificate earlier than now (``domain.profiles.backdate``)."""
    return min(rules.largest_backdate, _planned(plan) / rules.backdate_share)


def _planned(plan: Plan) -> timedelta:
    # A life that ends before it begins is none.
    return max(timedelta(seconds=plan.validity_seconds), timedelta())


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
