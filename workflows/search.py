"""The search attributes of our workflows: declared once, read by whoever registers them and by whoever sets them."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from domain.lifecycle.agenda import next_moment
from domain.lifecycle.served import present
from domain.lifecycle.state import LifecycleState
from domain.lifecycle.view import needs_human, state_word

TIER = SearchAttributeKey.for_keyword("EverleafTier")
STATE = SearchAttributeKey.for_keyword("EverleafState")
OWNER = SearchAttributeKey.for_keyword("EverleafOwner")
ISSUER = SearchAttributeKey.for_keyword("EverleafIssuer")
SERVICE = SearchAttributeKey.for_keyword("EverleafService")
# The rule set that a run goes by; a run without it is of 0.1.0.
RULES = SearchAttributeKey.for_keyword("EverleafRules")
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
    (RULES.name, "Keyword"),
    (NEEDS_HUMAN.name, "Bool"),
    (NOT_AFTER.name, "Datetime"),
    (NEXT_ACTION.name, "Datetime"),
)

# The keyword columns of the SQL visibility stores are VARCHAR(255); a stranger's distinguished name may be longer.
LONGEST_KEYWORD = 255


def attributes_of(state: LifecycleState, now: datetime) -> tuple[SearchAttributeUpdate[Any], ...]:
    """What the list of workflows shows of ``state``; nothing before its first notice was read."""
    terms = state.terms
    if state.life is None or terms is None:
        return ()
    # Not from the row of the read model: that lists every place, and these are asked for at each turn.
    life, moment = present(state), next_moment(state, now)
    # An overdue moment is "now"; by the minute, so that each look at it does not write the attributes again.
    due = moment.at.replace(second=0, microsecond=0) if moment is not None else None
    texts = (terms.tier.value, state_word(state), terms.owner, life.issuer, terms.service)
    keywords = zip((TIER, STATE, OWNER, ISSUER, SERVICE), texts, strict=True)
    made: tuple[SearchAttributeUpdate[Any], ...] = (
        *(key.value_set(text[:LONGEST_KEYWORD]) for key, text in keywords),
        RULES.value_set(state.led_by.name),
        NEEDS_HUMAN.value_set(needs_human(state)),
        NOT_AFTER.value_set(life.ends_at),
        NEXT_ACTION.value_set(due) if due is not None else NEXT_ACTION.value_unset(),
    )
    # An upsert is a command of the run, so which are made is a choice of its rule set.
    return tuple(attribute for attribute in made if attribute.key.name in state.led_by.shown)
