"""Decisions: bound to what was read, won by exactly one, refused in words that say what next."""

import asyncio
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from api.gateway import Unanswered
from domain.errors import NotReady
from store import access, tables
from tests.api.conftest import House
from tests.api.test_problems import is_problem
from tests.domain.simulation import life


async def pending(house: House) -> dict[str, Any]:
    items = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"]
    assert len(items) == 1
    found: dict[str, Any] = items[0]
    return found


async def decide(house: House, who: str = "security-head", **body: Any) -> Any:
    headers = body.pop("headers", {})
    question = await house.ask("GET", "/v1/approvals")
    path = f"/v1/approvals/{question.json()['items'][0]['id']}/decision"
    return await house.ask("POST", path, who, json={"decision": "approve", **body}, headers=headers)


async def test_a_pending_approval_says_what_is_asked(house: House) -> None:
    item = await pending(house)
    assert item["certificate_id"] == "mc-1"
    assert item["tier"] == "customer-facing"
    assert item["names"] == ["pay.example.in", "www.pay.example.in"]
    assert item["escalated"] is False
    assert item["plan"]["issuer"] == "internal-ca"
    assert item["asked_at"] < item["deadline"]
    one = await house.ask("GET", f"/v1/approvals/{item['id']}")
    assert one.headers["etag"].startswith(f'"{item["version"]}~')


async def test_an_approval_is_decided_once(house: House) -> None:
    first = await decide(house, comment="seen with billing")
    assert first.status_code == 200
    assert first.json()["status"] == "done"
    second = await decide(house)
    assert second.status_code == 409
    assert second.json()["title"] == "It is decided already, or its state does not allow it"
    assert house.gateway.world.count("approved") == 1


async def test_a_comment_is_kept_and_shown_beside_its_approval(house: House) -> None:
    item = await pending(house)
    await decide(house, comment="<b>seen</b>")
    comments = (await house.ask("GET", f"/v1/approvals/{item['id']}")).json()["comments"]
    assert [comment["text"] for comment in comments] == ["<b>seen</b>"]


async def test_the_comment_of_a_refused_decision_is_shown_beside_none(house: House) -> None:
    item = await pending(house)
    assert (await decide(house, comment="too late", version="another")).status_code == 412
    assert (await decide(house, comment="seen")).status_code == 200
    assert (await decide(house, comment="me too")).status_code == 409
    comments = (await house.ask("GET", f"/v1/approvals/{item['id']}")).json()["comments"]
    assert [comment["text"] for comment in comments] == ["seen"]


async def test_a_decision_on_another_plan_is_stale_and_changes_nothing(house: House) -> None:
    by_body = await decide(house, version="another")
    by_header = await decide(house, headers={"if-match": '"another"'})
    assert (by_body.status_code, by_header.status_code) == (412, 412)
    assert by_body.json()["type"] == "urn:everleaf:problem:stale"
    assert house.gateway.world.count("approved") == 0
    assert (await decide(house, headers={"if-match": '"p1"'})).status_code == 200


async def test_two_versions_that_differ_are_refused_with_the_field(house: House) -> None:
    answer = await decide(house, version="p1", headers={"if-match": '"p2"'})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "version"


async def test_of_many_decisions_at_once_exactly_one_wins(house: House) -> None:
    answers = await asyncio.gather(*(decide(house, decision=what) for what in ("reject", "approve") * 4))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 7
    assert house.gateway.world.count("approved") + house.gateway.world.count("rejected") == 1


async def test_a_rejection_is_overruled_only_by_who_says_so(house: House) -> None:
    assert (await decide(house, decision="reject")).status_code == 200
    told = (await house.ask("GET", "/v1/approvals?state=rejected")).json()["items"][0]
    assert told["decided_by"].startswith("token/")
    assert told["decided_at"]
    unread = await decide(house)
    assert unread.status_code == 409
    assert "it is rejected now" in unread.json()["detail"]
    assert house.gateway.world.count("approved") == 0
    assert (await decide(house, overrule=True)).status_code == 200
    assert house.gateway.world.count("approved") == 1


async def test_who_asked_for_a_renewal_gets_no_code_for_it(house: House, database: Engine) -> None:
    item = await pending(house)
    me = (await house.ask("GET", "/v1/me")).json()["id"]
    with database.begin() as connection:
        connection.execute(sa.update(tables.cases).values(requested_by=me))
    answer = await house.ask("POST", f"/v1/approvals/{item['id']}/code")
    assert is_problem(answer, 403)
    assert "four eyes" in answer.text


async def test_a_key_that_came_with_another_request_is_refused_and_nothing_is_said_twice(
    house: House, database: Engine
) -> None:
    key = {"idempotency-key": "k-2"}
    for _ in range(2):
        answer = await decide(house, decision="reject", comment="not today", headers=key)
        assert answer.json()["detail"] == "rejected"
    other = await decide(house, headers=key)
    assert is_problem(other, 422)
    assert "Idempotency-Key" in other.text
    assert [comment.text for comment in access.comments_on(database, "mc-1")] == ["not today"]


async def test_a_repetition_that_fails_takes_back_nothing(house: House, database: Engine) -> None:
    key = {"idempotency-key": "k-3"}
    assert (await decide(house, comment="seen", headers=key)).status_code == 200
    house.gateway.deaf = NotReady("Temporal is away")
    assert (await decide(house, comment="seen", headers=key)).status_code == 503
    assert [comment.text for comment in access.comments_on(database, "mc-1")] == ["seen"]
    # What failed the first time was said to nobody, until a repetition arrives.
    late = {"idempotency-key": "k-4"}
    assert (await decide(house, comment="late", headers=late)).status_code == 503
    assert [comment.text for comment in access.comments_on(database, "mc-1")] == ["seen"]


async def test_what_was_lost_with_the_database_and_refused_at_its_repetition_was_never_said(
    house: House, database: Engine
) -> None:
    key = {"idempotency-key": "k-5"}
    house.gateway.deaf = OperationalError("select", {}, Exception("the server closed the connection"))
    assert (await decide(house, comment="lost", headers=key)).status_code == 503
    house.gateway.deaf = None
    assert (await decide(house, comment="seen")).status_code == 200
    assert (await decide(house, comment="lost", headers=key)).status_code == 409
    assert [comment.text for comment in access.comments_on(database, "mc-1")] == ["seen"]


async def test_a_repeated_idempotency_key_hears_its_first_answer(house: House) -> None:
    key = {"idempotency-key": "k-1"}
    first = await decide(house, headers=key)
    again = await decide(house, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    other = await decide(house, "decider", headers=key)
    assert other.status_code == 409


async def test_an_outcome_that_is_not_known_is_202_and_says_what_to_do(house: House) -> None:
    house.gateway.deaf = Unanswered("ask again")
    answer = await decide(house)
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["detail"]) == ("unknown", "ask again")


async def test_a_code_decides_once_and_for_fifteen_minutes(house: House, database: Engine) -> None:
    item = await pending(house)
    answer = await house.ask("POST", f"/v1/approvals/{item['id']}/code")
    assert answer.status_code == 201
    code = answer.json()
    assert code["workflow_id"] == "certificate/mc-1"
    assert code["paste"] == {
        "code": code["code"],
        "decision": "approve",
        "case": item["case"],
        "generation": item["generation"],
        "plan_version": item["version"],
        "seen": "awaiting-approval",
    }
    assert code["expires_at"] > (house.gateway.world.now + timedelta(minutes=14)).isoformat()
    await decide(house)
    assert (await house.ask("POST", f"/v1/approvals/{item['id']}/code")).status_code == 409
    assert all(code["code"] not in str(event) for event in access.security_events(database))


async def test_an_unknown_approval_is_404_with_where_to_look(house: House) -> None:
    answer = await house.ask("POST", "/v1/approvals/mc-9.1.1/decision", json={"decision": "approve"})
    assert answer.status_code == 404
    assert "GET /v1/approvals" in answer.json()["detail"]


async def test_nothing_is_decided_while_other_names_are_served(house: House) -> None:
    item = await pending(house)
    world = house.gateway.world
    world.replace_by_hand(life("fewer", world.now, timedelta(days=365), names=("pay.example.in",)), "n-names")
    world.work()
    house.gateway.record()
    answer = await decide(house)
    assert answer.status_code == 409
    assert "first answer the open question" in answer.json()["detail"]
    code = await house.ask("POST", f"/v1/approvals/{item['id']}/code")
    assert (code.status_code, code.json()["detail"]) == (409, answer.json()["detail"])
    assert (await pending(house))["id"] == item["id"]
