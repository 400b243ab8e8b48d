"""What people and machines ask of one lifecycle: renew now, retire, acknowledge, try again; and their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from api.bodies import AcknowledgementAsked, AnswerAsked, RetirementAsked
from api.lists import OperationAnswer
from api.messaging import Errand, IdempotencyKey, claim, keep_comment, run_errand
from api.parts import Caller, CallerDep
from api.routes import guarded
from api.routes.codes import MAY_RETIRE_BY_ANSWER, require_may_sign_gap
from api.schemas import Operation
from domain.errors import BadInput, NotAllowed
from domain.people.messages import ANSWERS, Acknowledge, Answer, RenewNow, Resume, Retire
from store import reader
from store.access import Binding

router = guarded("certificates")

# Answers that may end a lifecycle, where no place is left to it.
ENDS = frozenset({"retired", "nowhere"})


@router.post("/certificates/{certificate_id}/renewals", status_code=202, response_class=OperationAnswer)
async def start_renewal(certificate_id: str, caller: CallerDep, idempotency_key: IdempotencyKey = None) -> Operation:
    """Open a renewal case before its time; 409 while one is open."""
    await _known(caller, certificate_id)
    sent = await claim(caller, "renew_now", idempotency_key, certificate_id)
    return await run_errand(caller, Errand(sent, Binding(certificate_id, "renew_now"), RenewNow))


@router.post("/certificates/{certificate_id}/resumptions", status_code=202, response_class=OperationAnswer)
async def resume(certificate_id: str, caller: CallerDep, idempotency_key: IdempotencyKey = None) -> Operation:
    """Try the waiting step again now; after a reset: go on behind the last event that is stored."""
    await _known(caller, certificate_id)
    sent = await claim(caller, "resume", idempotency_key, certificate_id)
    return await run_errand(caller, Errand(sent, Binding(certificate_id, "resume"), Resume))


@router.post(
    "/certificates/{certificate_id}/acknowledgements",
    response_class=OperationAnswer,
    responses={202: {"model": Operation}},
)
async def acknowledge(
    certificate_id: str,
    asked: AcknowledgementAsked,
    response: Response,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Operation:
    """Stop repeats of the current rung to one level until a date (at most 14 days); never a later rung.

    412 where the call that ``about`` names is not the current one any more.
    """
    row = await _known(caller, certificate_id)
    about = asked.about or _only([call for call in row["calls"] if call["level"] == asked.level], "calls")
    sent = await claim(caller, "acknowledge", idempotency_key, certificate_id, asked.model_dump_json())
    binding = Binding(certificate_id, "acknowledge")
    errand = Errand(sent, binding, lambda code: Acknowledge(code, asked.level, asked.until, about=about))
    return answered(response, await run_errand(caller, errand))


@router.post(
    "/certificates/{certificate_id}/retirement", response_class=OperationAnswer, responses={202: {"model": Operation}}
)
async def retire_certificate(
    certificate_id: str,
    asked: RetirementAsked,
    response: Response,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Operation:
    """End this lifecycle with a reason; an order under way is collected and revoked."""
    await _known(caller, certificate_id)
    sent = await claim(caller, "retire", idempotency_key, certificate_id, asked.model_dump_json())
    comment_id = await keep_comment(caller, sent, (certificate_id, certificate_id), asked.comment)
    errand = Errand(sent, Binding(certificate_id, "retire"), lambda code: Retire(code, asked.reason), comment_id)
    return answered(response, await run_errand(caller, errand))


@router.post(
    "/certificates/{certificate_id}/answers", response_class=OperationAnswer, responses={202: {"model": Operation}}
)
async def answer_question(
    certificate_id: str,
    asked: AnswerAsked,
    response: Response,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Operation:
    """Answer an open question of this lifecycle; 409 where it is not open, 412 where it is about something else now.

    ``retired`` and ``nowhere`` may end a lifecycle: they need a head or an admin.  ``gap`` is signed by a head.
    """
    words = ANSWERS[asked.question]
    if asked.answer not in words:
        raise BadInput("answer", f"does not answer {asked.question}", f"Write {' or '.join(words)}.")
    if asked.answer in ENDS and caller.actor.role not in MAY_RETIRE_BY_ANSWER:
        raise NotAllowed(f"{caller.actor.role} may not retire; ask a security head or an admin, or answer moved.")
    if asked.answer == "gap":
        require_may_sign_gap(caller.actor)
    row = await _known(caller, certificate_id)
    about = asked.about or _only([one for one in row["questions"] if one["kind"] == asked.question], "questions")
    sent = await claim(caller, "answer", idempotency_key, certificate_id, asked.model_dump_json())
    binding = Binding(certificate_id, "answer")
    errand = Errand(sent, binding, lambda code: Answer(code, asked.question, asked.answer, about=about))
    return answered(response, await run_errand(caller, errand))


def answered(response: Response, operation: Operation) -> Operation:
    """202 where it is not known yet whether it was done."""
    if operation.status == "unknown":
        response.status_code = 202
    return operation


async def _known(caller: Caller, certificate_id: str) -> dict[str, Any]:
    """Its row as the request begins.  Raises NotFound before a warrant is made."""
    row: dict[str, Any] = await run_in_threadpool(reader.get_certificate, caller.engine, certificate_id)
    return row


def _only(found: Sequence[Mapping[str, Any]], what: str) -> str:
    """What the only one of ``found`` is about, as it was read; none: the lifecycle says that nothing is open.

    Raises BadInput where there are several: which one was meant is not for us to say.
    """
    if len(found) > 1:
        several = ", ".join(repr(one["about"]) for one in found[:5])
        raise BadInput("about", f"{len(found)} {what} of this kind are open", f"Write which: {several}.")
    return str(found[0]["about"]) if found else "none"
