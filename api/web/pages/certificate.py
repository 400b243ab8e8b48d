"""One certificate: why, who, next; its dates with their sums, where it is served, its lives, what happened."""

import asyncio
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.explanations import warnings_of
from api.gateway import Explanation
from api.parts import Caller, CallerDep
from api.web import charts, findings, history, words
from api.web.page_router import pages
from api.web.render import page, reader_of, workflow_url
from domain.errors import EverleafError, NotReady
from domain.people.messages import ANSWERS
from store import access, reader

router = pages()

PATIENCE_SECONDS = 2.0
# What an act answered, by its name in the address: never a text from the address itself.
TOLD = {
    "renewal": "A renewal is open. It asks whom it must ask, and goes on by itself.",
    "retirement": "It is retired. An order that was under way is collected and revoked.",
    "acknowledgement": "Acknowledged: this reminder is quiet until then. It approves nothing.",
    "resumption": "It tries again now.",
    "answer": "Your answer is recorded.",
    "unknown": "It is not known yet whether it was taken; this page shows it as soon as it is.",
}


@router.get("/certificates/{certificate_id}")
async def show_certificate(request: Request, certificate_id: str, caller: CallerDep, told: str = "") -> Response:
    """Everything about one managed certificate."""
    return await render_certificate(request, caller, certificate_id, {"told": told if told in TOLD else ""})


async def render_certificate(request: Request, caller: Caller, certificate_id: str, more: dict[str, Any]) -> Response:
    here = await run_in_threadpool(_here, caller, certificate_id)
    explained: Explanation | None = None
    silent = ""
    try:
        explained = await explained_soon(caller, certificate_id)
    except EverleafError as error:
        silent = str(error)
    here |= {"explained": explained, "silent": silent, "problem": "", "told": "", **more}
    here["told_words"] = TOLD.get(here["told"], "")
    here["warnings"] = await run_in_threadpool(warnings_of, caller.engine, explained) if explained else ()
    began = here["lives"][0]["began_at"] if here["lives"] else here["row"]["not_before"]
    here["line"] = life_line_of(here["row"], explained, reader_of(caller), began) if explained else None
    return await run_in_threadpool(page, request, caller, "certificate.html", here)


async def explained_soon(caller: Caller, certificate_id: str) -> Explanation:
    """A page does not wait as long as the API does: with the workers down it says so.  Raises what explain raises."""
    try:
        return await asyncio.wait_for(caller.gateway.explain(certificate_id), PATIENCE_SECONDS)
    except TimeoutError as error:
        raise NotReady("It has not answered in 2 s; its worker may be down.") from error


def _here(caller: Caller, certificate_id: str) -> dict[str, Any]:
    reading, engine = reader_of(caller, named=True), caller.engine
    row = reader.get_certificate(engine, certificate_id)
    name = row["names"][0] if row["names"] else certificate_id
    lives = reader.lives_of(engine, certificate_id)
    kinds = {question["kind"] for question in row["questions"]}
    seen = reader.seen_certificate(engine, row["fingerprint"])
    return {
        "title": name,
        "row": row,
        "why": words.happened(row, reading),
        "who": words.who_must_act(row, reading),
        "next": words.next_sentence(row, reading),
        "verb": words.verb(row, reading),
        "countdown": reading.times.countdown(row["not_after"]),
        "endpoints": [
            {**place, "answer": findings.answer_of(place, "foreign-certificate" in kinds), "seen": _at(place)}
            for place in reader.with_looks(engine, certificate_id, row["endpoints"])
        ],
        "findings": [findings.finding(text) for text in row["findings"]],
        "questions": [{**question, "answers": ANSWERS.get(question["kind"], ())} for question in row["questions"]],
        "lives": lives,
        "bars": charts.life_bars([(life["not_before"], life["not_after"]) for life in lives]) if lives else [],
        "happened": history.happenings(reader.newest_events(engine, certificate_id, 200), reading.name_of),
        "chain": reader.chain_seen(engine, certificate_id, row["fingerprint"]),
        "comments": [one for one in access.comments_on(engine, certificate_id) if one.about == certificate_id],
        "alone": reading.is_head and not reading.heads_but(caller.actor.id),
        "name_of": reading.name_of,
        "orders": reader.list_orders(engine, certificate_id)[:5],
        "deliveries": reader.deliveries_for(engine, certificate_id, 8),
        "facts": (seen or {}).get("facts") or {},
        "run": workflow_url(caller, certificate_id),
        "key": uuid.uuid4().hex,
    }


def _at(place: dict[str, Any]) -> datetime | None:
    text = place["last_seen_at"]
    return datetime.fromisoformat(text) if text else None


def life_line_of(
    row: dict[str, Any], explained: Explanation, reading: words.Reader, began: datetime
) -> charts.LifeLine:
    """The ruler from the first moment of the plan, or the begin of a short life, to the end.

    What was due before ``began``, when it became ours, was passed over: nobody was told then.
    """
    times, end = reading.times, row["not_after"]
    told = {"the renewal case opens": "case opens", "the order is placed without asking": "ordered without asking"}
    told |= {"the latest an approver may hold the order": "latest hold"}
    moments: list[charts.Moment] = []
    # The ruler is of the present certificate; what else is served there has its own dates in the list of them.
    because = [line for line in explained.because if line.whose == "present"]
    heads = [line.at for line in because if HEAD_IS_TOLD in line.what]
    for line in because:
        if line.at >= end:
            continue
        # Said once: it holds for the marks behind it as well.
        said = told.get(line.what, "") if line.at >= began else "" if moments else "passed before it was known"
        if not said and heads and line.at >= began and line.at == heads[0]:
            said = "head of IT security told"
        moments.append(charts.Moment(line.at, line.lead.replace(" days", " d") or "end", times.day(line.at), said))
    first = min((moment.at for moment in moments), default=end - timedelta(days=90))
    begin = max(min(first, end - timedelta(seconds=1)), row["not_before"])
    if times.now < begin:
        begin = max(row["not_before"], times.now)
    drawn = charts.life_line(moments, (begin, end), times.now, heads[0] if heads else end)
    due = sorted(moment.at for moment in moments)
    # Adopted late, only the deepest rung that was passed fires (DESIGN rule 1).
    caught_up = max((at for at in heads if at < began), default=None) if row["escalated"] else None
    marks = [
        replace(mark, fired=mark.fired and (at >= began or at == caught_up))
        for mark, at in zip(drawn.marks, due, strict=True)
    ]
    return replace(drawn, marks=marks)


HEAD_IS_TOLD = "the head of IT security is told"
