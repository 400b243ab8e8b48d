"""The one way to a Temporal client: worker, API and command line all connect here, so they share one converter."""

import asyncio
import logging
import time

from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import NotReady
from domain.settings import Settings
from workflows.connection import LastingService
from workflows.converter import converter
from workflows.credentials import why_refused
from workflows.sealing import KeyFile

log = logging.getLogger(__name__)

# A worker may boot before the server; a minute covers the first start on a slow disk three times.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.5


async def connect(settings: Settings, keys: KeyFile | None) -> Client:
    """A client of the namespace of ``settings``.  Raises NotReady after a minute without a server.

    ``keys``: those of ``settings`` (``sealing.keys_of``).  Raises BadInput for a file of the front end's.
    """
    return await connect_within(settings, keys, PATIENCE_SECONDS)


async def connect_within(settings: Settings, keys: KeyFile | None, patience_seconds: float) -> Client:
    """The same with another patience; at least one attempt is made."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            service = await LastingService.open(settings)
            return Client(service, namespace=settings.namespace, data_converter=converter(keys))
        except (RPCError, RuntimeError, OSError) as problem:
            # The SDK raises RuntimeError where nothing listens, and where a certificate is refused.
            if time.monotonic() + PAUSE_SECONDS > deadline:
                raise NotReady(why_refused(settings, str(problem))) from problem
        log.info("waiting for Temporal", extra={"address": settings.temporal_address})
        await asyncio.sleep(PAUSE_SECONDS)
