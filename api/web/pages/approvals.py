"""Approvals: what waits, nearest deadline first; one question with what changes, who may answer, what if nobody."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.engine import Engine
from starlette.concurrency import run_in_threadpool

from api import bodies
from api.messaging import until_recorded
from api.parts import Caller, CallerDep
from api.problems import status_of
from api.routes import approvals as api_approvals
from api.web import text, words
from api.web.charts import before as how_long
from api.web.page_router import pages
from api.web.pages.certificate import explained_soon
from api.web.render import around, page, reader_of, sentence, workflow_url
from domain.errors import EverleafError
from domain.lifecycle.ladder import moved
from domain.profiles import USAGE_OIDS, usage_word
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
    return await render_approval(request, caller, (approval_id, inbox), {"told": told if told in TOLD else ""})


async def render_approval(
    request: Request, caller: Caller, shown: tuple[str | None, list[dict[str, Any]]], more: dict[str, Any]
) -> Response:
    approval_id, inbox = shown
    waiting = (await run_in_threadpool(around, caller)).pending
    here: dict[str, Any] = {
        "inbox": [{**row, "heard_at": words.asks_again_at(row) or row["deadline"]} for row in inbox],
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
        here |= await _ladder(caller, here["row"])
    here["told_words"] = TOLD.get(str(more.get("told", "")), "")
    return await run_in_threadpool(page, request, caller, "approvals.html", here | more)


def _chosen(caller: Caller, approval_id: str) -> dict[str, Any]:
    engine = caller.engine
    asked = reader.get_approval(engine, approval_id)
    row = reader.get_certificate(engine, asked["managed_id"])
    reading = reader_of(caller, named=True)
    lives = {life["generation"]: life for life in reader.lives_of(engine, row["id"])}
    before = _before(engine, row, lives.get(asked["generation"]) or row)
    comments = [one for one in access.comments_on(engine, asked["managed_id"]) if one.about == approval_id]
    name = row["names"][0] if row["names"] else row["id"]
    return {
        "chosen": asked,
        "row": row,
        "changes": changes(before, asked["plan"], lives.get(asked["generation"] + 1), reading),
        "may_answer": who_may(reading, row),
        "answered_by": reading.name_of(asked["decided_by"]) if asked["decided_by"] else "",
        "name_of": reading.name_of,
        "who_must": words.who_must_act(row, reading),
        "comments": comments,
        "run": workflow_url(caller, row["id"]),
        "key": uuid.uuid4().hex,
        "asked_it": row.get("requested_by") == caller.actor.id,
        "title": f"Approval: {name}",
        "open_now": asked["state"] in ("pending", "rejected") and row.get("approval_id") == approval_id,
    }


async def _ladder(caller: Caller, row: dict[str, Any]) -> dict[str, Any]:
    """``ladder``: (when, what happens, whether it is the end), in order, from the lifecycle itself or else from what is
    stored; ``may_hold``: the latest moment to which the order may be held is still ahead."""
    now, end, hold = caller.parts.clock(), row["not_after"], None
    heard = words.asks_again_at(row)
    coming = {heard: "it is said again."} if heard is not None and heard < end else {}
    try:
        explained = await explained_soon(caller, row["id"])
        for line in explained.because:
            if "is told" in line.what and line.at < end:
                # A rung and a repetition at one instant are one message: the rung's.
                coming[line.at] = f"{line.what.rpartition(', ')[2]}, {how_long(end - line.at)} before the end."
            if "may hold" in line.what:
                hold = line.at
    except EverleafError:
        # Its worker is away: what is stored is less, and still true.
        hold = end
    ahead = [(at, f"Without an answer, {what}", False) for at, what in sorted(coming.items()) if at > now][:5]
    ends = (end, f"It ends. {sentence(words.consequence(row))}", True)
    return {"ladder": [*ahead, ends], "may_hold": hold is not None and hold > now}


def _before(engine: Engine, row: dict[str, Any], life: dict[str, Any]) -> dict[str, Any]:
    """The certificate that was served when it was asked, also after it has been replaced."""
    facts = (reader.seen_certificate(engine, life["fingerprint"]) or {}).get("facts") or {}
    trust = row["trust_class"] if life["fingerprint"] == row["fingerprint"] else ""
    names = facts.get("names") or row["names"]
    return {**life, "facts": facts, "names": names, "trust_class": trust, "places": len(row["endpoints"])}


def changes(
    before: words.Row, plan: words.Row, after: words.Row | None, reading: words.Reader
) -> list[tuple[str, str, str, bool]]:
    """(field, before, planned, changed).  ``after``: the life that came of it, once there is one."""
    times, facts = reading.times, before["facts"]
    validity = timedelta(seconds=plan["validity_seconds"])
    old_names, new_names = set(before["names"]), set(plan["names"])
    key_now = f"{facts['algorithm'].upper()} {facts['key_bits']}" if facts else "not known"
    key_new = f"{plan['algorithm'].upper()} {plan['key_bits']}"
    named = [f"+ {one}" for one in sorted(new_names - old_names)]
    named += [f"− {one}" for one in sorted(old_names - new_names)]
    ends = f"about {times.day(moved(times.now, validity))}" if after is None else times.day(after["not_after"])
    lived = times.span(before["not_after"] - before["not_before"])
    ended = f"{times.day(before['not_after'])} ({lived} of life)"
    trust = before["trust_class"]
    used = ", ".join(map(usage_word, facts.get("extended_key_usages", ()))) or ("any" if facts else "not known")
    coming = [USAGE_OIDS.get(usage, usage) for usage in plan.get("usages", ("server",))]
    return [
        (
            "Ends",
            ended,
            f"{ends} ({times.span(validity)} of life)",
            True,
        ),
        ("Issuer", before["issuer"], plan["issuer"], plan["issuer"] not in before["issuer"]),
        ("Trust", trust or "not kept", plan["trust_class"], trust not in ("", plan["trust_class"])),
        ("Key", key_now, f"{key_new}, new", key_now != key_new),
        ("Names", f"{len(old_names)}", ", ".join(named) or "the same", bool(named)),
        ("Use", used, ", ".join(map(usage_word, coming)), bool(plan.get("loses"))),
        ("Profile", "–", plan["profile"], False),
        ("Goes to", text.count(before["places"], "place"), _goes_to(plan["targets"], before["places"]), False),
    ]


def _goes_to(named: Sequence[str], places: int) -> str:
    more = f" and {places - len(named)} more" if places > len(named) > 0 else ""
    return ", ".join(named) + more or "nowhere"


def who_may(reading: words.Reader, row: words.Row) -> list[tuple[bool, str, str]]:
    """(may, who, why not): every head by name, then every other role."""
    asker, blocked = row.get("requested_by") or "", words.is_blocked(row)
    heads = [one for one in reading.people if one.role is Role.SECURITY_HEAD]
    why = "first an open question must be answered" if blocked else "asked for this renewal"
    listed = [(not blocked and f"person/{one.id}" != asker, f"{one.name}, {one.role}", why) for one in heads]
    return [*listed, *((False, who, why) for who, why in OTHERS)]


# Whoever is not the head of IT security, and why they do not decide.
OTHERS = (
    ("The owner", "may answer questions, not approve its own renewal"),
    ("Operator", "renews, answers and acknowledges; approval is the head's"),
    ("NOC", "sees and tells; it neither approves nor acknowledges"),
    ("Auditor", "reads everything and changes nothing"),
    ("Administrator", "runs Everleaf and approves nothing"),
    ("Automation", "only with a token that was made to decide"),
)


@router.post("/approvals/{approval_id}/decision")
async def decide_on_page(
    request: Request,
    approval_id: str,
    caller: CallerDep,
    decision: Annotated[Literal["approve", "reject", "hold"], Form()],
    version: Annotated[str, Form(min_length=1, max_length=200)],
    key: Annotated[str, Form(max_length=64)],
    comment: Annotated[bodies.Text, Form()] = "",
    overrule: Annotated[bool, Form()] = False,
) -> Response:
    """Answer with the version of the plan that was on the page: what changed meanwhile is not approved unread."""
    body = bodies.DecisionAsked(decision=decision, version=version, comment=comment, overrule=overrule)
    try:
        done = await api_approvals.decide_approval(approval_id, body, Response(), caller, None, key)
    except EverleafError as error:
        status, title = status_of(error)
        inbox = await run_in_threadpool(reader.inbox, caller.engine, INBOX)
        told = {"problem": f"{title}: {error}", "status": status}
        return await render_approval(request, caller, (approval_id, inbox), told)
    await until_recorded(caller, done)
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
