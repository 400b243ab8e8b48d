"""Certificates: the list, one of them, its timeline, why its dates are what they are."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import schemas
from api.explanations import warnings_of
from api.filters import CertificateFilter, IfNoneMatch
from api.lists import digest, link_next, tag
from api.parts import CallerDep
from api.routes import guarded
from domain.names import certificate_workflow
from store import reader

router = guarded("certificates")


def item(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "workflow_id": certificate_workflow(row["id"])}


@router.get("/certificates")
def list_certificates(
    request: Request, response: Response, caller: CallerDep, asked: Annotated[CertificateFilter, Query()]
) -> schemas.CertificatePage:
    """Managed certificates as their lifecycles last recorded them; the one that ends first stands first."""
    page = reader.list_certificates(caller.engine, asked.query())
    link_next(request, response, ("cursor", page.next_cursor))
    items = [schemas.CertificateItem.model_validate(item(row)) for row in page.items]
    return schemas.CertificatePage(items=items, next_cursor=page.next_cursor)


@router.get("/certificates/{certificate_id}")
def get_certificate(
    certificate_id: str, request: Request, response: Response, caller: CallerDep, _known: IfNoneMatch = None
) -> schemas.CertificateDetail:
    """One managed certificate: endpoints, open case and questions, every generation, orders, what people were told."""
    row = reader.get_certificate(caller.engine, certificate_id)
    here = f"/v1/certificates/{certificate_id}"
    more = {
        "case": reader.open_case(caller.engine, certificate_id),
        "chain": reader.chain_seen(caller.engine, certificate_id, row["fingerprint"]),
        "endpoints": reader.with_looks(caller.engine, certificate_id, row["endpoints"]),
        "lives": reader.lives_of(caller.engine, certificate_id),
        "orders": reader.list_orders(caller.engine, certificate_id),
        "deliveries": reader.deliveries_for(caller.engine, certificate_id),
        "links": {name: f"{here}/{name}" for name in ("timeline", "explain", "history")},
    }
    shown = schemas.CertificateDetail.model_validate({**item(row), **more})
    tag(request, response, digest(shown))
    return shown


@router.get("/certificates/{certificate_id}/timeline")
def get_certificate_timeline(  # one argument per parameter is how the framework reads and documents them
    certificate_id: str,
    request: Request,
    response: Response,
    caller: CallerDep,
    after: Annotated[int, Query(ge=-1, le=2**63 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> schemas.Timeline:
    """What happened, by sequence, exactly as it is stored."""
    reader.get_certificate(caller.engine, certificate_id)
    events = reader.timeline(caller.engine, certificate_id, after, limit)
    following = events[-1].get("seq") if len(events) == limit else None
    link_next(request, response, ("after", following))
    return schemas.Timeline(items=events, next_after=following)


@router.get("/certificates/{certificate_id}/explain")
async def explain_certificate(certificate_id: str, caller: CallerDep) -> schemas.ExplanationItem:
    """Why these dates, with their sums; asked of the lifecycle itself, 503 where it does not answer in 10 s."""
    await run_in_threadpool(reader.get_certificate, caller.engine, certificate_id)
    told = await caller.gateway.explain(certificate_id)
    # Read behind the query: what was recorded meanwhile is not a lag.
    row = await run_in_threadpool(reader.get_certificate, caller.engine, certificate_id)
    return schemas.ExplanationItem(
        certificate_id=certificate_id,
        because=[schemas.BecauseItem.model_validate(line, from_attributes=True) for line in told.because],
        warnings=list(await run_in_threadpool(warnings_of, caller.engine, told)),
        seq=told.seq,
        # The state counts from 0 to the next event; the store names the last one.
        read_model_lags=told.seq - 1 > row["seq"],
    )
