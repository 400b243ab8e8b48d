"""A Temporal that was put back to an earlier time goes on from what the store holds, with nothing ordered twice."""

import pytest
import sqlalchemy as sa

from store import tables
from tests.chaos.product import Shaken
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]


def test_lifecycles_of_an_earlier_time_are_replaced_by_what_was_recorded(shaken_early: Shaken) -> None:
    product = shaken_early
    events = tables.events.c

    def renewed() -> None:
        until(product.world.is_finished)
        product.compare()

    recorded = sa.select(events.stream).distinct()
    until(lambda: len(product.rows(recorded)) == 2 and product.comparisons() > 0)
    product.put_temporal_back(renewed)
    orders = product.orders()
    assert len(orders) == 2
    product.compare()
    recalled = sa.select(events.stream).where(events.kind == "state_recalled").order_by(events.stream)
    until(lambda: product.rows(recalled) == product.certificates())
    until(product.all_run)
    until(lambda: len(product.told()) == 1)
    assert "2 lifecycles of an earlier time were replaced, as Temporal was put back: n" in " ".join(
        product.told()[0].split()
    )
    product.compare()
    generations = set(product.rows(sa.select(tables.managed_certificates.c.generation)))
    assert generations == {2}
    assert product.orders() == orders
    assert len(product.told()) == 1
