"""Who goes away while Temporal does not answer leaves nothing behind."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client

from api.engine_health import PATIENCE, QUEUES, Pulse
from api.gateway import TemporalGateway
from domain.errors import NotReady


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a Temporal that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


async def gateway(mute: str, query_seconds: float) -> TemporalGateway:
    return TemporalGateway(await Client.connect(mute, lazy=True), query_seconds=query_seconds)


@pytest.mark.parametrize("asked", ["explain", "newest_run"])
async def test_a_caller_that_goes_away_leaves_no_error_that_nobody_retrieves(mute: str, asked: str) -> None:
    left: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: left.append(context))

    asking = asyncio.create_task(getattr(await gateway(mute, 30), asked)("mc-1"))
    await asyncio.wait([asking], timeout=0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    del asking
    gc.collect()
    await asyncio.sleep(0)

    assert left == []


async def test_no_answer_is_told_within_the_patience_of_a_query(mute: str) -> None:
    with pytest.raises(NotReady, match="does not answer"):
        await (await gateway(mute, 0.2)).explain("mc-1")


async def test_a_temporal_that_says_nothing_has_no_pulse_and_keeps_no_page_waiting(mute: str) -> None:
    # What is promised, and a second for a busy machine.
    async with asyncio.timeout(PATIENCE.total_seconds() + 1):
        assert await (await gateway(mute, 30)).pulse() == Pulse(False, unknown=QUEUES)
