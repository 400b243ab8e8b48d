"""One message to one lifecycle: mint a warrant for whom we know, spend it in the same breath."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Annotated

from fastapi import Header
from starlette.concurrency import run_in_threadpool

from api.gateway import Unanswered
from api.parts import Caller
from api.schemas import Operation
from domain.names import certificate_workflow
from domain.people.messages import Warranted
from store.access import Binding, Comment, add_comment, claim_key, mint_warrant, say_comment
from store.reader import get_certificate

# Longer than the longest wait for an answer with its retries, so that no retry meets an expired code.
WARRANT_LIVES = timedelta(minutes=2)
RECORDED_WITHIN_SECONDS = 2.0

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=200,
        description="The same key again is the same request: done once, answered alike. 422 with another body.",
    ),
]


@dataclass(frozen=True, slots=True)
class Errand:
    """``id``: of the request, which is the id of the update; ``message``: makes the message from its code;
    ``comment_id``: of what came with it, empty without one; it counts once the lifecycle has taken the message."""

    id: str
    bound_to: Binding
    message: Callable[[str], Warranted]
    comment_id: str = ""


async def claim(caller: Caller, kind: str, key: str | None, *meant: str) -> str:
    """The id of a request of ``kind``: the same for the same key of the same caller, whose other keys are others.

    Raises BadInput where that key came with another request than ``meant``.
    """
    if key is None:
        return uuid.uuid4().hex
    request_id = sha256("\n".join((caller.actor.id, kind, key)).encode()).hexdigest()[:32]
    now = caller.parts.clock()
    await run_in_threadpool(claim_key, caller.engine, request_id, "\n".join(meant), now)
    return request_id


async def keep_comment(caller: Caller, request_id: str, about: tuple[str, str], text: str) -> str:
    """Its id, empty without a text.  The same request says it once, however often it comes.  ``about``: the managed
    certificate, and what of it."""
    if not text:
        return ""
    comment = Comment(*about, caller.actor.id, text, caller.parts.clock())
    await run_in_threadpool(add_comment, caller.engine, request_id, comment)
    return request_id


async def run_errand(caller: Caller, errand: Errand) -> Operation:
    """The operation; ``unknown`` where the lifecycle did not answer in time.  Raises what it refused."""
    operation = await _run(caller, errand)
    if errand.comment_id:
        await run_in_threadpool(say_comment, caller.engine, errand.comment_id)
    return operation


async def until_recorded(caller: Caller, operation: Operation) -> None:
    """Let what was just done reach the read model, so that the page behind it shows it; at most two seconds."""
    managed_id = operation.resource.rpartition("/")[2]
    deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
    while operation.seq is not None and time.monotonic() < deadline:
        row = await run_in_threadpool(get_certificate, caller.engine, managed_id)
        # A state counts to its next event; the store names the last one.
        if row["seq"] >= operation.seq - 1:
            return
        await asyncio.sleep(0.05)


async def _run(caller: Caller, errand: Errand) -> Operation:
    bound, now = errand.bound_to, caller.parts.clock()

    def mint() -> str:
        return mint_warrant(caller.engine, actor=caller.actor, bound_to=bound, lives=WARRANT_LIVES, now=now)

    code = await run_in_threadpool(mint)
    operation = Operation(
        id=errand.id,
        kind=bound.message,
        status="done",
        resource=f"/v1/certificates/{bound.managed_id}",
        workflow_id=certificate_workflow(bound.managed_id),
    )
    try:
        receipt = await caller.gateway.tell(bound.managed_id, (bound.message, errand.message(code)), errand.id)
    except Unanswered as unknown:
        return operation.model_copy(update={"status": "unknown", "detail": str(unknown)})
    return operation.model_copy(update={"detail": receipt.detail, "seq": receipt.seq})
