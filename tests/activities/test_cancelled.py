"""An adoption that is cancelled, or whose time is over, ends between two pages and leaves nothing running."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from sqlalchemy.engine import Engine
from temporalio.testing import ActivityEnvironment

from activities.resolution import resolving
from domain.contracts import AdoptDiscovery
from domain.errors import NotReady
from store.sightings.looks import find
from tests.activities.sightings import Sky, url
from tests.activities.test_adoption import House
from tests.launcher.waiting import LONG_SECONDS

pytestmark = pytest.mark.server


async def test_a_cancelled_adoption_stops_its_thread_and_the_next_attempt_adopts(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sky = Sky(database)
    sky.look("d1", {url(1): sky.leaf("h.example")})
    house, environment = House(database, sky.rules), ActivityEnvironment()
    begun, is_cancelled, ended = Event(), Event(), list[str]()

    def read(_engine: Engine, _discovery: str, _rules: Any, beat: Callable[[], None]) -> None:
        """Two pages: the activity is cancelled between them."""
        beat()
        begun.set()
        assert is_cancelled.wait(LONG_SECONDS)
        try:
            beat()
        except NotReady as error:
            ended.append(str(error))
            raise

    monkeypatch.setattr(resolving, "read", read)
    adopting = asyncio.create_task(environment.run(house.adoption.adopt, AdoptDiscovery("d1")))
    assert await asyncio.to_thread(begun.wait, LONG_SECONDS)
    environment.cancel()
    # The activity hears of it in its own turn of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    is_running = not adopting.done()
    is_cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await adopting

    assert is_running, "it waits for its thread"
    assert len(ended) == 1
    assert "cancelled" in ended[0]
    assert find(database, "d1").state == "scanned"
    monkeypatch.undo()
    assert (await house.adopt("d1")).new == 1
