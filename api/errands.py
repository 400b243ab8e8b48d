"""One message to one lifecycle: mint a warrant for whom we know, spend it in the same breath."""

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
from domain.errors import EverleafError
from domain.names import certificate_workflow
from domain.people.messages import Warranted
from store.access import Binding, mint_warrant, refuse_comment

# Longer than the longest wait for an answer with its retries, so that no retry meets an expired code.
WARRANT_LIVES = timedelta(minutes=2)

IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, description="The same key again is the same request: it is done once and answered alike."),
]


@dataclass(frozen=True, slots=True)
class Errand:
    """``message``: makes the message from its code; ``comment_id``: what was said with it, kept already."""

    bound_to: Binding
    message: Callable[[str], Warranted]
    idempotency_key: str | None = None
    comment_id: str = ""


def update_id(caller: Caller, errand: Errand) -> str:
    """From the key and who sent it: another caller's equal key is another request."""
    if errand.idempotency_key is None:
        return uuid.uuid4().hex
    meant = "\n".join((caller.actor.id, errand.bound_to.message, errand.idempotency_key))
    return sha256(meant.encode()).hexdigest()[:32]


async def run_errand(caller: Caller, errand: Errand) -> Operation:
    """The operation; ``unknown`` where the lifecycle did not answer in time.  Raises what it refused."""
    try:
        return await _run(caller, errand)
    except EverleafError:
        if errand.comment_id:
            await run_in_threadpool(refuse_comment, caller.engine, errand.comment_id)
        raise


async def _run(caller: Caller, errand: Errand) -> Operation:
    bound, now = errand.bound_to, caller.parts.clock()

    def mint() -> str:
        return mint_warrant(caller.engine, actor=caller.actor, bound_to=bound, lives=WARRANT_LIVES, now=now)

    code = await run_in_threadpool(mint)
    sent = update_id(caller, errand)
    operation = Operation(
        id=sent,
        kind=bound.message,
        status="done",
        resource=f"/v1/certificates/{bound.managed_id}",
        workflow_id=certificate_workflow(bound.managed_id),
    )
    try:
        receipt = await caller.gateway.tell(bound.managed_id, (bound.message, errand.message(code)), sent)
    except Unanswered as unknown:
        return operation.model_copy(update={"status": "unknown", "detail": str(unknown)})
    return operation.model_copy(update={"detail": receipt.detail, "seq": receipt.seq})
