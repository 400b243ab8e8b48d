"""The one way to a Temporal client: worker, API and command line all connect here, so they share one converter."""

import asyncio
import logging
import time

from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import NotReady
from domain.settings import Settings
from workflows.converter import DATA_CONVERTER

log = logging.getLogger(__name__)

# A worker may boot before the server; a minute covers the first start on a slow disk three times.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.5


async def connect(settings: Settings) -> Client:
    """A client of the namespace of ``settings``.  Raises NotReady after a minute without a server."""
    return await connect_within(settings, PATIENCE_SECONDS)


async def connect_within(settings: Settings, patience_seconds: float) -> Client:
    """The same with another patience; at least one attempt is made."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return await Client.connect(
                settings.temporal_address, namespace=settings.namespace, data_converter=DATA_CONVERTER
            )
        except (RPCError, RuntimeError, OSError) as problem:
            # The SDK raises RuntimeError where nothing listens.
            if time.monotonic() + PAUSE_SECONDS > deadline:
                raise NotReady(
                    f"Temporal does not answer at {settings.temporal_address}: {problem}. "
                    "Start it with `everleaf up`, or set EVERLEAF_TEMPORAL_ADDRESS."
                ) from problem
        log.info("waiting for Temporal", extra={"address": settings.temporal_address})
        await asyncio.sleep(PAUSE_SECONDS)
