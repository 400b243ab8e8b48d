"""Until when a message is of use: the next rung of the life that it is about, and the next day at the latest."""

from datetime import timedelta

import pytest

from domain.contracts import Message
from domain.lifecycle.commands import Command, DeliveryReported
from domain.lifecycle.events import Happened
from domain.lifecycle.ladder import ladder
from domain.lifecycle.served import present
from domain.lifecycle.state import LifecycleState
from domain.people.telling import is_late, messages_for
from domain.tiers import Tier
from tests.domain.simulation import World

DAY = timedelta(days=1)


def heard(world: World) -> list[Message]:
    """From now on: every message that is made."""
    found: list[Message] = []

    def hear(before: LifecycleState, command: Command, happened: tuple[Happened, ...]) -> None:
        for fact in happened:
            found.extend(messages_for(world.state, fact))

    world.hear = hear
    return found


@pytest.mark.parametrize("length", [360 * DAY, 47 * DAY, 6 * DAY, DAY])
def test_a_message_is_of_use_until_the_next_rung_and_for_a_day_at_most(length: timedelta) -> None:
    world = World(tier=Tier.NETWORK_CRITICAL, length=length, age=length * 0.5)
    messages = heard(world)
    world.adopt()
    world.work()
    world.run_until(present(world.state).ends_at + 2 * DAY)
    rungs = [one for one in messages if one.topic == "rung"]
    assert len(rungs) > 5
    for one in messages:
        assert one.useful_until is not None
        assert timedelta(minutes=1) <= one.useful_until - one.at <= DAY
    assert world.state.terms is not None
    marks = [rung.at for rung in ladder(present(world.state), world.state.terms.table)]
    for one in rungs:
        due = min([*(mark for mark in marks if mark > one.at), one.at + DAY])
        assert one.useful_until == max(min(due, one.at + DAY), one.at + timedelta(minutes=1))


def test_what_is_of_use_until_a_moment_is_late_at_it() -> None:
    world = World(tier=Tier.NETWORK_CRITICAL, age=340 * DAY)
    messages = heard(world)
    world.adopt()
    world.work()
    until = messages[0].useful_until
    assert until is not None
    assert not is_late(messages[0], until - timedelta(microseconds=1))
    assert is_late(messages[0], until)


@pytest.mark.parametrize(("rules", "said"), [("0.2", None), ("0.3", "p-head")])
def test_the_next_rung_says_whom_the_one_before_did_not_reach(rules: str, said: str | None) -> None:
    world = World(tier=Tier.NETWORK_CRITICAL, age=340 * DAY, rules=rules)
    messages = heard(world)
    world.adopt()
    world.work()
    first = next(one for one in messages if one.topic == "rung")
    assert "not_reached" not in dict(first.facts)
    world.tell(DeliveryReported(first.id, "undeliverable", "p-head"))
    world.run_until(world.now + DAY + timedelta(minutes=1))
    again = [one for one in messages if one.topic == "rung"][-1]
    assert again.id != first.id
    assert dict(again.facts).get("not_reached") == said
