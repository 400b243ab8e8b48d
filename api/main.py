"""The API process: settings -> parts -> app.  ``uvicorn api.main:create_app --factory``."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from api import problems
from api.auth import ROLES
from api.describe import DescribedApp
from api.feed import Feed
from api.gateway import TemporalGateway
from api.head_requests import HeadAsGet
from api.headers import SecurityHeaders
from api.heart import Heart
from api.hosts import KnownHosts
from api.limit import SizeLimit
from api.parts import Parts
from api.rates import OncePerMinute, RateLimit, Rates
from api.routes import (
    BEARER,
    approvals,
    certificates,
    codec,
    codes,
    commands,
    discoveries,
    events,
    histories,
    metrics,
    orders,
    reconciliations,
    system,
)
from api.routes import policy as policy_routes
from api.web import page_router, static_files
from api.web.pages import access, acts, certificate, discovery, help, login, policy, situation
from api.web.pages import approvals as approvals_page
from api.web.pages import certificates as certificates_page
from domain.settings import parse
from formats.payload_keys import parse_keys
from store.engine import create_engine
from workflows.client import connect
from workflows.connection import keep_connected
from workflows.sealing import keys_of

GUARDED = (
    *(certificates, histories, commands, codes, approvals, discoveries, reconciliations, orders),
    *(policy_routes, events, metrics, system, codec),
)
PAGE_ROOMS = (login, situation, certificates_page, certificate, acts, approvals_page, discovery, policy, access, help)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app() -> FastAPI:
    """The app of this process's environment; connects when it starts.  Raises BadInput naming a missing variable."""
    settings = parse(os.environ)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings.database_url)
        keys = keys_of(settings, parse_keys)
        client = await connect(settings, keys)
        connected = asyncio.create_task(keep_connected(client))
        feed = Feed(engine)
        feed.start()
        app.state.parts = Parts(
            engine,
            TemporalGateway(client),
            now,
            settings.policy,
            version("everleaf"),
            timezone=settings.timezone,
            temporal_ui=settings.temporal_ui,
            auditors_ui=settings.auditors_ui,
            namespace=settings.namespace,
            feed=feed,
            api_url=settings.api_url,
            watch_dir=settings.watch_dir,
            payload_keys=keys,
        )
        heart = Heart(engine, app.state.parts.gateway, now, socket.gethostname())
        beating = asyncio.create_task(heart.beats())
        yield
        beating.cancel()
        await heart.stop()
        connected.cancel()
        feed.stop()
        engine.dispose()

    return _assemble(lifespan)


def build(parts: Parts) -> FastAPI:
    """The app over given parts, for tests."""
    app = _assemble(None)
    app.state.parts = parts
    return app


def description() -> dict[str, Any]:
    """The OpenAPI description of this release; needs no part."""
    return _assemble(None).openapi()


def now() -> datetime:
    return datetime.now(UTC)


def operation_id(route: APIRoute) -> str:
    """The function's name: stable, and what generated clients call it."""
    return route.name


def _assemble(lifespan: Lifespan | None) -> FastAPI:
    app = DescribedApp(
        title="Everleaf",
        version=version("everleaf"),
        summary="Keeps every certificate alive: discover, ask, renew, deploy, look again, record.",
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        # The framework's pages load scripts from elsewhere; ours, at /docs, loads its own (api.web.static).
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    page_router.install(app)
    # The last one stands outermost.
    for layer in (SizeLimit, KnownHosts, RateLimit, SecurityHeaders, codec.AskedFromTheUI, HeadAsGet):
        app.add_middleware(layer)
    for room in GUARDED:
        app.include_router(room.router, dependencies=[Depends(BEARER)])
    app.include_router(system.public)
    app.include_router(static_files.router)
    app.include_router(login.public)
    for room in PAGE_ROOMS:
        app.include_router(room.router)
    app.state.routes = tuple(ROLES)
    app.state.rates = Rates()
    app.state.refusals = OncePerMinute()
    return app
