"""Pages out of templates: one environment, and what every page shows around its own part."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.auth import csrf_token, may
from api.parts import Caller, parts_of
from api.web import charts, name_text, static_files, text, times, words
from domain.names import certificate_workflow
from store import access, reader

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Around:
    """What the rail says on every page."""

    managed: int
    pending: int
    fresh: datetime


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": text.shown,
        "breakable": name_text.breakable,
        "plain": text.plain,
        "counted": text.count,
        "number": times.number,
        "fingers": fingers,
        "sentence": sentence,
    }
    made.tests["contains"] = lambda text, part: part in str(text)
    made.globals |= {
        "static": static_files.url,
        "mixed_script": text.mixed_script,
        "cut": name_text.cut,
        "words": words,
        "ruler_ticks": charts.ticks(),
    }
    return made


def fingers(fingerprint: str, groups: int = 16) -> str:
    """A fingerprint in groups of four, for eyes that compare."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, min(len(fingerprint), 4 * groups), 4))


def vendored() -> list[dict[str, Any]]:
    """What is not ours, with version, licence and hash."""
    with (static_files.STATIC / "vendor" / "vendor.toml").open("rb") as stream:
        return list(tomllib.load(stream)["file"])


def run_url(caller: Caller, workflow_id: str) -> str:
    """A workflow in the Temporal UI, or empty where no UI is known."""
    base = caller.parts.temporal_ui
    return f"{base}/namespaces/{caller.parts.namespace}/workflows/{quote(workflow_id, safe='')}" if base else ""


def workflow_url(caller: Caller, managed_id: str) -> str:
    return run_url(caller, certificate_workflow(managed_id))


def sentence(text: object) -> str:
    """Its first letter large, the others as they are."""
    said = str(text)
    return said[:1].upper() + said[1:]


def reader_of(caller: Caller, *, named: bool = False) -> words.Reader:
    """``named``: people are called by their names, which costs a look into the store."""
    zone = ZoneInfo(caller.parts.timezone)
    now = times.Times(caller.parts.clock(), zone)
    if not named:
        return words.Reader(caller.actor, now)
    tokens = {one["id"]: one["name"] for one in access.tokens_of(caller.engine, every=True)}
    return words.Reader(caller.actor, now, tuple(access.everybody(caller.engine)), tokens)


def around(caller: Caller) -> Around:
    """Two counts along an index: a page can afford them."""
    managed, pending = reader.rail_counts(caller.engine)
    return Around(managed, pending, caller.parts.clock())


def page(request: Request, caller: Caller, template: str, here: Mapping[str, Any]) -> HTMLResponse:
    """``template`` with ``here`` and what surrounds it.  ``here["title"]`` names the page; it may hold foreign text."""
    reading = reader_of(caller)
    shared = {
        "reader": reading,
        "times": reading.times,
        # Not "caller": within a call block that is the macro's own.
        "me": caller,
        "around": around(caller),
        "csrf": csrf_token(request),
        "may": lambda route: may(route, caller.actor),
        "caller_ui": lambda workflow: run_url(caller, workflow),
        "status": 200,
    }
    whole = {**shared, **here}
    body = environment().get_template(template).render(whole)
    return HTMLResponse(body, status_code=int(whole["status"]))


def bare_page(request: Request, template: str, here: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """A page for somebody who is not known: no rail, nothing of the inventory."""
    parts = parts_of(request)
    now = times.Times(parts.clock(), ZoneInfo(parts.timezone))
    return HTMLResponse(environment().get_template(template).render({"times": now, **here}), status_code=status)
