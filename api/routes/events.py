"""The stream of changes: server-sent events, resumed by ``Last-Event-ID``."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.auth import authenticate
from api.parts import Caller, CallerDep
from api.problems import Unauthenticated
from api.routes import guarded
from domain.errors import NotReady
from store.reader.changes import Change, Place, changes_after, newest_place, oldest_place, read_place

router = guarded("system")

ALIVE_SECONDS = 15.0
# How soon a stream of somebody who was logged out, or whose token was revoked, ends.
PROOF_SECONDS = 60.0
PAGE = 500
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": "event: certificate\n"}}}
}


@router.get("/events", response_class=StreamingResponse, responses=EVENTS)
async def follow_events(
    request: Request,
    caller: CallerDep,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """What changes, as it changes: ``certificate`` and ``discovery`` with the id of what changed.

    ``alive`` comes every 15 s; ``resync``: what was missed is not kept any more, read everything anew; ``ended``: the
    session or the token is no longer good.
    """
    if caller.parts.feed is None:
        raise NotReady("this API has no feed of changes; it is being started.")
    place = read_place(last_event_id) if last_event_id else None
    return ClosedStream(_stream(request, caller, place))


class ClosedStream(StreamingResponse):
    """Ends ``content`` with the answer: suspended where it had told something, it listened on until collected."""

    def __init__(self, content: AsyncGenerator[str, None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._content):
            await super().__call__(scope, receive, send)


async def _stream(request: Request, caller: Caller, place: Place | None) -> AsyncGenerator[str, None]:
    assert caller.parts.feed is not None
    proven = time.monotonic()
    with caller.parts.feed.subscribed() as inbox:
        yield "retry: 3000\n\n"
        begin = await run_in_threadpool(newest_place, caller.engine) if place is None else place
        # The id is given at once, so that a stream that is cut before its first change resumes here.
        yield _event("alive", begin, {})
        if place is not None:
            oldest = await run_in_threadpool(oldest_place, caller.engine)
            newest = await run_in_threadpool(newest_place, caller.engine)
            if place > newest:
                # Of a database that was put back since.
                place = begin = newest
                yield _event("resync", newest, {})
            elif oldest is not None and oldest > place:
                yield _event("resync", None, {})
            async for change in _missed(caller, place):
                begin = change.place
                yield _told(change)
        while True:
            try:
                change_or_none = await asyncio.wait_for(inbox.get(), ALIVE_SECONDS)
            except TimeoutError:
                yield _event("alive", None, {})
            else:
                if change_or_none is None:
                    yield _event("resync", None, {})
                    return
                if change_or_none.place > begin:
                    yield _told(change_or_none)
            if time.monotonic() - proven > PROOF_SECONDS:
                if not await _still_let_in(request):
                    yield _event("ended", None, {})
                    return
                proven = time.monotonic()


async def _missed(caller: Caller, place: Place) -> AsyncIterator[Change]:
    while True:
        found = await run_in_threadpool(changes_after, caller.engine, place, PAGE)
        for change in found:
            yield change
        if len(found) < PAGE:
            return
        place = found[-1].place


async def _still_let_in(request: Request) -> bool:
    try:
        await authenticate(request)
    except Unauthenticated:
        return False
    return True


def _told(change: Change) -> str:
    return _event(change.kind, change.place, {"kind": change.kind, "id": change.subject, "at": change.at.isoformat()})


def _event(kind: str, place: Place | None, data: dict[str, str]) -> str:
    numbered = f"id: {place}\n" if place is not None else ""
    return f"event: {kind}\n{numbered}data: {json.dumps(data)}\n\n"
