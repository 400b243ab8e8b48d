"""What we ask of any Temporal, and what it needs from us: the development server, a cluster, or Temporal Cloud.

Asked over our own client, so that mutual TLS and API keys hold here too and no program beside us is needed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetClusterInfoRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import NotReady
from domain.settings import Settings
from workflows.client import connect_within
from workflows.search import ATTRIBUTES

# It must outlast any outage of the archive: with the server's own 24 hours, closed runs are lost over a weekend.
LEAST_RETENTION = timedelta(days=90)
WANTED_RETENTION = timedelta(days=366)
START_SECONDS = 60
ANSWER = timedelta(seconds=10)
TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}
# A managed service keeps these to its own console.
NOT_OURS = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED}

T = TypeVar("T")


def set_up(settings: Settings) -> None:
    """Register our search attributes and raise the retention.  Both are idempotent; raises NotReady.

    A server that has just been born refuses for some tenths of a second: asked again for a minute.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _ask(settings, prepare)
            return
        except NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def retention(settings: Settings) -> timedelta:
    """How long closed runs are kept.  Raises NotReady."""
    return _ask(settings, _retention)


def stores(settings: Settings) -> set[str]:
    """The kinds of store that it keeps histories and lists in, as "postgres12" or "sqlite".  Raises NotReady."""
    return _ask(settings, _stores)


async def prepare(client: Client) -> None:
    """Register our search attributes and raise the retention, once; both are idempotent.  Raises RPCError."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=ANSWER
    )
    known = {*listed.custom_attributes, *listed.system_attributes}
    missing = {name: TYPES[kind] for name, kind in ATTRIBUTES if name not in known}
    if missing:
        await _unless_kept(
            client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(search_attributes=missing, namespace=client.namespace), timeout=ANSWER
            ),
            f"register its search attributes there: {', '.join(f'{n}={k}' for n, k in ATTRIBUTES if n in missing)}",
        )
    # A longer retention is left as it is.
    if await _retention(client) < LEAST_RETENTION:
        kept = Duration()
        kept.FromTimedelta(WANTED_RETENTION)
        await _unless_kept(
            client.workflow_service.update_namespace(
                UpdateNamespaceRequest(
                    namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=kept)
                ),
                timeout=ANSWER,
            ),
            f"set its retention to at least {LEAST_RETENTION.days} days there",
        )


async def _retention(client: Client) -> timedelta:
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), timeout=ANSWER
    )
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


async def _stores(client: Client) -> set[str]:
    said = await client.workflow_service.get_cluster_info(GetClusterInfoRequest(), timeout=ANSWER)
    return {said.persistence_store, said.visibility_store}


async def _unless_kept(change: Awaitable[object], remedy: str) -> None:
    try:
        await change
    except RPCError as problem:
        if problem.status in NOT_OURS:
            raise NotReady(f"Temporal does not let us change the namespace ({problem.message}): {remedy}.") from problem
        raise


def _ask(settings: Settings, question: Callable[[Client], Awaitable[T]]) -> T:
    async def asked() -> T:
        # Nothing that is asked here has a payload of ours, so no key is needed.
        client = await connect_within(settings, None, 0)
        try:
            return await question(client)
        except RPCError as problem:
            raise NotReady(
                f"Temporal at {settings.temporal_address}, namespace {settings.namespace}: {problem.message}. "
                "See its log, or set EVERLEAF_TEMPORAL_ADDRESS and EVERLEAF_TEMPORAL_NAMESPACE."
            ) from problem

    return asyncio.run(asked())
