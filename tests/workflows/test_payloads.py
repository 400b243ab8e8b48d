"""Every payload fits: a certificate with 100 long names in 5,000 places, through a whole generation and what breaks it.

Names and places are drawn by chance, for chance is what packs worst; 512 KiB is a quarter of what Temporal takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from domain import contracts as c
from domain.certificate import Slot
from domain.lifecycle import view
from domain.lifecycle.commands import Outcome, Step
from domain.people.messages import Receipt
from domain.tiers import Tier
from tests.domain import simulation
from tests.domain.simulation import World, stored
from workflows.converter import DATA_CONVERTER
from workflows.courier import IDS_KEPT, MOST_AT_ONCE, MOST_CARRIED, Route
from workflows.lifecycle import ANSWERS_KEPT, Start, batch_of, weight_of
from workflows.lifecycle import MOST_CARRIED as MOST_EVENTS_CARRIED

LARGEST = 512 * 1024
PLACES, NAMES = 5000, 100
DAY = timedelta(days=1)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


def label(chance: Random, length: int) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(length))


def name(chance: Random) -> str:
    return f"{label(chance, 50)}.{label(chance, 50)}.example.in"


def place(chance: Random) -> Slot:
    address = ".".join(str(chance.randrange(256)) for _ in range(4))
    return Slot(f"tls://{address}:{chance.randrange(1, 65536)}?sni={name(chance)}", "ecdsa")


class Widest(World):
    """A world that keeps everything that crosses between its lifecycle and its activities."""

    def perform(self, step: Step) -> Outcome:
        outcome = super().perform(step)
        CROSSED.append((type(step).__name__, step))
        CROSSED.append((type(outcome).__name__, outcome))
        return outcome


CROSSED: list[tuple[str, Any]] = []


@pytest.fixture(scope="module")
def widest() -> Iterator[Widest]:
    """In its second generation, after a first case in which half of the places could not be deployed to for a while."""
    chance = Random(20261130)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "SLOTS", tuple(sorted({place(chance) for _ in range(PLACES)})))
        patch.setattr(simulation, "NAMES", tuple(sorted({name(chance) for _ in range(NAMES)})))
        CROSSED.clear()
        world = Widest(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
        world.adopt()
        world.run_until(world.now + timedelta(minutes=1))
        keep(world)
        dead = set(simulation.SLOTS[::2])
        world.dead = dead
        world.send(world.decision())
        world.run_until(world.now + 2 * DAY)
        keep(world)
        world.dead = set()
        world.run_until(world.now + 5 * DAY)
        keep(world)
        yield world


def keep(world: World) -> None:
    CROSSED.append((f"state {world.state.case.stage if world.state.case else 'idle'}", world.state))
    CROSSED.append(("snapshot", view.snapshot(world.state, world.now)))


async def size_of(value: object) -> int:
    return sum(payload.ByteSize() for payload in await DATA_CONVERTER.encode([value]))


async def test_every_step_every_outcome_and_every_state_fits(widest: Widest) -> None:
    assert len(simulation.SLOTS) == PLACES
    largest: dict[str, int] = {}
    for kind, value in CROSSED:
        largest[kind] = max(largest.get(kind, 0), await size_of(value))
    assert {"Consult", "Observation", "PlaceOrder", "Deploy", "DeployReport", "LookAgain", "LookReport"} <= set(largest)
    # Some are too large for a payload as they stand, so that it is the codec that is tried.
    assert len(DATA_CONVERTER.payload_converter.to_payloads([widest.state])[0].data) > LARGEST
    assert {kind: size for kind, size in largest.items() if size >= LARGEST} == {}


async def test_every_batch_of_events_fits_and_none_is_left_behind(widest: Widest) -> None:
    waiting = [stored(fact) for fact in widest.happened]
    snapshot = view.snapshot(widest.state, widest.now)
    batches = 0
    while waiting:
        batch = batch_of(waiting)
        assert batch
        assert await size_of(c.RecordBatch("mc-1", "run", batch, snapshot)) < LARGEST
        waiting, batches = waiting[len(batch) :], batches + 1
    assert batches > 1


async def test_what_a_run_hands_to_the_next_fits(widest: Widest) -> None:
    answered = tuple(
        (f"update-{number}", Receipt("accepted", "approved, held", number, "")) for number in range(ANSWERS_KEPT)
    )
    outbox: list[c.EventRecord] = []
    for fact in reversed(widest.happened):
        if weight_of([*outbox, stored(fact)]) <= MOST_EVENTS_CARRIED:
            outbox.append(stored(fact))
    assert outbox
    runs = tuple(c.ArchiveRun("certificate/mc-1", f"run-{number}", number) for number in range(20))
    for _, state in (one for one in CROSSED if one[0].startswith("state")):
        assert await size_of(Start("mc-1", state, answered, tuple(outbox), runs, 2)) < LARGEST


async def test_what_a_courier_carries_and_delivers_fits(widest: Widest) -> None:
    chance = Random(1)
    about = tuple(
        (label(chance, 10), f"{name(chance)}, {name(chance)}, {name(chance)}, {name(chance)}") for _ in range(4)
    )
    message = c.Message("mc-1.1", "mc-1", "asha", "owner", "question", widest.now, widest.now, about)
    many = tuple(
        replace(message, id=f"mc-{label(chance, 10)}.{number}", facts=(*about, ("detail", label(chance, 500))))
        for number in range(MOST_CARRIED)
    )
    ids = tuple(f"mc-{label(chance, 10)}.{number}" for number in range(IDS_KEPT))
    assert await size_of(Route("asha", "email", many, ids)) < LARGEST
    batch = c.Deliver("asha", "email", many[:MOST_AT_ONCE])
    assert await size_of(batch) < LARGEST
    assert await size_of(c.Undelivered(batch, label(chance, 1000))) < LARGEST
