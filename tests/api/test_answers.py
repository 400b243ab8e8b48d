"""What a lifecycle asks of people: answered over HTTP or, with a code, in the Temporal UI."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.lifecycle.commands import DueMoments, RecordRefused
from domain.people.messages import Answer, RenewNow, Resume, Retire
from tests.api.conftest import House

ANSWERS = "/v1/certificates/mc-1/answers"
CODE = "/v1/certificates/mc-1/code"


@pytest.fixture
def asking(house: House) -> House:
    """The house, whose certificate asks why an endpoint is silent."""
    world = house.gateway.world
    first, *rest = world.state.places
    first = replace(first, silent=3, silent_since=world.now - timedelta(days=8))
    world.state = replace(world.state, places=(first, *rest))
    world.tell(DueMoments())
    house.gateway.record()
    assert world.asked() == ["unseen"]
    return house


async def answer(house: House, who: str = "operator", **body: str) -> Any:
    return await house.ask("POST", ANSWERS, who, json={"question": "unseen", "answer": "broken", **body})


async def test_an_open_question_is_answered_once(asking: House) -> None:
    first = await answer(asking)
    assert first.status_code == 200
    assert first.json()["kind"] == "answer"
    assert asking.gateway.world.asked() == ["repair"], "broken asks for the repair"
    assert (await answer(asking)).status_code == 409


async def test_an_answer_about_what_was_read_before_is_stale(asking: House) -> None:
    about = asking.gateway.world.question("unseen").about
    refused = await answer(asking, about="9/another")
    assert refused.status_code == 412
    assert asking.gateway.world.asked() == ["unseen"]
    assert (await answer(asking, about=about)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answer": "keep"}, "answer"),
        ({"question": "different", "answer": "moved"}, "answer"),
        ({"question": "undeliverable", "answer": "resume"}, "answer"),
        ({"question": "tier", "answer": "internal"}, "question"),
    ],
)
async def test_a_word_that_answers_nothing_names_those_that_do(asking: House, body: dict[str, str], field: str) -> None:
    refused = await answer(asking, **body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert asking.gateway.world.state.questions


@pytest.mark.parametrize("who", ["security-head", "admin"])
async def test_retired_is_a_word_for_heads_and_admins(asking: House, who: str) -> None:
    refused = await answer(asking, "operator", answer="retired")
    assert refused.status_code == 403
    assert asking.gateway.world.state.questions
    assert (await answer(asking, who, answer="retired")).status_code == 200


async def test_a_code_for_the_temporal_ui_is_good_for_its_message_alone(asking: House) -> None:
    given = await asking.ask("POST", CODE, "operator", json={"message": "renew_now"})
    assert given.status_code == 201
    code = given.json()
    assert (code["update"], code["workflow_id"]) == ("renew_now", "certificate/mc-1")
    assert code["paste"] == {"code": code["code"]}
    assert "--name renew_now" in code["command"]
    tell = asking.gateway.tell
    for name, message in (("resume", Resume(code["code"])), ("retire", Retire(code["code"], "mistake"))):
        asking.gateway.world.state = replace(asking.gateway.world.state, burnt=())
        with pytest.raises(Exception, match=r"given for something else|used already"):
            await tell("mc-1", (name, message), name)


@pytest.mark.parametrize(
    ("message", "kind"), [("answer", Answer), ("resume", Resume), ("retire", Retire), ("renew_now", RenewNow)]
)
async def test_what_is_pasted_is_the_message(asking: House, message: str, kind: Any) -> None:
    code = (await asking.ask("POST", CODE, json={"message": message}, who="security-head")).json()
    pasted = kind(**code["paste"])
    assert pasted.code == code["code"]


@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        ("answer", {"security-head", "admin"}),
        ("acknowledge", {"operator", "security-head"}),
        ("resume", {"operator", "security-head"}),
        ("retire", {"security-head"}),
        ("renew_now", {"operator", "security-head", "admin"}),
    ],
)
async def test_a_code_is_given_to_whom_the_message_is_allowed(asking: House, message: str, allowed: set[str]) -> None:
    asked = {who: await asking.ask("POST", CODE, who, json={"message": message}) for who in asking.tokens}
    assert {who for who, answered in asked.items() if answered.status_code == 201} == allowed
    assert {answered.status_code for answered in asked.values()} == {201, 403}


async def test_an_answer_that_did_not_help_says_so_to_whoever_asked_over_http(house: House) -> None:
    """From the question on the page to the receipt, and to the question that is there again."""
    world = house.gateway.world
    world.tell(RecordRefused("event 7 came, 5 is missing; nothing was written."))
    house.gateway.record()
    said = await house.ask("POST", ANSWERS, json={"question": "forked", "answer": "resume"})
    assert said.status_code == 200
    assert "refused again, it is asked again" in said.json()["detail"]
    assert "5 is missing" in said.json()["detail"]
    world.tell(RecordRefused("event 7 came, 5 is missing; nothing was written."))
    house.gateway.record()
    shown = (await house.ask("GET", "/v1/certificates/mc-1")).json()
    assert [one["kind"] for one in shown["questions"]] == ["forked"]
    assert "5 is missing" in shown["questions"][0]["detail"]
    again = await house.ask("POST", "/v1/certificates/mc-1/resumptions")
    assert "offered to the store once more" in again.json()["detail"]


async def test_an_answer_that_leads_on_names_the_next_question(asking: House) -> None:
    said = await answer(asking)
    assert said.json()["detail"].startswith("answered; now repair is asked: ")


@pytest.mark.parametrize("who", ["operator", "admin"])
async def test_a_gap_is_signed_for_by_a_head_alone_also_in_the_temporal_ui(house: House, who: str) -> None:
    world = house.gateway.world
    world.tell(RecordRefused("event 7 came, 5 is missing; nothing was written."))
    house.gateway.record()
    gap = {"question": "forked", "answer": "gap"}
    refused = await house.ask("POST", ANSWERS, who, json=gap)
    assert (refused.status_code, "may not sign for a gap" in refused.json()["detail"]) == (403, True)
    assert (await house.ask("POST", CODE, who, json={"message": "answer"})).status_code == 403
    assert world.state.record_refused
    assert (await house.ask("POST", CODE, "security-head", json={"message": "answer"})).status_code == 201
    signed = await house.ask("POST", ANSWERS, "security-head", json=gap)
    assert signed.status_code == 200
    assert "a gap for ever" in signed.json()["detail"]
