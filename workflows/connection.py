"""A connection to Temporal that outlives its credentials: once a file is renewed, the next call goes over a new one."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from google.protobuf.message import Message
from temporalio.client import Client
from temporalio.service import ConnectConfig, RPCError, ServiceClient
from temporalio.worker import Worker

from domain.errors import BadInput
from domain.settings import Settings
from workflows.credentials import Credentials, read_credentials

log = logging.getLogger(__name__)

# A certificate of ours is renewed weeks before its end; a minute is soon.
LOOKED_AT_EVERY = timedelta(minutes=1)


class LastingService(ServiceClient):
    """What every client of ours speaks through; ``renew`` changes the connection under all that hold it."""

    def __init__(self, settings: Settings, given: Credentials, current: ServiceClient) -> None:
        super().__init__(current.config)
        self._settings = settings
        self._given = given
        self._current = current

    @staticmethod
    async def open(settings: Settings) -> "LastingService":
        """Raises BadInput for a file, and what the SDK raises where nobody answers or we are refused."""
        given = read_credentials(settings)
        return LastingService(settings, given, await ServiceClient.connect(_config(settings, given)))

    async def renew(self) -> bool:
        """Whether a file has changed: then everything from now on goes over a new connection.  Raises as ``open``.

        Where the new one is refused the old one stays: a certificate that was half written must end nothing.
        """
        found = await asyncio.to_thread(read_credentials, self._settings)
        if found == self._given:
            return False
        config = replace(_config(self._settings, found), identity=self.config.identity)
        self._current = await ServiceClient.connect(config)
        self._given, self.config = found, config
        return True

    @property
    def worker_service_client(self):  # type: ignore[no-untyped-def]  # as the SDK has it
        return self._current.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        self._current.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        self._current.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type, **how):  # type: ignore[no-untyped-def]  # as the SDK has it
        return await self._current._rpc_call(rpc, req, resp_type, **how)


def _config(settings: Settings, given: Credentials) -> ConnectConfig:
    # Never None for TLS: the SDK would then choose by itself.
    return ConnectConfig(settings.temporal_address, api_key=given.api_key, tls=given.tls or False)


async def keep_connected(client: Client, workers: Sequence[Worker] = ()) -> None:
    """For ever: follow renewed files, with the polls of ``workers`` too."""
    while True:
        await asyncio.sleep(LOOKED_AT_EVERY.total_seconds())
        await follow_files(client, workers)


async def follow_files(client: Client, workers: Sequence[Worker] = ()) -> None:
    """Once; what is refused is logged, and tried again the next time."""
    service = client.service_client
    assert isinstance(service, LastingService)
    try:
        if not await service.renew():
            return
    except (BadInput, RPCError, RuntimeError, OSError) as problem:
        # The connection of before goes on for as long as its server lets it.
        log.error("the renewed credentials for Temporal are not used: %s", problem)
        return
    for worker in workers:
        # The same client, whose connection is another: the worker asks for it only when it is set.
        worker.client = client
    log.info("connected to Temporal with renewed credentials", extra={"address": service.config.target_host})
