"""The one way to a Temporal client, and what the servers are told about our workflows."""

import pytest

from cli.process import free_port
from domain.errors import NotReady
from domain.settings import Settings
from workflows.client import connect_within
from workflows.search import ATTRIBUTES


async def test_a_server_that_never_comes_is_named_with_the_remedy() -> None:
    address = f"127.0.0.1:{free_port()}"
    nowhere = Settings(database_url="", temporal_address=address, home="")

    with pytest.raises(NotReady, match=f"{address}.*everleaf up"):
        await connect_within(nowhere, None, patience_seconds=0)


def test_search_attributes_fit_the_columns_of_the_visibility_store() -> None:
    kinds = [kind for _, kind in ATTRIBUTES]

    assert kinds.count("Keyword") <= 10
    assert all(kinds.count(kind) <= 3 for kind in set(kinds) - {"Keyword"})
