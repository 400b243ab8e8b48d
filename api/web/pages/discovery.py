"""Discovery: the run that is looking now or looked last, how much it covers, what it found new; start one."""

import ipaddress
import uuid
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api import bodies
from api.gateway import DiscoveryRun
from api.parts import Caller, CallerDep
from api.problems import status_of
from api.routes import discoveries as api_discoveries
from api.web import overview, words
from api.web.page_router import pages
from api.web.render import page, reader_of
from domain.errors import EverleafError, NotFound
from domain.names import discovery_workflow
from store import reader

router = pages()

EARLIER = 12
ENDED = ("adopted", "failed")


@router.get("/discovery")
async def show_discovery(request: Request, caller: CallerDep, run: str = "") -> Response:
    """The newest run, or the one that is named."""
    return await render_discovery(request, caller, run, {})


async def render_discovery(request: Request, caller: Caller, run: str, more: dict[str, Any]) -> Response:
    here = await run_in_threadpool(_here, caller, run)
    shown = here["shown"]
    live: DiscoveryRun | None = None
    workflow, run_id = discovery_workflow(run), ""
    if shown is not None:
        workflow, run_id = shown["workflow_id"] or discovery_workflow(shown["id"]), shown["run_id"]
    if (shown is None and run) or (shown is not None and shown["state"] not in ENDED):
        try:
            live = await caller.gateway.discovery(workflow, run_id)
        except EverleafError:
            live = None
    if run and shown is None and live is None:
        raise NotFound(f"There is no discovery {run[:40]}; the earlier ones are listed at /discovery.")
    here |= _said(here, live, run, reader_of(caller))
    return await run_in_threadpool(page, request, caller, "discovery.html", here | more)


def _here(caller: Caller, run: str) -> dict[str, Any]:
    engine = caller.engine
    runs = reader.list_discoveries(engine, EARLIER).items
    shown: dict[str, Any] | None = None
    if run:
        try:
            shown = reader.get_discovery(engine, run)
        except NotFound:
            # Started a moment ago: Temporal knows it, the store not yet.
            shown = None
    elif runs:
        shown = runs[0]
    outcomes = reader.outcomes_of(engine, shown["id"]) if shown else {}
    count, found = reader.adopted_in(engine, shown["id"]) if shown else (0, [])
    reading = reader_of(caller, named=True)
    return {
        "runs": runs,
        "asked_by": reading.name_of(shown["source"].removeprefix("api/")) if shown else "",
        "shown": shown,
        "outcomes": outcomes,
        "figures": figures(shown, outcomes),
        "coverage": coverage(shown, reader.hosts_seen(engine, shown["id"])) if shown else [],
        "new": count,
        "rows": [overview.attention_row(row, reading) for row in found],
        "problem": "",
        "address": f"/discovery?run={quote(run)}" if run else "/discovery",
        "key": uuid.uuid4().hex,
    }


def figures(shown: words.Row | None, outcomes: dict[str, int]) -> dict[str, int]:
    """Asked, answered, refused, silent: what was not answered is never left out."""
    if shown is None:
        return dict.fromkeys(("targets", "asked", "seen", "refused", "silent"), 0)
    seen, refused = outcomes.get("seen", 0), outcomes.get("refused", 0)
    targets = max(shown["targets"], sum(outcomes.values()))
    asked = targets if shown["state"] in ENDED else sum(outcomes.values())
    return {
        "targets": targets,
        "asked": asked,
        "seen": seen,
        "refused": refused,
        "silent": max(asked - seen - refused, 0),
    }


def coverage(shown: words.Row, hosts: dict[str, int]) -> list[tuple[str, int | None, int]]:
    """(range, addresses, certificates seen) per range of the scope; what was seen in none of those that are shown, in
    files above all, is a last one without a number of addresses."""
    rows: list[tuple[str, int | None, int]] = []
    addresses = [(address, count) for host, count in hosts.items() if (address := _address(host)) is not None]
    for cidr in shown["scope"].get("cidrs", ())[:40]:
        network = ipaddress.ip_network(cidr, strict=False)
        seen = sum(count for address, count in addresses if address in network)
        rows.append((cidr, network.num_addresses, seen))
    elsewhere = sum(hosts.values()) - sum(seen for _, _, seen in rows)
    return [*rows, ("elsewhere: files, names", None, elsewhere)] if elsewhere > 0 else rows


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for a name that only looks like an address."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _said(here: dict[str, Any], live: DiscoveryRun | None, run: str, reading: words.Reader) -> dict[str, Any]:
    shown, numbers = here["shown"], here["figures"]
    state = "failed" if live is not None and live.state == "failed" else (shown or {}).get("state", "asked")
    failure = (live.failure if live is not None else "") or (shown or {}).get("detail", "")
    report = (shown or {}).get("report") or {}
    if shown is None and not run:
        first, second = "Nothing has been looked at yet", "A discovery looks at everything in the policy's scope."
    elif state == "failed":
        first, second = "The discovery failed", failure or "Its run in Temporal says why."
    elif state == "adopted":
        when = reading.times.until(shown["finished_at"]) if shown["finished_at"] else ""
        first = f"{report.get('new', 0):,} new, {report.get('missed', 0):,} gone silent"
        second = f"The look of {when} asked {numbers['targets']:,} places and saw {numbers['seen']:,} certificates."
    else:
        share = round(100 * numbers["asked"] / numbers["targets"]) if numbers["targets"] else 0
        first, second = "Discovery is looking now", f"{share} % so far: {numbers['seen']:,} certificates seen."
    running = state not in ENDED and (shown is not None or bool(run))
    workflow = (shown["workflow_id"] or discovery_workflow(shown["id"])) if shown else discovery_workflow(run)
    return {
        "title": first,
        "headline": first,
        "second": second,
        "running": running,
        "state": state,
        "workflow": workflow,
    }


@router.post("/discovery")
async def start_on_page(
    request: Request,
    caller: CallerDep,
    key: Annotated[str, Form(max_length=64)],
    cidrs: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Start one over the whole scope, or over the ranges that were written, one in each line."""
    asked = tuple(part for part in cidrs.replace(",", " ").split())
    try:
        body = bodies.DiscoveryAsked(cidrs=asked)
        done = await api_discoveries.start_discovery(Response(), caller, body, key)
    except EverleafError as error:
        status, title = status_of(error)
        return await render_discovery(request, caller, "", {"problem": f"{title}: {error}", "status": status})
    return RedirectResponse(f"/discovery?run={done.id}", status_code=303)
