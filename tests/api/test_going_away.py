"""Who goes away while Temporal does not answer leaves nothing behind."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from api import engine_health
from api.engine_health import QUEUES, Pulse
from api.gateway import TemporalGateway
from domain.errors import NotReady
from tests.launcher.waiting import LONG_SECONDS


@dataclass
class Mute:
    """A Temporal that takes a connection and says nothing."""

    server: socket.socket
    line: socket.socket | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    async def is_asked(self) -> None:
        """Until somebody has connected, who then stays unanswered."""
        self.line, _ = await asyncio.get_running_loop().sock_accept(self.server)


@pytest.fixture
def mute() -> Iterator[Mute]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        made = Mute(server)
        yield made
        if made.line is not None:
            made.line.close()


async def gateway(mute: Mute, query_seconds: float) -> TemporalGateway:
    return TemporalGateway(await Client.connect(mute.address, lazy=True), query_seconds=query_seconds)


@pytest.mark.parametrize("asked", ["explain", "newest_run"])
async def test_a_caller_that_goes_away_leaves_no_error_that_nobody_retrieves(mute: Mute, asked: str) -> None:
    left: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: left.append(context))

    asking = asyncio.create_task(getattr(await gateway(mute, 30), asked)("mc-1"))
    await mute.is_asked()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    del asking
    gc.collect()
    await asyncio.sleep(0)

    assert left == []


async def test_no_answer_is_told_within_the_patience_of_a_query(mute: Mute) -> None:
    with pytest.raises(NotReady, match="does not answer"):
        await (await gateway(mute, 0.2)).explain("mc-1")


async def test_a_temporal_that_says_nothing_has_no_pulse_and_keeps_no_page_waiting(
    mute: Mute, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timedelta(seconds=1) >= engine_health.PATIENCE
    # It never answers: that this ends at all is the patience, which is far below every other bound.
    monkeypatch.setattr(engine_health, "PATIENCE", timedelta(milliseconds=200))
    assert await (await gateway(mute, LONG_SECONDS)).pulse() == Pulse(False, unknown=QUEUES)
