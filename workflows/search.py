"""The search attributes of our workflows: declared once, read by whoever registers them and by whoever sets them."""

from temporalio.common import SearchAttributeKey

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
