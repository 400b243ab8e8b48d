"""Approvals: what waits, nearest deadline first; one question with what changes, who may answer, what if nobody."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api import schemas
from api.parts import Caller, CallerDep
from api.problems import status_of
from api.routes import approvals as api_approvals
from api.web import text, words
from api.web.door import pages
from api.web.pages.certificate import explained_soon
from api.web.render import around, page, reader_of, sentence, workflow_url
from domain.errors import EverleafError
from domain.tiers import Role
from store import access, reader

router = pages()

INBOX = 60
TOLD = {
    "approve": "Approved. It is ordered, deployed and looked at from outside; this page shows when it is served.",
    "reject": "Rejected. It asks again; the certificate that is served goes on towards its end.",
    "hold": "Held. It is ordered at the latest moment that leaves time enough.",
    "unknown": "It is not known yet whether your answer was taken; this page shows it as soon as it is.",
}


@router.get("/approvals")
async def show_approvals(request: Request, caller: CallerDep) -> Response:
    """The inbox, with the nearest open."""
    inbox = await run_in_threadpool(reader.inbox, caller.engine, INBOX)
    nearest = inbox[0]["approval_id"] if inbox else None
    return await render_approval(request, caller, (nearest, inbox), {"opened": False})


@router.get("/approvals/{approval_id}")
async def show_approval(request: Request, approval_id: str, caller: CallerDep, told: str = "") -> Response:
    """One question beside the inbox."""
    inbox = await run_in_threadpool(reader.inbox, caller.engine, INBOX)
    return await render_approval(request, caller, (approval_id, inbox), {"told": TOLD.get(told, "")})


async def render_approval(
    request: Request, caller: Caller, shown: tuple[str | None, list[dict[str, Any]]], more: dict[str, Any]
) -> Response:
    approval_id, inbox = shown
    waiting = (await run_in_threadpool(around, caller)).pending
    here: dict[str, Any] = {
        "inbox": inbox,
        "waiting": waiting,
        "chosen": None,
        "title": "No approval waits"
        if not inbox
        else f"{text.count(waiting, 'approval')} wait{'s' if waiting == 1 else ''}",
        "told": "",
        "problem": "",
        "code": None,
        "opened": True,
    }
    if approval_id is not None:
        here |= await run_in_threadpool(_chosen, caller, approval_id)
        here["ladder"] = await _ladder(caller, here["row"])
    return await run_in_threadpool(page, request, caller, "approvals.html", here | more)


def _chosen(caller: Caller, approval_id: str) -> dict[str, Any]:
    engine = caller.engine
    asked = reader.get_approval(engine, approval_id)
    row = reader.get_certificate(engine, asked["managed_id"])
    seen = reader.seen_certificate(engine, row["fingerprint"])
    comments = [one for one in access.comments_on(engine, asked["managed_id"]) if one.about == approval_id]
    name = row["names"][0] if row["names"] else row["id"]
    return {
        "chosen": asked,
        "row": row,
        "changes": changes(row, asked["plan"], (seen or {}).get("facts") or {}, reader_of(caller)),
        "may_answer": who_may(caller, asked, row),
        "comments": comments,
        "run": workflow_url(caller, row["id"]),
        "key": uuid.uuid4().hex,
        "asked_it": row.get("requested_by") == caller.actor.id,
        "title": f"Approval: {name}",
        "open_now": asked["state"] in ("pending", "rejected") and row.get("approval_id") == approval_id,
    }


async def _ladder(caller: Caller, row: dict[str, Any]) -> list[tuple[datetime, str, bool]]:
    """(when, what happens, whether it is the end), in order; from the lifecycle itself, else from what is stored."""
    now, end = caller.parts.clock(), row["not_after"]
    try:
        explained = await explained_soon(caller, row["id"])
        told = [line for line in explained.because if "is told" in line.what and line.at < end]
        coming = [(line.at, f"Without an answer, {line.what.rpartition(', ')[2]}", False) for line in told]
    except EverleafError:
        coming = [(row["next_action_at"], row["next_action"], False)] if row["next_action_at"] else []
    ahead = [moment for moment in coming if moment[0] > now][:5]
    return [*ahead, (end, f"It ends. {sentence(words.consequence(row))}", True)]


def changes(
    row: words.Row, plan: words.Row, facts: words.Row, reading: words.Reader
) -> list[tuple[str, str, str, bool]]:
    """(field, now, planned, changed)."""
    life = row["not_after"] - row["not_before"]
    validity = timedelta(seconds=plan["validity_seconds"])
    now_names, new_names = set(row["names"]), set(plan["names"])
    key_now = f"{facts['algorithm'].upper()} {facts['key_bits']}" if facts else "not known"
    key_new = f"{plan['algorithm'].upper()} {plan['key_bits']}"
    added, gone = sorted(new_names - now_names), sorted(now_names - new_names)
    named = (
        "the same"
        if not added and not gone
        else ", ".join([f"+ {one}" for one in added] + [f"− {one}" for one in gone])
    )
    ends = f"about {reading.times.day(reading.times.now + validity)} ({reading.times.span(validity)} of life)"
    return [
        ("Ends", f"{reading.times.day(row['not_after'])} ({reading.times.span(life)} of life)", ends, True),
        ("Issuer", row["issuer"], plan["issuer"], plan["issuer"] not in row["issuer"]),
        ("Trust", row["trust_class"], plan["trust_class"], row["trust_class"] != plan["trust_class"]),
        ("Key", key_now, f"{key_new}, new", key_now != key_new),
        ("Names", f"{len(now_names)}", named, bool(added or gone)),
        ("Profile", "–", plan["profile"], False),
        ("Goes to", text.count(len(row["endpoints"]), "place"), ", ".join(plan["targets"]) or "nowhere", False),
    ]


def who_may(caller: Caller, asked: words.Row, row: words.Row) -> list[tuple[bool, str, str]]:
    """(may, who, why not)."""
    asker = row.get("requested_by") or ""
    listed = [
        (person.id != asker.removeprefix("person/"), f"{person.name}, {person.role}", "asked for this renewal")
        for person in access.people_of(caller.engine, Role.SECURITY_HEAD)
    ]
    listed += [
        (False, "The owner", "may answer questions, not approve its own renewal"),
        (False, "NOC", "sees and tells; it neither approves nor acknowledges"),
        (False, "Automation", "only with a token that was made to decide"),
    ]
    return listed


@router.post("/approvals/{approval_id}/decision")
async def decide_on_page(
    request: Request,
    approval_id: str,
    caller: CallerDep,
    decision: Annotated[Literal["approve", "reject", "hold"], Form()],
    version: Annotated[str, Form(min_length=1, max_length=200)],
    key: Annotated[str, Form(max_length=64)],
    comment: Annotated[schemas.Text, Form()] = "",
    overrule: Annotated[bool, Form()] = False,
) -> Response:
    """Answer with the version of the plan that was on the page: what changed meanwhile is not approved unread."""
    body = schemas.DecisionAsked(decision=decision, version=version, comment=comment, overrule=overrule)
    try:
        done = await api_approvals.decide_approval(approval_id, body, Response(), caller, None, key)
    except EverleafError as error:
        status, title = status_of(error)
        inbox = await run_in_threadpool(reader.inbox, caller.engine, INBOX)
        told = {"problem": f"{title}: {error}", "status": status}
        return await render_approval(request, caller, (approval_id, inbox), told)
    told_name = "unknown" if done.status == "unknown" else decision
    return RedirectResponse(f"/approvals/{approval_id}?told={told_name}", status_code=303)


@router.post("/approvals/{approval_id}/code")
async def show_code(request: Request, approval_id: str, caller: CallerDep) -> Response:
    """A code for the Temporal UI, shown once in the answer to this very request."""
    inbox = await run_in_threadpool(reader.inbox, caller.engine, INBOX)
    more: dict[str, Any]
    try:
        more = {"code": await run_in_threadpool(api_approvals.make_code, approval_id, caller)}
    except EverleafError as error:
        status, title = status_of(error)
        more = {"problem": f"{title}: {error}", "status": status}
    return await render_approval(request, caller, (approval_id, inbox), more)
