"""The Temporal UI has large payloads unpacked: from its own origin, for whoever has logged in, within bounds."""

from __future__ import annotations

import asyncio
import threading
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import Engine
from temporalio.api.common.v1 import Payload

from api.auth import COOKIE
from api.main import build
from api.parts import Parts
from api.routes.codec import origin_of
from domain.tiers import Role
from formats.payload_keys import parse_keys
from store import access
from tests.api.conftest import House
from tests.launcher.waiting import LONG_SECONDS
from workflows.codec import ZLIB, packed, unpacked
from workflows.sealing import KeyFile, Sealing

UI = "http://127.0.0.1:8233"
LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"mc-1 " * 20_000 + b'"')
SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'"mc-1"')


def item(payload: Payload) -> dict[str, Any]:
    metadata = {name: b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": b64encode(payload.data).decode()}


def bomb(size: int) -> dict[str, Any]:
    return item(Payload(metadata={"encoding": ZLIB}, data=zlib.compress(bytes(size))))


async def ask(
    house: House, headers: dict[str, str], method: str = "POST", payload_keys: KeyFile | None = None, **given: Any
) -> httpx2.Response:
    """As a browser or a machine would, with its own headers alone."""
    app = build(replace(house.app.state.parts, temporal_ui=f"{UI}/", payload_keys=payload_keys))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8460") as client:
        return await client.request(method, "/codec/decode", headers=headers, **given)


def engine_of(house: House) -> Engine:
    parts = house.app.state.parts
    assert isinstance(parts, Parts)
    return parts.engine


def logged_in(house: House) -> str:
    cookie = access.log_in(engine_of(house), access.create_login_link(engine_of(house), Role.AUDITOR))
    assert cookie is not None
    return f"{COOKIE}={cookie}"


async def test_what_was_packed_comes_back_and_the_rest_as_it_was(house: House) -> None:
    answer = await house.ask("POST", "/codec/decode", json={"payloads": [item(packed(LARGE)), item(SMALL)]})
    assert answer.status_code == 200
    assert answer.json() == {"payloads": [item(LARGE), item(SMALL)]}
    assert b64decode(answer.json()["payloads"][0]["data"]) == LARGE.data


async def test_what_was_encrypted_is_shown_to_those_who_may_read(house: House, tmp_path: Path) -> None:
    file = tmp_path / "payload.keys"
    file.write_text(f"one {b64encode(bytes(range(32))).decode()}\n")
    keys = KeyFile(str(file), parse_keys)
    sent = {"payloads": [item(one) for one in await Sealing(keys).encode([LARGE, SMALL])]}
    headers = {"origin": UI, "cookie": logged_in(house), "sec-fetch-site": "same-site"}

    answer = await ask(house, headers, payload_keys=keys, json=sent)
    assert answer.json() == {"payloads": [item(LARGE), item(SMALL)]}

    nobody = await ask(house, {"origin": UI}, payload_keys=keys, json=sent)
    assert nobody.status_code == 401

    file.write_text(f"two {b64encode(bytes(range(1, 33))).decode()}\n")
    without = await ask(house, headers, payload_keys=KeyFile(str(file), parse_keys), json=sent)
    assert without.status_code == 503
    assert "the key 'one'" in without.json()["detail"]


async def test_the_ui_asks_with_the_session_of_its_reader(house: House) -> None:
    headers = {"origin": UI, "cookie": logged_in(house), "sec-fetch-site": "same-site", "x-namespace": "default"}
    answer = await ask(house, headers, json={"payloads": [item(packed(LARGE))]})
    assert answer.json() == {"payloads": [item(LARGE)]}
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_the_browser_of_the_ui_learns_beforehand_what_it_may_send(house: House) -> None:
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-namespace"}
    answer = await ask(house, {"origin": UI, **wanted}, method="OPTIONS")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type, x-namespace"


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8234", "https://evil.example", "null", f"{UI}.evil.example"])
async def test_the_pages_of_others_read_nothing(house: House, origin: str) -> None:
    headers = {"origin": origin, "cookie": logged_in(house), "sec-fetch-site": "cross-site"}
    for method in ("POST", "OPTIONS"):
        answer = await ask(house, headers, method=method, json={"payloads": [item(packed(LARGE))]})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_nobody_is_answered_without_a_session_or_a_token_and_the_ui_can_read_that(house: House) -> None:
    answer = await ask(house, {"origin": UI}, json={"payloads": [item(packed(LARGE))]})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == UI


@pytest.mark.parametrize(
    ("payloads", "problem"),
    [
        ([bomb(17 * 1024 * 1024)], "payloads[0].data: unpacks to more than 16777216 bytes"),
        # Each alone would be allowed.
        ([item(packed(Payload(data=bytes(9 * 1024 * 1024))))] * 2, "payloads[1].data: unpacks to more than"),
        ([{"metadata": {"encoding": "!"}, "data": ""}], "payloads[0].metadata.encoding: is not base64"),
        ([{"data": "%%%"}], "payloads[0].data: is not base64"),
        ([item(Payload(metadata={"encoding": ZLIB}, data=b"garbage"))], "payloads[0].data: is not zlib"),
    ],
)
async def test_hostile_payloads_are_refused_with_what_is_wrong(
    house: House, payloads: list[dict[str, Any]], problem: str
) -> None:
    answer = await house.ask("POST", "/codec/decode", json={"payloads": payloads})
    assert answer.status_code == 422
    assert problem in answer.json()["detail"]


async def test_what_a_person_sends_from_the_ui_comes_back_as_it_was_without_a_login(house: House) -> None:
    app = build(replace(house.app.state.parts, temporal_ui=f"{UI}/"))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8460") as client:
        sent = {"payloads": [item(SMALL)]}
        echoed = await client.post("/codec/encode", json=sent, headers={"origin": UI})
        assert (echoed.status_code, echoed.json()) == (200, sent)
        assert echoed.headers["access-control-allow-origin"] == UI
        beforehand = await client.options("/codec/encode", headers={"origin": UI})
        assert beforehand.status_code == 204
        large = await client.post("/codec/encode", content=bytes(2_000_000), headers={"origin": UI})
        assert large.status_code == 413
        elsewhere = await client.post("/codec/encode", json=sent, headers={"origin": "https://evil.example"})
        assert elsewhere.status_code in (401, 403, 404, 405)


async def test_more_payloads_than_a_page_shows_are_refused(house: House) -> None:
    answer = await house.ask("POST", "/codec/decode", json={"payloads": [item(SMALL)] * 501})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("", ""),
        ("http://127.0.0.1:8233", "http://127.0.0.1:8233"),
        ("https://Temporal.Example.com:443/namespaces/", "https://temporal.example.com"),
        ("HTTP://temporal.example.com:80", "http://temporal.example.com"),
        ("https://temporal.example.com:80", "https://temporal.example.com:80"),
        ("https://[2001:DB8::1]:8233/", "https://[2001:db8::1]:8233"),
    ],
)
def test_an_origin_is_written_as_a_browser_writes_it(address: str, origin: str) -> None:
    assert origin_of(address) == origin


async def test_the_ui_of_the_auditors_may_ask_too(house: House) -> None:
    app = build(replace(house.app.state.parts, temporal_ui=UI, auditors_ui="https://Audit.example.com:443"))
    transport = httpx2.ASGITransport(app=app)
    headers = {"origin": "https://audit.example.com", "cookie": logged_in(house), "sec-fetch-site": "same-site"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8460") as client:
        answer = await client.post("/codec/decode", json={"payloads": [item(packed(LARGE))]}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://audit.example.com"
    assert answer.json() == {"payloads": [item(LARGE)]}


async def test_no_more_than_two_are_unpacked_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen at once would take a gigabyte."""
    at_once = most = 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def counted(payload: Payload, left: int) -> Payload:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        both.wait(LONG_SECONDS)
        with lock:
            at_once -= 1
        both.wait(LONG_SECONDS)
        return unpacked(payload, left)

    monkeypatch.setattr("api.routes.codec.unpacked", counted)
    asked = [house.ask("POST", "/codec/decode", json={"payloads": [item(packed(LARGE))]}) for _ in range(6)]
    answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [200] * 6
    assert most == 2
