"""What is too narrow about one certificate's dates: its own sums, and how long renewals of its tier really take."""

from sqlalchemy.engine import Engine

from api.gateway import Explanation
from domain.lifecycle.explaining import warnings
from domain.policy_rules import usual
from store import reader


def warnings_of(engine: Engine, told: Explanation) -> tuple[str, ...]:
    """In words, as ``explain`` gives them."""
    if told.life is None or told.terms is None:
        return ()
    tier = told.terms.tier
    return warnings(told.life, told.terms, usual(reader.renewal_times(engine, (tier,))[tier]))
