"""What a reader of a certificate's page may do with it; each is the same errand as the API's, asked by a form."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import AwareDatetime

from api import bodies
from api.messaging import until_recorded
from api.parts import Caller, CallerDep
from api.problems import status_of
from api.routes import commands
from api.schemas import Operation
from api.web.page_router import pages
from api.web.pages.certificate import render_certificate
from domain.errors import EverleafError, NotAllowed
from domain.people.messages import Answerable
from domain.tiers import Audience

router = pages()

Key = Annotated[str, Form(max_length=64)]


async def _answer(request: Request, caller: Caller, certificate_id: str, asked: tuple[str, Any]) -> Response:
    """``asked``: (name of the act, its coroutine).  A refusal is shown on the page that asked."""
    name, coming = asked
    try:
        operation: Operation = await coming
    except NotAllowed:
        raise
    except EverleafError as error:
        status, title = status_of(error)
        told = {"problem": f"{title}: {error}", "status": status}
        return await render_certificate(request, caller, certificate_id, told)
    await until_recorded(caller, operation)
    told_name = "unknown" if operation.status == "unknown" else name
    return RedirectResponse(f"/certificates/{certificate_id}?told={told_name}", status_code=303)


@router.post("/certificates/{certificate_id}/renewal")
async def renew_on_page(request: Request, certificate_id: str, caller: CallerDep, key: Key) -> Response:
    asked = commands.start_renewal(certificate_id, caller, key)
    return await _answer(request, caller, certificate_id, ("renewal", asked))


@router.post("/certificates/{certificate_id}/resumption")
async def resume_on_page(request: Request, certificate_id: str, caller: CallerDep, key: Key) -> Response:
    return await _answer(request, caller, certificate_id, ("resumption", commands.resume(certificate_id, caller, key)))


@router.post("/certificates/{certificate_id}/retirement")
async def retire_on_page(
    request: Request,
    certificate_id: str,
    caller: CallerDep,
    reason: Annotated[Literal["decommissioned", "replaced", "moved", "mistake"], Form()],
    key: Key,
    comment: Annotated[bodies.Text, Form()] = "",
) -> Response:
    body = bodies.RetirementAsked(reason=reason, comment=comment)
    asked = commands.retire_certificate(certificate_id, body, Response(), caller, key)
    return await _answer(request, caller, certificate_id, ("retirement", asked))


@router.post("/certificates/{certificate_id}/acknowledgement")
async def acknowledge_on_page(
    request: Request,
    certificate_id: str,
    caller: CallerDep,
    level: Annotated[Audience, Form()],
    days: Annotated[int, Form(ge=1, le=14)],
    since: Annotated[AwareDatetime, Form()],
    key: Key,
    about: Annotated[bodies.About | None, Form()] = None,
) -> Response:
    # From when the page was read, so that the form sent twice is the same request; and a little less than the whole,
    # for the lifecycle's clock may be a moment behind ours.
    until: datetime = min(since, caller.parts.clock()) + timedelta(days=days) - timedelta(seconds=5)
    body = bodies.AcknowledgementAsked(level=level, until=until, about=about)
    asked = commands.acknowledge(certificate_id, body, Response(), caller, key)
    return await _answer(request, caller, certificate_id, ("acknowledgement", asked))


@router.post("/certificates/{certificate_id}/answer")
async def answer_on_page(
    request: Request,
    certificate_id: str,
    caller: CallerDep,
    question: Annotated[Answerable, Form()],
    answer: Annotated[str, Form(min_length=1, max_length=200)],
    key: Key,
    about: Annotated[bodies.About | None, Form()] = None,
) -> Response:
    body = bodies.AnswerAsked(question=question, answer=answer, about=about)
    asked = commands.answer_question(certificate_id, body, Response(), caller, key)
    return await _answer(request, caller, certificate_id, ("answer", asked))
