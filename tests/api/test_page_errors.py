"""Whatever goes wrong on a page is a page, names its field, and is written down where an auditor asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from api.web import words
from domain.contracts import CaseRow, QuestionRow
from domain.tiers import Role
from store import access
from store.engine import create_engine
from store.facts import record
from tests.api.browsers import Browser, browser_of
from tests.api.conftest import House
from tests.store.test_facts import NOW, batch, event, snapshot

DOERS = (Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN)
BROWSER = {"accept": "text/html,application/xhtml+xml"}


async def test_whatever_goes_wrong_is_a_page_for_a_browser_and_a_problem_for_a_machine(house: House) -> None:
    for method, path, status in (("GET", "/no-such-page", 404), ("POST", "/login", 422), ("DELETE", "/login", 405)):
        page = await house.client.request(method, path, headers=BROWSER)
        assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert "Everleaf" in page.text
    machine = await house.client.get("/v1/no-such", headers=BROWSER)
    assert machine.headers["content-type"] == "application/problem+json"


async def test_a_page_without_its_database_says_so_and_what_goes_on(house: House, head: Browser) -> None:
    nowhere = create_engine("postgresql://nobody@/none?host=/nowhere")
    house.app.state.parts = replace(house.app.state.parts, engine=nowhere)
    assert (await head.get("/no-such-page")).status_code == 404
    for answer in (await head.get("/"), await house.client.post("/login", data={"code": "x"}, headers=BROWSER)):
        assert answer.status_code == 503
        assert "Renewals go on" in answer.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/approvals/none/decision", {"version": "a\0b", "decision": "approve", "key": "k"}),
        ("/certificates/mc-1/answer", {"question": "unseen", "answer": "\x01" * 200, "key": "k"}),
        ("/certificates/mc-1/answer", {"question": "nonsense", "answer": "x", "key": "k"}),
        ("/discovery", {"cidrs": "1" * 5000, "key": "k"}),
        ("/access/end", {"session_id": "a\0b"}),
    ],
)
async def test_an_odd_form_is_a_page_that_names_its_field(head: Browser, path: str, fields: dict[str, str]) -> None:
    answer = await head.post(path, fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert any(name in answer.text for name in fields)


@pytest.mark.parametrize("back", ["//[", "/\\x", "http://["])
async def test_an_odd_way_back_is_no_error(house: House, back: str) -> None:
    answer = await house.client.get("/login", params={"back": back})
    assert answer.status_code == 200
    assert 'name="back" value="/"' in answer.text


async def test_a_proxy_that_asks_by_another_host_is_no_other_site(house: House) -> None:
    headers = {"origin": "http://everleaf", "host": "127.0.0.1:8460"}
    answer = await house.client.post("/login", data={"code": "none"}, headers=headers)
    assert answer.status_code == 401


async def test_no_other_site_logs_a_browser_in(house: House, database: Engine) -> None:
    code = access.create_login_link(database, Role.NOC)
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "http://["}):
        answer = await house.client.post("/login", data={"code": code}, headers=headers)
        assert answer.status_code == 403
    assert access.log_in(database, code) is not None


async def test_a_refusal_by_a_rule_of_the_route_is_a_security_event_too(house: House, database: Engine) -> None:
    body = {"question": "unseen", "answer": "retired"}
    assert (await house.ask("POST", "/v1/certificates/mc-1/answers", "operator", json=body)).status_code == 403
    event = access.security_events(database)[0]
    assert (event["kind"], event["detail"]) == ("refused", "operator asked for answer_question")


@pytest.mark.parametrize("role", list(Role))
async def test_every_state_of_a_certificate_has_its_page_for_every_role(
    house: House, database: Engine, role: Role
) -> None:
    """What can be done stands in dialogs and forms of its own: asleep, asked, stuck, with each question, retired."""
    asked = {kind: QuestionRow(kind, NOW, NOW, "owner", "seen so") for kind in words.QUESTIONS}
    states = {
        "asleep": snapshot(state="sleeping", case=None, approval=None),
        "internal": snapshot(state="sleeping", tier="internal", case=None, approval=None),
        "stuck": snapshot(case=CaseRow(1, NOW, "due", "waiting-for-person", failure="no such folder"), approval=None),
        "retired": snapshot(retired=True, case=None, approval=None),
        **{kind: snapshot(questions=(question,), case=None, approval=None) for kind, question in asked.items()},
    }
    browser = await browser_of(house, database, role)
    for name, row in states.items():
        row = replace(row, managed_id=f"mc-{name}")
        record(database, batch(event(0), managed_id=row.managed_id, read_model=row), "t", NOW)
        page = await browser.get(f"/certificates/{row.managed_id}")
        assert page.status_code == 200, (name, page.text[:400])
        assert ("Renew now?" in page.text) is (role in DOERS and name not in ("stuck", "retired")), name
