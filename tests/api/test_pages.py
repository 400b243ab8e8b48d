"""The pages over the same house as the API: who sees what, what a browser must prove, and that nothing foreign acts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from sqlalchemy.engine import Engine

from api.auth import COOKIE, PAGES, ROLES
from api.main import PAGE_ROOMS
from domain.errors import NotReady
from domain.tiers import Person, Role
from store import access
from tests.api.browsers import Browser, browser_of
from tests.api.conftest import House
from tests.domain.simulation import life

ALL = {role.value for role in Role}
HEAD = {"security-head"}
# Written out by hand, apart from api.auth: a slip in the table there must not pass here.
TABLE: dict[str, tuple[str, str, set[str]]] = {
    "show_situation": ("GET", "/", ALL),
    "show_certificates": ("GET", "/certificates", ALL),
    "download_certificates": ("GET", "/certificates.csv", ALL),
    "show_certificate": ("GET", "/certificates/mc-1", ALL),
    "show_approvals": ("GET", "/approvals", ALL),
    "show_approval": ("GET", "/approvals/none", ALL),
    "show_discovery": ("GET", "/discovery", ALL),
    "show_policy": ("GET", "/policy", ALL),
    "check_policy_on_page": ("POST", "/policy/check", ALL),
    "show_access": ("GET", "/access", ALL),
    "show_help": ("GET", "/help", ALL),
    "log_out": ("POST", "/logout", ALL),
    "start_on_page": ("POST", "/discovery", {"automation", "operator", "security-head", "admin"}),
    "renew_on_page": ("POST", "/certificates/none/renewal", {"operator", "security-head", "admin"}),
    "answer_on_page": ("POST", "/certificates/none/answer", {"operator", "security-head", "admin"}),
    "resume_on_page": ("POST", "/certificates/none/resumption", {"operator", "security-head"}),
    "acknowledge_on_page": ("POST", "/certificates/none/acknowledgement", {"operator", "security-head"}),
    "retire_on_page": ("POST", "/certificates/none/retirement", HEAD),
    "decide_on_page": ("POST", "/approvals/none/decision", HEAD),
    "show_code": ("POST", "/approvals/none/code", HEAD),
    "end_session_on_page": ("POST", "/access/end", {"security-head", "admin"}),
}
FIELDS = {
    "question": "unseen",
    "answer": "broken",
    "level": "security-head",
    "days": "2",
    "reason": "mistake",
    "decision": "approve",
    "version": "v",
    "key": "k",
    "session_id": "none",
}


def test_every_page_is_in_both_tables() -> None:
    names = {route.name for room in PAGE_ROOMS for route in room.router.routes if isinstance(route, APIRoute)}
    assert names == set(PAGES) == set(TABLE)


@pytest.mark.parametrize("route", TABLE)
async def test_a_page_lets_in_its_roles_and_nobody_else(house: House, database: Engine, route: str) -> None:
    method, path, allowed = TABLE[route]
    let_in = set()
    for role in Role:
        browser = await browser_of(house, database, role)
        answer = await (browser.get(path) if method == "GET" else browser.post(path, FIELDS))
        assert answer.status_code < 500
        if answer.status_code != 403:
            let_in.add(role.value)
    assert let_in == allowed


@pytest.mark.parametrize("route", TABLE)
async def test_a_stranger_is_led_to_the_login_and_learns_nothing(house: House, route: str) -> None:
    method, path, _ = TABLE[route]
    for cookie in ("", "nonsense", "x" * 43):
        headers = {"cookie": f"{COOKIE}={cookie}"} if cookie else {}
        answer = await house.client.request(method, path, headers=headers, data=FIELDS if method == "POST" else None)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?back=")
        assert "a.example" not in answer.text


@pytest.mark.parametrize(
    "spoilt",
    [
        {"csrf": ""},
        {"csrf": "0" * 64},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_change_that_our_pages_did_not_ask_changes_nothing(
    house: House, head: Browser, database: Engine, spoilt: dict[str, str]
) -> None:
    fields = {**FIELDS, "reason": "mistake"}
    if "csrf" in spoilt:
        fields["csrf"] = spoilt["csrf"]
    headers = {name: value for name, value in spoilt.items() if name != "csrf"}
    answer = await head.post("/certificates/mc-1/retirement", fields, **headers)
    assert answer.status_code == 403
    assert not house.gateway.world.state.retired
    assert access.security_events(database)[0]["kind"] == "cross-site-refused"


async def test_the_api_takes_the_cookie_too_and_asks_for_the_same_proof(house: House, head: Browser) -> None:
    assert (await head.get("/v1/me")).json()["role"] == "security-head"
    path = "/v1/certificates/mc-1/retirement"
    cookie = {"cookie": f"{COOKIE}={head.cookie}"}
    bare = await house.client.post(path, json={"reason": "mistake"}, headers=cookie)
    assert bare.status_code == 403
    proven = await house.client.post(path, json={"reason": "mistake"}, headers={**cookie, "x-csrf-token": head.csrf})
    assert proven.status_code == 200


async def test_a_login_spends_its_link_once_and_never_by_looking(house: House, database: Engine) -> None:
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.AUDITOR)])
    code = access.create_login_link(database, Role.AUDITOR)
    looked = await house.client.get(f"/login?code={code}")
    assert looked.status_code == 200
    answer = await house.client.post("/login", data={"code": code, "back": "/certificates?q=a"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/certificates?q=a")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    house.client.cookies.clear()
    again = await house.client.post("/login", data={"code": code})
    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert access.security_events(database)[0]["kind"] == "login-refused"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_login_never_leads_elsewhere(house: House, database: Engine, back: str) -> None:
    code = access.create_login_link(database, Role.NOC)
    answer = await house.client.post("/login", data={"code": code, "back": back})
    house.client.cookies.clear()
    assert answer.headers["location"] == "/"


async def test_logging_out_ends_the_session_in_the_store(house: House, head: Browser) -> None:
    assert (await head.post("/logout", {})).status_code == 303
    assert (await head.get("/")).headers["location"].startswith("/login")


async def test_every_answer_says_what_a_browser_may_do_with_it(house: House, head: Browser) -> None:
    for path in ("/", "/v1/me", "/v1", "/login", "/health/live", "/nothing", "/openapi.json"):
        headers = (await head.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


async def test_an_escalated_one_is_approved_on_its_page(house: House, head: Browser) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]
    page = await head.get(f"/approvals/{approval['id']}")
    assert page.status_code == 200
    assert approval["version"] in page.text
    assert "Without an answer, the head of IT security is told, 21 d before the end." in page.text
    fields = {"decision": "approve", "version": approval["version"], "key": "k1"}
    answer = await head.post(f"/approvals/{approval['id']}/decision", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/approvals/{approval['id']}?told=approve")
    again = await head.post(f"/approvals/{approval['id']}/decision", {**fields, "key": "k2"})
    assert again.status_code == 409
    assert "Your answer was not used" in again.text


async def test_nobody_is_offered_a_decision_while_other_names_are_served(house: House, head: Browser) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]
    assert "data-decides" in (await head.get(f"/approvals/{approval['id']}")).text
    world = house.gateway.world
    world.replace_by_hand(life("fewer", world.now, timedelta(days=365), names=("pay.example.in",)), "n-names")
    world.work()
    house.gateway.record()
    page = (await head.get(f"/approvals/{approval['id']}")).text
    assert "data-decides" not in page and "Show a code" not in page
    assert "Nothing can be decided yet" in page and 'href="/certificates/mc-1#questions"' in page
    answer = await head.post(
        f"/approvals/{approval['id']}/decision", {"decision": "approve", "version": approval["version"], "key": "k"}
    )
    assert answer.status_code == 409
    assert "first answer the open question" in answer.text
    assert "data-decides" not in (await head.get("/certificates/mc-1")).text


async def test_a_plan_that_changed_meanwhile_is_not_approved_unread(house: House, head: Browser) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]
    fields = {"decision": "approve", "version": "of another plan", "key": "k"}
    answer = await head.post(f"/approvals/{approval['id']}/decision", fields)
    assert answer.status_code == 412
    assert "Your answer was not used" in answer.text


async def test_who_may_not_answer_sees_no_button_and_reads_why(house: House, database: Engine) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]
    noc = await browser_of(house, database, Role.NOC)
    page = (await noc.get(f"/approvals/{approval['id']}")).text
    assert 'value="approve"' not in page
    assert "You may read this, not answer it" in page


async def test_a_certificates_page_says_why_who_and_next_also_while_temporal_is_away(
    house: House, head: Browser
) -> None:
    page = (await head.get("/certificates/mc-1")).text
    for word in ("Why", "Who", "Next", "Where it is served", "Why these dates", "Why this tier", "What happened"):
        assert f">{word}<" in page
    house.gateway.deaf = NotReady("Temporal does not answer.")
    page = (await head.get("/certificates/mc-1")).text
    assert "Its run does not answer just now." in page


@pytest.mark.parametrize("asked", ["sort=nonsense", "ends=soon", "tier=x", "placed=x", "attention=1"])
async def test_a_wrong_filter_is_a_page_that_names_it(house: House, head: Browser, asked: str) -> None:
    answer = await head.get(f"/certificates?{asked}")
    assert answer.status_code == 422
    assert asked.split("=")[0] in answer.text


async def test_a_filter_whose_value_is_no_choice_now_stays_with_the_next_one(house: House, head: Browser) -> None:
    page = (await head.get("/certificates?owner=gone&attention=true")).text
    assert '<option value="gone" selected>' in page
    assert "<h1>0 need somebody</h1>" in page


async def test_an_unknown_certificate_is_a_page_not_a_stack(house: House, head: Browser) -> None:
    answer = await head.get("/certificates/mc-none")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no such thing" in answer.text


async def test_a_policy_is_checked_and_not_put_in_force(house: House, head: Browser) -> None:
    answer = await head.post("/policy/check", {"text": "tiers: 3\ncolour: red"})
    assert "It would be refused." in answer.text
    assert "the text below:2: colour:" in answer.text
    assert "the text below:1: tiers:" in answer.text


async def test_a_rejected_one_says_by_whom_and_is_not_overruled_by_accident(house: House, head: Browser) -> None:
    page = (await head.get("/approvals/mc-1.1.1")).text
    key, version = (page.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("key", "version"))
    fields = {"decision": "reject", "version": version, "key": key}
    answer = await head.post("/approvals/mc-1.1.1/decision", fields)
    assert answer.headers["location"].endswith("?told=reject")
    page = (await head.get("/approvals/mc-1.1.1?told=reject")).text
    assert "Rejected by" in page
    assert "Rejected. It asks again" in page
    # The news that follow read the same address, so the answer stays until its reader goes.
    assert 'data-address="/approvals/mc-1.1.1?told=reject"' in page
    assert "Approve all the same" in page
    assert 'value="reject"' not in page
    again = await head.post("/approvals/mc-1.1.1/decision", {**fields, "decision": "approve"})
    assert again.status_code == 422
    assert house.gateway.world.count("approved") == 0


async def test_hold_is_offered_only_while_it_can_be_held(house: House, head: Browser) -> None:
    assert 'value="hold"' in (await head.get("/approvals/mc-1.1.1")).text
    house.gateway.world.now += timedelta(days=89)
    assert 'value="hold"' not in (await head.get("/approvals/mc-1.1.1")).text


async def test_access_prints_every_route_and_page_of_the_tables_that_decide(house: House, head: Browser) -> None:
    page = (await head.get("/access")).text
    for name in (*ROLES, *PAGES):
        assert f'<th scope="row">{name.replace("_", " ")}</th>' in page
