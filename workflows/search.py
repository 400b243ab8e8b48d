"""The search attributes of our workflows: declared once, read by whoever registers them and by whoever sets them."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from domain.lifecycle.agenda import next_moment
from domain.lifecycle.state import LifecycleState
from domain.lifecycle.view import needs_human, state_word

TIER = SearchAttributeKey.for_keyword("EverleafTier")
STATE = SearchAttributeKey.for_keyword("EverleafState")
OWNER = SearchAttributeKey.for_keyword("EverleafOwner")
ISSUER = SearchAttributeKey.for_keyword("EverleafIssuer")
SERVICE = SearchAttributeKey.for_keyword("EverleafService")
NEEDS_HUMAN = SearchAttributeKey.for_bool("EverleafNeedsHuman")
NOT_AFTER = SearchAttributeKey.for_datetime("EverleafNotAfter")
NEXT_ACTION = SearchAttributeKey.for_datetime("EverleafNextAction")

# (name, type) in the words of `temporal operator search-attribute create`.  At most 10 Keyword, 3 of each other type:
# the SQL visibility stores of Temporal have no more columns.
ATTRIBUTES: tuple[tuple[str, str], ...] = (
    (TIER.name, "Keyword"),
    (STATE.name, "Keyword"),
    (OWNER.name, "Keyword"),
    (ISSUER.name, "Keyword"),
    (SERVICE.name, "Keyword"),
    (NEEDS_HUMAN.name, "Bool"),
    (NOT_AFTER.name, "Datetime"),
    (NEXT_ACTION.name, "Datetime"),
)


def attributes_of(state: LifecycleState, now: datetime) -> tuple[SearchAttributeUpdate[Any], ...]:
    """What the workflow list shows of a lifecycle; empty before its first notice.  Ids and words only."""
    life, terms = state.life, state.terms
    if life is None or terms is None:
        return ()
    moment = next_moment(state, now)
    shown = (
        TIER.value_set(terms.tier.value),
        STATE.value_set(state_word(state)),
        OWNER.value_set(terms.owner or "nobody"),
        ISSUER.value_set(terms.plan.issuer if terms.plan is not None else "none"),
        SERVICE.value_set(terms.service or "unknown"),
        NEEDS_HUMAN.value_set(needs_human(state)),
        NOT_AFTER.value_set(life.ends_at),
    )
    return (*shown, NEXT_ACTION.value_set(moment.at)) if moment is not None and moment.at > now else shown
