"""What places come to show, and what people answer, on the time-skipping server: each story ends, and is kept."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.certificate import TrustClass
from domain.contracts import Deploy, Observation, Revoked, RevokeOrder
from domain.lifecycle.commands import Outcome, Step
from domain.lifecycle.served import lives
from domain.people.messages import Acknowledge, Answer, Retire
from domain.tiers import Rung, Tier
from tests.domain.simulation import SLOTS, World, broken, life, terms
from tests.workflows.conftest import Stage, Theatre
from tests.workflows.test_lifecycle import discover, show

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def answer(stage: Stage, kind: str, word: str) -> None:
    message = Answer(stage.world.code(), kind, word, about=await stage.about(kind))  # type: ignore[arg-type]  # one of the questions
    assert (await stage.send("answer", message)).outcome == "accepted"


async def end(stage: Stage) -> None:
    receipt = await stage.send("retire", Retire(stage.world.code(), "decommissioned"))
    assert receipt.outcome == "accepted"
    await stage.pass_time(DAY)
    await stage.handle.result()


async def asked(stage: Stage) -> list[str]:
    return [question.kind for question in (await stage.state()).questions]


async def test_an_earlier_certificate_that_is_served_again_is_drift_until_it_is_known(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=306 * DAY))
    await stage.pass_time(DAY)
    state = await stage.state()
    assert state.generation == 2
    stage.world.served[SLOTS[0]] = state.earlier[-1]
    await discover(stage, "n-1")
    await stage.pass_time(46 * DAY)
    assert await asked(stage) == ["drift"]
    assert "rung_fired" in stage.kinds()
    await answer(stage, "drift", "known")
    await end(stage)


@pytest.mark.parametrize("word", ["keep", "take"])
async def test_names_that_changed_are_kept_or_taken(theatre: Theatre, word: str) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=200 * DAY))
    await stage.pass_time(MINUTE)
    await show(stage, life("fewer", stage.world.now, 365 * DAY, names=("pay.example.in",)), "n-1")
    await stage.pass_time(9 * DAY)
    assert await asked(stage) == ["different"]
    await answer(stage, "different", word)
    await stage.pass_time(DAY)
    assert (await stage.state()).generation == (2 if word == "take" else 1)
    await end(stage)


async def test_a_foreign_certificate_at_one_of_two_places_alarms_in_its_own_time(theatre: Theatre) -> None:
    stage = await theatre.stage(World(tier=Tier.CUSTOMER_FACING, age=100 * DAY))
    await stage.pass_time(MINUTE)
    bad = life("foreign", stage.world.now - 300 * DAY, 340 * DAY, trust_class=TrustClass.SELF_SIGNED)
    stage.world.certificates[bad.fingerprint] = bad
    stage.world.served[SLOTS[1]] = bad.fingerprint
    await discover(stage, "n-1")
    await stage.pass_time(11 * DAY)
    fired = [fact.facts for fact in stage.activities.recorded.values() if fact.kind == "rung_fired"]
    assert fired and {one["fingerprint"] for one in fired} == {bad.fingerprint}
    await answer(stage, "foreign-certificate", "known")
    await end(stage)


@pytest.mark.parametrize("word", ["retired", "moved", "broken"])
async def test_an_unseen_place_is_answered(theatre: Theatre, word: str) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=100 * DAY))
    await stage.pass_time(MINUTE)
    stage.world.dead = {SLOTS[0]}
    await discover(stage, "n-1")
    await stage.pass_time(12 * DAY)
    await answer(stage, "unseen", word)
    await stage.pass_time(9 * DAY)
    left = {"retired": [], "moved": ["moved-to"], "broken": ["repair"]}[word]
    assert await asked(stage) == left
    if word == "broken":
        await answer(stage, "repair", "repaired")
    await end(stage)


async def test_a_retirement_while_the_ca_is_pending_collects_and_revokes(theatre: Theatre) -> None:
    world = World(tier=Tier.INTERNAL, age=306 * DAY, pending=True)
    stage = await theatre.stage(world)
    await stage.pass_time(MINUTE)
    await stage.send("retire", Retire(world.code(), "decommissioned"))
    await stage.pass_time(3 * timedelta(hours=1))
    assert not (await stage.state()).is_over
    world.pending = False
    await stage.pass_time(DAY)
    await stage.handle.result()
    assert world.revoked == set(world.orders) != set()


class ByHand(World):
    """A CA that revokes nothing for us."""

    def perform(self, step: Step) -> Outcome:
        return Revoked(step.order_key, False, "by hand") if isinstance(step, RevokeOrder) else super().perform(step)


async def test_a_revocation_that_failed_is_owed_until_a_person_did_it(theatre: Theatre) -> None:
    world = ByHand(tier=Tier.INTERNAL, age=306 * DAY)
    world.fail = lambda step: broken(step) if isinstance(step, Deploy) else None
    stage = await theatre.stage(world)
    await stage.pass_time(MINUTE)
    await stage.send("retire", Retire(world.code(), "decommissioned"))
    await stage.pass_time(9 * DAY)
    state = await stage.state()
    assert state.retired and await asked(stage) == ["revocation"]
    await answer(stage, "revocation", "revoked")
    await stage.pass_time(MINUTE)
    await stage.handle.result()


async def test_the_owners_rungs_are_the_owners(theatre: Theatre) -> None:
    world = World(tier=Tier.CUSTOMER_FACING, age=300 * DAY)
    table = terms(world.tier, world.length).table
    rungs = (Rung(45 * DAY, "owner"), Rung(30 * DAY, "security-head"), Rung(21 * DAY, "owner"))
    world.table = replace(table, rungs=rungs)
    stage = await theatre.stage(world)
    await stage.pass_time(21 * DAY)
    about = f"{world.certificates[world.served[SLOTS[0]]].fingerprint[:16]}/45 days before the end"
    quiet = Acknowledge(world.code(), "owner", await stage.now() + 10 * DAY, about=about)
    assert (await stage.send("acknowledge", quiet)).outcome == "accepted"
    await stage.pass_time(18 * DAY)
    levels = [message.level for message in stage.activities.told if message.topic == "rung"]
    assert levels[0] == "owner" and "security-head" in levels
    assert (await stage.decide()).outcome == "accepted"
    await stage.pass_time(DAY)
    assert (await stage.state()).generation == 2
    await end(stage)


async def test_a_place_of_two_that_another_certificate_took_stays_on_the_ladder(theatre: Theatre) -> None:
    world = World(tier=Tier.INTERNAL, age=300 * DAY)
    stage = await theatre.stage(world)
    await stage.pass_time(MINUTE)
    old = world.served[SLOTS[1]]
    world.notices["n-1"] = Observation("n-1", "slots", world.now, slots=(SLOTS[0],))
    await stage.handle.signal("observe", "n-1")
    await stage.pass_time(8 * DAY)
    state = await stage.state()
    assert state.generation == 2 and old in {one.fingerprint for one in lives(state)}
    await answer(stage, "taken", "moved")
    await answer(stage, "moved-to", "nowhere")
    await end(stage)
