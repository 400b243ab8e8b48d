"""Every route with every role: who is let in, and that nobody else learns anything."""

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from sqlalchemy.engine import Engine

from api.auth import ROLES
from api.routes import (
    approvals,
    certificates,
    codec,
    codes,
    commands,
    discoveries,
    events,
    histories,
    metrics,
    orders,
    policy,
    reconciliations,
    system,
)
from domain.tiers import Role
from store import tables
from tests.api.conftest import House

ALL = {role.value for role in Role}
READ = ALL
# Written out by hand, apart from api.auth: a slip in the table there must not pass here.
TABLE: dict[str, tuple[str, str, set[str]]] = {
    "who_am_i": ("GET", "/v1/me", READ),
    "get_status": ("GET", "/v1/status", READ),
    "list_certificates": ("GET", "/v1/certificates", READ),
    "get_certificate": ("GET", "/v1/certificates/mc-1", READ),
    "get_certificate_timeline": ("GET", "/v1/certificates/mc-1/timeline", READ),
    "explain_certificate": ("GET", "/v1/certificates/mc-1/explain", READ),
    "get_certificate_history": ("GET", "/v1/certificates/mc-1/history", READ),
    "list_discoveries": ("GET", "/v1/discoveries", READ),
    "get_discovery": ("GET", "/v1/discoveries/none", READ),
    "get_reconciliation": ("GET", "/v1/reconciliations/none", READ),
    "list_discovery_findings": ("GET", "/v1/discoveries/none/findings", READ),
    "list_approvals": ("GET", "/v1/approvals", READ),
    "get_approval": ("GET", "/v1/approvals/none", READ),
    "get_order": ("GET", "/v1/orders/none", READ),
    # 404: this house has no policy file.
    "get_policy": ("GET", "/v1/policy", READ),
    "validate_policy": ("POST", "/v1/policy/validations", READ),
    "get_metrics": ("GET", "/metrics", READ),
    # 503: this house has no feed, so that nobody waits for the end of a stream.
    "follow_events": ("GET", "/v1/events", READ),
    "decode_payloads": ("POST", "/codec/decode", READ),
    "start_discovery": ("POST", "/v1/discoveries", {"automation", "operator", "security-head", "admin"}),
    "start_reconciliation": ("POST", "/v1/reconciliations", {"operator", "security-head", "admin"}),
    "start_renewal": ("POST", "/v1/certificates/none/renewals", {"operator", "security-head", "admin"}),
    "upload_certificate": ("POST", "/v1/orders/none/certificate", {"operator", "security-head", "admin"}),
    "answer_question": ("POST", "/v1/certificates/none/answers", {"operator", "security-head", "admin"}),
    "make_message_code": ("POST", "/v1/certificates/none/code", {"operator", "security-head", "admin"}),
    "acknowledge": ("POST", "/v1/certificates/none/acknowledgements", {"operator", "security-head"}),
    "resume": ("POST", "/v1/certificates/none/resumptions", {"operator", "security-head"}),
    "retire_certificate": ("POST", "/v1/certificates/none/retirement", {"security-head"}),
    "make_code": ("POST", "/v1/approvals/none/code", {"security-head"}),
    "decide_approval": ("POST", "/v1/approvals/none/decision", {"security-head"}),
}
BODIES = {
    "answer_question": {"question": "unseen", "answer": "broken"},
    "make_message_code": {"message": "renew_now"},
    "acknowledge": {"level": "security-head", "until": "2026-12-01T00:00:00Z"},
    "decode_payloads": {"payloads": []},
    "retire_certificate": {"reason": "mistake"},
    "decide_approval": {"decision": "approve"},
}


@pytest.mark.parametrize("route", TABLE)
async def test_a_route_lets_in_its_roles_and_nobody_else(house: House, route: str) -> None:
    method, path, allowed = TABLE[route]
    body = {"json": BODIES[route]} if route in BODIES else {}
    statuses = {role: (await house.ask(method, path, role, **body)).status_code for role in ALL}
    let_in = {role for role, status in statuses.items() if status not in (401, 403)}
    assert let_in == allowed
    assert set(statuses.values()) <= {200, 202, 403, 404, 503}


@pytest.mark.parametrize("route", TABLE)
async def test_nobody_gets_in_without_a_token(house: House, route: str) -> None:
    method, path, _ = TABLE[route]
    for token in ("", "evl_" + "x" * 43, "nonsense"):
        answer = await house.ask(method, path, token, content=b"{ not json")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_every_guarded_route_is_in_both_tables() -> None:
    reading = (
        approvals,
        certificates,
        codec,
        discoveries,
        events,
        histories,
        metrics,
        orders,
        policy,
        system,
        reconciliations,
    )
    rooms = (*reading, codes, commands)
    names = {route.name for room in rooms for route in room.router.routes if isinstance(route, APIRoute)}
    assert names == set(ROLES) == set(TABLE)


async def test_a_security_head_whom_nobody_names_decides_nothing_and_hears_what_to_do(
    house: House, database: Engine
) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]["id"]
    with database.begin() as connection:
        connection.execute(sa.update(tables.tokens).values(may_decide=False))
    for path in (f"/v1/approvals/{approval}/decision", f"/v1/approvals/{approval}/code"):
        refused = await house.ask("POST", path, "security-head", json={"decision": "approve"})
        assert refused.status_code == 403
        assert "--person ID" in refused.json()["detail"]
    assert (await house.ask("GET", f"/v1/approvals/{approval}")).json()["state"] == "pending"
    mine = (await house.ask("GET", "/v1/me")).json()
    assert mine["may_decide"] is False and "decide_approval" not in mine["routes"]


async def test_a_machine_decides_only_with_may_decide(house: House) -> None:
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]["id"]
    path = f"/v1/approvals/{approval}/decision"
    assert (await house.ask("POST", path, "automation", json={"decision": "approve"})).status_code == 403
    assert (await house.ask("POST", path, "decider", json={"decision": "approve"})).status_code == 200
