"""That the API lives: its own loop writes a row every few seconds, and whether Temporal answered it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.gateway import Gateway
from domain.errors import EverleafError
from domain.vitals import API
from store.heartbeats import Beat, beat, leave

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0


@dataclass(slots=True)
class Heart:
    """``beats`` until it is cancelled.  A database that hangs holds up the next beat, and so is seen."""

    engine: Engine
    gateway: Gateway
    clock: Callable[[], datetime]
    host: str
    engine_at: datetime | None = None
    is_silent: bool = False

    async def beats(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(EVERY_SECONDS)

    async def beat(self) -> None:
        if await self.gateway.answers():
            self.engine_at = self.clock()
        said = Beat((API,), self.host, self.clock(), self.engine_at)
        try:
            await asyncio.to_thread(beat, self.engine, said)
        except (SQLAlchemyError, EverleafError):
            if not self.is_silent:
                log.warning("the heartbeat could not be written: the database does not answer")
            self.is_silent = True
        else:
            self.is_silent = False

    async def stop(self) -> None:
        """A process that ends in order is not missed."""
        try:
            await asyncio.wait_for(asyncio.to_thread(leave, self.engine, (API,), self.host), EVERY_SECONDS)
        except (TimeoutError, SQLAlchemyError, EverleafError):
            log.warning("the heartbeat's row stays, the database does not take it away")
