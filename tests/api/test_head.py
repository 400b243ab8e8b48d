"""HEAD is answered wherever GET is: the same beginning, and no content."""

import asyncio
import re

import httpx2
import pytest
from fastapi.routing import APIRoute
from sqlalchemy.engine import Engine

from api.auth import COOKIE
from api.main import GUARDED, PAGE_ROOMS
from api.routes import system
from api.web import static_files
from api.web.pages import login
from tests.api.browsers import Browser
from tests.api.conftest import House
from tests.api.test_events import serving
from tests.launcher.waiting import LONG_SECONDS, until

ROUTERS = [*(room.router for room in (*GUARDED, *PAGE_ROOMS)), system.public, static_files.router, login.public]
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
GETS = sorted({route.path for route in ROUTES if "GET" in (route.methods or ())})
KNOWN = {"certificate_id": "mc-1", "given": static_files.version(), "name:path": "look.css"}
# Of one answer, and not of what is asked for.
OWN = {"ratelimit", "date", "set-cookie"}


def filled(path: str) -> str:
    return re.sub(r"\{([a-z_:]+)\}", lambda found: KNOWN.get(found[1], "none"), path)


def beginning(answer: httpx2.Response) -> tuple[int, dict[str, str]]:
    return answer.status_code, {name: value for name, value in answer.headers.items() if name not in OWN}


def test_there_are_routes_of_every_kind() -> None:
    assert {"/", "/certificates.csv", "/v1/events", "/v1/certificates/{certificate_id}", "/metrics"} <= set(GETS)


@pytest.mark.parametrize("path", [*GETS, "/openapi.json", "/nothing", "/v1/nothing"])
async def test_every_route_answers_a_head_as_its_get(house: House, head: Browser, path: str) -> None:
    for headers in ({"cookie": f"{COOKIE}={head.cookie}"}, {}):
        get = await house.client.get(filled(path), headers=headers)
        answer = await house.client.head(filled(path), headers=headers)

        assert answer.content == b""
        assert beginning(answer) == beginning(get)
        assert get.status_code != 405


async def test_where_there_is_no_get_there_is_no_head(house: House) -> None:
    answer = await house.ask("HEAD", "/v1/certificates/mc-1/renewals")

    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


async def test_a_head_changes_nothing_and_is_proven_like_a_get(house: House) -> None:
    assert (await house.ask("HEAD", "/v1/me")).status_code == 200
    assert (await house.ask("HEAD", "/v1/me", "")).status_code == 401
    assert (await house.ask("HEAD", "/v1/me", headers={"host": "evil.example"})).status_code == 400


async def test_an_etag_that_still_holds_is_told_to_a_head(house: House) -> None:
    etag = (await house.ask("HEAD", "/v1/certificates/mc-1")).headers["etag"]

    again = await house.ask("HEAD", "/v1/certificates/mc-1", headers={"if-none-match": etag})

    assert (again.status_code, again.content) == (304, b"")


async def test_on_a_socket_a_stream_is_over_at_once_and_nobody_listens(house: House, database: Engine) -> None:
    async with serving(house, database) as site, httpx2.AsyncClient(base_url=site.base, timeout=LONG_SECONDS) as client:
        headers = {"authorization": f"Bearer {site.token}"}
        for path in ("/v1/events", "/v1/certificates", "/health/live"):
            answer = await client.head(path, headers=headers)
            assert (answer.status_code, answer.content) == (200, b""), path
        # The connection goes on: no content was left on it.
        assert (await client.get("/health/live")).status_code == 200
        feed = house.app.state.parts.feed
        assert feed is not None
        # The beginning is told before the answer has ended.
        await asyncio.to_thread(until, lambda: feed.subscribers == 0)
        assert feed.subscribers == 0
