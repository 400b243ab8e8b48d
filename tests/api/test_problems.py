"""Bad input: each a clear answer that names the field and the remedy, as problem+json, without internals."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy.exc import DataError, OperationalError

from domain.errors import NotReady
from tests.api.conftest import House


def is_problem(answer: Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and body["status"] == status
        and {"type", "title", "detail"} <= set(body)
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({}, "decision"),
        ({"decision": "approve", "colour": "red"}, "colour"),
        ({"decision": "approve", "comment": "x" * 5000}, "comment"),
        ([], "body"),
    ],
)
async def test_a_malformed_body_names_its_field_and_a_remedy(house: House, body: object, field: str) -> None:
    answer = await house.ask("POST", "/v1/approvals/x/decision", json=body)
    assert is_problem(answer, 422)
    errors = answer.json()["errors"]
    assert errors[0]["field"] == field
    assert errors[0]["remedy"]


async def test_broken_json_is_said_without_repeating_it(house: House) -> None:
    sent: dict[str, Any] = {"content": b'{"code": "s3cret', "headers": {"content-type": "application/json"}}
    answer = await house.ask("POST", "/v1/approvals/x/decision", **sent)
    assert is_problem(answer, 422)
    assert "s3cret" not in answer.text
    assert answer.json()["errors"][0]["remedy"] == "Send valid JSON."


async def test_another_kind_of_body_is_415(house: House) -> None:
    sent: dict[str, Any] = {
        "content": b"decision=approve",
        "headers": {"content-type": "application/x-www-form-urlencoded"},
    }
    assert is_problem(await house.ask("POST", "/v1/approvals/x/decision", **sent), 415)


async def too_much() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield b" " * 65_536


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["discoveries", "certificates/mc-1/retirement"])
async def test_a_body_over_a_mebibyte_is_413(house: House, path: str, announced: bool) -> None:
    headers = {"content-type": "application/json"}
    content: Any = b" " * 1_048_577 if announced else too_much()
    answer = await house.ask("POST", f"/v1/{path}", content=content, headers=headers)
    assert is_problem(answer, 413)


async def test_an_unknown_path_and_an_unknown_method(house: House) -> None:
    assert is_problem(await house.ask("GET", "/v1/nothing"), 404)
    answer = await house.ask("DELETE", "/v1/me")
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["certificates/mc-9", "certificates/mc-9/explain", "orders/none", "discoveries/none"])
async def test_an_unknown_id_says_so(house: House, path: str) -> None:
    answer = await house.ask("GET", f"/v1/{path}")
    assert is_problem(answer, 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=colour", "sort"),
        ("limit=0", "limit"),
        ("cursor=abc", "cursor"),
        ("tier=gold", "tier"),
        ("expires_before=2026-12-01T00:00:00", "expires_before"),
    ],
)
async def test_a_wrong_parameter_is_named(house: House, query: str, field: str) -> None:
    answer = await house.ask("GET", f"/v1/certificates?{query}")
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0]["field"] == field


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


LATER = "2027-01-01T00:00:00+00:00"
HUGE = "9" * 20


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("certificates?q=%00", "q"),
        ("certificates?owner=a%00b", "owner"),
        ("certificates/%00", "certificate_id"),
        ("certificates/%00/timeline", "certificate_id"),
        ("approvals/%00", "approval_id"),
        ("discoveries/x%00", "discovery_id"),
        ("discoveries/x%00/findings", "discovery_id"),
        (f"certificates/mc-1/timeline?after={HUGE}", "after"),
        (f"certificates/mc-1/history?generation={HUGE}", "generation"),
        (f"certificates?cursor={cursor(json.dumps([LATER, 'a' + chr(0)]))}", "cursor"),
        (f"certificates?cursor={cursor(json.dumps([LATER, chr(0xD800)]))}", "cursor"),
        (f"certificates?sort=severity&cursor={cursor(json.dumps([10**18, LATER, 'a']))}", "cursor"),
        (f"certificates?sort=severity&cursor={cursor(json.dumps([True, LATER, 'a']))}", "cursor"),
        (f"certificates?cursor={cursor('[' * 2950)}", "cursor"),
    ],
)
async def test_what_no_database_can_hold_is_refused_before_it_is_asked(house: House, path: str, field: str) -> None:
    answer = await house.ask("GET", f"/v1/{path}")
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["errors"][0]["remedy"]


@pytest.mark.parametrize("field", ["version", "comment"])
async def test_a_body_with_a_nul_names_its_field(house: House, field: str) -> None:
    body = {"decision": "approve", field: "a\x00b"}
    answer = await house.ask("POST", "/v1/approvals/mc-1.1.1/decision", json=body)
    assert is_problem(answer, 422)
    assert answer.json()["errors"][0] == {"field": field, "detail": "holds a NUL character", "remedy": "Remove it."}


async def test_what_the_database_cannot_hold_is_422_and_not_our_fault(house: House) -> None:
    house.gateway.deaf = DataError("SELECT 1", {}, Exception("integer out of range at 10.0.0.1"))
    answer = await house.ask("GET", "/v1/certificates/mc-1/explain")
    assert is_problem(answer, 422)
    assert "10.0.0.1" not in answer.text


async def test_a_lifecycle_that_does_not_answer_is_503(house: House) -> None:
    house.gateway.deaf = NotReady("The lifecycle of mc-1 does not answer.")
    answer = await house.ask("GET", "/v1/certificates/mc-1/explain")
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"]
    assert is_problem(await house.ask("GET", "/health/ready", ""), 503)
    assert (await house.ask("GET", "/health/live", "")).status_code == 200


async def test_a_lost_database_is_503_without_its_address(house: House) -> None:
    house.gateway.deaf = OperationalError("SELECT 1", {}, Exception("connection to server at 10.0.0.1 failed"))
    answer = await house.ask("GET", "/v1/certificates/mc-1/explain")
    assert is_problem(answer, 503)
    assert "10.0.0.1" not in answer.text


async def test_what_nobody_expected_shows_a_reference_and_nothing_else(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.gateway.deaf = ZeroDivisionError("the secret")
    answer = await house.ask("GET", "/v1/certificates/mc-1/explain")
    assert is_problem(answer, 500)
    assert "the secret" not in answer.text
    reference = answer.json()["reference"]
    assert any(reference in record.getMessage() for record in caplog.records)
