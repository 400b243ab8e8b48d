"""What the store refuses is offered again, at once where a person resumes it, and asks nobody once it was taken."""

from datetime import timedelta

from domain.lifecycle.rules import NEWEST
from domain.people.messages import Answer, Receipt
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.recovering import until_fact, until_state

MISSED = "event 7 came, 5 is missing; nothing was written."


async def asking(theatre: Theatre) -> Stage:
    """The store lacks what it had recorded, as after it was put back, and says so of the next batch."""
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=timedelta(days=200)), rules=NEWEST)
    await stage.pass_time(timedelta(minutes=1))
    stage.activities.refusing = MISSED
    await stage.handle_of_now().signal("observe", "n-0b")
    stage.world.notices["n-0b"] = stage.world.notices["n-0"]
    await until_state(stage, lambda state: [one.kind for one in state.questions] == ["forked"])
    return stage


async def resume(stage: Stage) -> Receipt:
    message = Answer(stage.world.code(), "forked", "resume", about=await stage.about("forked"))
    return await stage.send("answer", message)


async def test_resuming_offers_it_at_once_and_says_what_the_store_said(theatre: Theatre) -> None:
    stage = await asking(theatre)
    refused, asked = stage.activities.refused, stage.kinds().count("question_asked")
    receipt = await resume(stage)
    assert receipt.outcome == "accepted"
    assert MISSED in receipt.detail
    # Nobody has mended the store: it refuses once more within the same minute, and the question is there again.
    await until_fact(lambda: stage.activities.refused > refused)
    state = await until_state(stage, lambda state: [one.kind for one in state.questions] == ["forked"])
    assert MISSED in state.questions[0].detail
    assert asked == 0, "nothing of it is in the store yet"

    stage.activities.refusing = ""
    await resume(stage)
    await until_state(stage, lambda state: not state.questions and not state.record_refused)
    await until_fact(lambda: stage.kinds().count("resumed") == 2)
    assert sorted(stage.activities.recorded) == list(range(len(stage.activities.recorded)))


async def test_a_store_that_was_made_whole_ends_the_question_without_anybody(theatre: Theatre) -> None:
    stage = await asking(theatre)
    stage.activities.refusing = ""
    await stage.pass_time(timedelta(hours=1, minutes=1))
    await until_fact(lambda: "record_was_taken" in stage.kinds())
    state = await until_state(stage, lambda state: not state.questions)
    assert state.record_refused == ""
