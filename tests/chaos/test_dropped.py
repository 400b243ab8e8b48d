"""A mail server takes letters and loses them: only the climb helps, and it does."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from store import tables
from tests.chaos.conftest import Estates
from tests.launcher.waiting import until

pytestmark = [pytest.mark.e2e]

# Of a life of one hour the escalation mark lies 10 minutes before its end (DESIGN rule 1): half a
# minute after the start.
LEFT = timedelta(minutes=10, seconds=30)


@pytest.mark.long
def test_the_rung_after_a_letter_that_was_lost_reaches_the_head(estate: Estates) -> None:
    with estate(asks=True, left=LEFT) as product:
        post, world = product.post, product.world
        assert post is not None
        post.mood = "dropping"
        world.start_worker()
        world.discover()
        until(lambda: post.met["dropping"] > 0)
        column = tables.deliveries.c
        until(lambda: "delivered" in product.rows(sa.select(column.state)))
        # What the channel took counts as told; nobody reads it.
        assert product.letters() == []
        post.mood = "taking"
        until(lambda: any("not replaced yet" in letter for letter in product.letters()))
        [managed_id] = set(product.rows(sa.select(tables.approvals.c.managed_id)))
        assert f"certificates/{managed_id}" in product.letters()[0]
