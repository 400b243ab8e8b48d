"""What a request may use: given once when the app is built, so that tests give other parts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.engine import Engine

from api.cached import Memory
from api.feed import Feed
from api.gateway import Gateway
from store.access import Actor
from workflows.sealing import KeyFile


@dataclass(frozen=True, slots=True)
class Parts:
    """``policy``: path of the policy file, whose scope bounds discoveries; empty: not known here.  ``timezone``: in
    which people read times.  ``temporal_ui``: base of links to runs; empty: no UI is known.  ``auditors_ui``: of a
    second one, for reading alone.  ``api_url``: the name by which we may be called, beside those of this machine.
    ``watch_dir``: where the watcher's status lies; empty: not known here.
    ``payload_keys``: None: payloads are not encrypted."""

    engine: Engine
    gateway: Gateway
    clock: Callable[[], datetime]
    policy: str = ""
    release: str = ""
    timezone: str = "Asia/Kolkata"
    temporal_ui: str = ""
    auditors_ui: str = ""
    namespace: str = "default"
    feed: Feed | None = None
    api_url: str = ""
    watch_dir: str = ""
    payload_keys: KeyFile | None = None
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated request."""

    parts: Parts
    actor: Actor

    @property
    def engine(self) -> Engine:
        return self.parts.engine

    @property
    def gateway(self) -> Gateway:
        return self.parts.gateway


def parts_of(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def caller_of(request: Request) -> Caller:
    """Who was let in by the door (``api.auth``); a route without the door has no caller."""
    return Caller(parts_of(request), request.state.actor)


CallerDep = Annotated[Caller, Depends(caller_of)]
PartsDep = Annotated[Parts, Depends(parts_of)]
