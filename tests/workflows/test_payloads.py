"""Every payload fits: a certificate with 100 long names in 5,000 places, and each step and each report about it.

Names and places are drawn by chance, for chance is what packs worst; 512 KiB is a quarter of what Temporal takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from temporalio.worker import Worker

from domain import contracts as c
from domain.certificate import LookOutcome, Slot, TrustClass
from domain.discovery_request import MOST_ENTRIES
from domain.lifecycle import view
from domain.lifecycle.agenda import agenda
from domain.lifecycle.commands import Outcome, Step
from domain.lifecycle.explaining import explain
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.refold import Recalled, refold
from domain.lifecycle.rules import NEWEST, rule_set
from domain.lifecycle.state import Stage
from domain.names import LIFECYCLE_QUEUE, certificate_workflow
from domain.people.messages import Receipt
from domain.tiers import Tier
from tests.domain import simulation
from tests.domain.simulation import World, broken, stored
from tests.workflows.conftest import Theatre
from tests.workflows.test_real_server import real as real
from workflows.converter import DATA_CONVERTER
from workflows.courier import IDS_KEPT, MOST_AT_ONCE, MOST_CARRIED, Route
from workflows.lifecycle import CertificateLifecycle, Start, batch_of, weight_of
from workflows.sandbox import Sandbox

LARGEST = 512 * 1024
RULES = rule_set(NEWEST)
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
    """A world that keeps what crosses between its lifecycle and its activities."""

    def perform(self, step: Step) -> Outcome:
        outcome = super().perform(step)
        CROSSED.append((type(step).__name__, step))
        CROSSED.append((type(outcome).__name__, outcome))
        return outcome


CROSSED: list[tuple[str, Any]] = []


@pytest.fixture(scope="module")
def widest() -> Iterator[Widest]:
    """Its certificate is renewed, and no target has answered yet."""
    chance = Random(20261130)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "SLOTS", tuple(sorted({place(chance) for _ in range(PLACES)})))
        patch.setattr(simulation, "NAMES", tuple(sorted({name(chance) for _ in range(NAMES)})))
        CROSSED.clear()
        world = Widest(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
        world.fail = lambda step: broken(step) if isinstance(step, c.Deploy) else None
        world.adopt()
        world.run_until(world.now + timedelta(minutes=1))
        world.send(world.decision())
        world.run_until(world.now + timedelta(minutes=10))
        CROSSED.append(("state", world.state))
        CROSSED.append(("snapshot", view.snapshot(world.state, world.now)))
        in_the_making(world)
        yield world


def in_the_making(world: World) -> None:
    """What the steps after it would carry, each at its largest."""
    slots, case, now = simulation.SLOTS, world.state.case, world.now
    assert case is not None
    assert case.issued is not None
    new = case.issued.fingerprint
    receipts = tuple(c.SlotReceipt(slot, "unreachable", "no answer within 20 s; tried three times") for slot in slots)
    looks = world.looks(slots)
    CROSSED.extend(
        (type(value).__name__, value)
        for value in (
            c.Deploy("mc-1", "mc-1.1.1.1", new, slots),
            c.DeployReport(receipts),
            c.RollBack("mc-1", "mc-1.1.1.1", new, slots),
            c.LookAgain("mc-1", slots, new),
            # A score of strangers, each with a hundred names, and the reason of a broken path at each place.
            c.LookReport(
                tuple(replace(look, chain_ok=False, flaw="the certificate of its issuer has ended") for look in looks),
                tuple(simulation.life(f"stranger {number}", now, 365 * DAY) for number in range(20)),
            ),
        )
    )
    everywhere = replace(case, stage=Stage.VERIFYING, to_roll_back=slots)
    CROSSED.append(("state", replace(world.state, case=everywhere, last_case=everywhere)))


async def size_of(value: object) -> int:
    return sum(payload.ByteSize() for payload in await DATA_CONVERTER.encode([value]))


async def test_every_step_every_outcome_and_every_state_fits(widest: Widest) -> None:
    assert len(simulation.SLOTS) == PLACES
    largest: dict[str, int] = {}
    for kind, value in CROSSED:
        largest[kind] = max(largest.get(kind, 0), await size_of(value))
    assert {"Consult", "Observation", "PlaceOrder", "CollectOrder", "OrderOutcome", "LookReport"} <= set(largest)
    # Some are too large for a payload as they stand, so that it is the codec that is tried.
    assert len(DATA_CONVERTER.payload_converter.to_payloads([widest.state])[0].data) > LARGEST
    assert {kind: size for kind, size in largest.items() if size >= LARGEST} == {}


async def test_every_batch_of_events_fits_and_none_is_left_behind(widest: Widest) -> None:
    waiting = [stored(fact) for fact in widest.happened]
    snapshot = view.snapshot(widest.state, widest.now)
    batches = 0
    while waiting:
        batch = batch_of(waiting, RULES)
        assert batch
        assert await size_of(c.RecordBatch("mc-1", "run", batch, snapshot)) < LARGEST
        waiting, batches = waiting[len(batch) :], batches + 1
    assert batches > 1
    # An event that is too large for its company goes alone, and what stands beside its facts counts too.
    many = [stored(fact) for fact in widest.happened]
    assert len(batch_of(many, replace(RULES, most_together=1))) == 1
    small = [replace(one, facts={}, cause="c" * 300) for one in many]
    room = weight_of(small[:5])
    assert len(batch_of(small, replace(RULES, most_together=room))) == 5


def test_as_much_is_sent_of_strangers_as_is_kept() -> None:
    assert RULES.facts_kept == c.MOST_FACTS


async def test_what_a_run_hands_to_the_next_fits(widest: Widest) -> None:
    answered = tuple(
        (f"update-{number}", Receipt("accepted", "approved, held", number, "")) for number in range(RULES.answers_kept)
    )
    outbox: list[c.EventRecord] = []
    for fact in reversed(widest.happened):
        if weight_of([*outbox, stored(fact)]) <= RULES.most_carried:
            outbox.append(stored(fact))
    assert outbox
    runs = tuple(c.ArchiveRun("certificate/mc-1", f"run-{number}", number) for number in range(20))
    for _, state in (one for one in CROSSED if one[0].startswith("state")):
        assert await size_of(Start("mc-1", state, answered, tuple(outbox), runs, 2)) < LARGEST


async def test_what_is_read_back_and_what_queries_answer_fits(widest: Widest) -> None:
    state, now = widest.state, widest.now
    assert state.life is not None
    known = refold("mc-1", widest.happened)
    lives = lives_that_fit([state.life] * 500, c.MOST_FACTS, RULES)
    assert await size_of(Recalled(known, len(widest.happened), lives)) < LARGEST
    assert await size_of(explain(state)) < LARGEST
    assert await size_of(agenda(state, now)) < LARGEST


async def test_what_a_discovery_carries_and_a_warrant_comes_to_fits() -> None:
    """The longest lists that a request may have (``domain.discovery_request``), and every outcome of a look."""
    chance = Random(4)
    names = tuple(name(chance) for _ in range(MOST_ENTRIES))
    networks = tuple(f"10.{n // 256}.{n % 256}.0/24" for n in range(MOST_ENTRIES))
    paths = tuple(f"/etc/{one}" for one in names)
    request = c.DiscoveryRequest("d-1", "api/token/a", networks, tuple(range(1, 1 + MOST_ENTRIES)), names, paths)
    outcomes = tuple((outcome.value, 10**9) for outcome in LookOutcome)
    for value in (
        request,
        c.DiscoveryFailure(request, label(chance, 2000)),
        c.DiscoveryPlan("d-1", 10**6, 10**9),
        c.ScanReport(1, 10**9, 10**9, outcomes),
        c.Redemption(True, "token/a", "security-head", label(chance, 500), "person/a", "person/b"),
    ):
        assert await size_of(value) < LARGEST


async def test_places_that_each_show_another_stranger_fit() -> None:
    """Each is taken by somebody else's certificate of two names, on a path that is not good."""
    urls = (f"tls://10.{n // 62500}.{n // 250 % 250}.{n % 250}:443?sni=h{n}.example.in" for n in range(PLACES))
    slots = tuple(Slot(url, "ecdsa") for url in urls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "SLOTS", slots)
        world = World(tier=Tier.CUSTOMER_FACING, age=280 * DAY)
        world.adopt()
        world.work()
        world.now += DAY
        others = [
            simulation.life(f"s{n}", world.now, 300 * DAY, trust_class=TrustClass.SELF_SIGNED) for n in range(PLACES)
        ]
        world.certificates |= {one.fingerprint: one for one in others}
        world.served |= {slot: one.fingerprint for slot, one in zip(slots, others, strict=True)}
        flaw = "missing issuer: it ends at CN=Some CA"
        looks = tuple(replace(one, chain_ok=False, flaw=flaw) for one in world.looks(slots))
        told = c.Observation(
            "n-1", "looked", world.now, looks=looks, candidates=lives_that_fit(others, c.MOST_FACTS, RULES)
        )
        world.notice(told)
        world.work()
    assert len({seen.fingerprint for place in world.state.places for seen in place.lives}) == PLACES
    state, now = world.state, world.now
    for value in (
        told,
        state,
        Start("mc-1", state),
        view.snapshot(state, now),
        explain(state),
        agenda(state, now),
    ):
        assert await size_of(value) < LARGEST


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


async def test_a_certificate_in_5000_places_answers_what_its_state_is(real: Theatre) -> None:
    chance = Random(2)
    world = World(tier=Tier.INTERNAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "SLOTS", tuple(sorted({place(chance) for _ in range(PLACES)})))
        world.now = await real.env.get_current_time()
        world.adopt()
        world.run_until(world.now)
    client = real.env.client
    async with Worker(client, task_queue=LIFECYCLE_QUEUE, workflows=[CertificateLifecycle], workflow_runner=Sandbox()):
        handle = await client.start_workflow(
            CertificateLifecycle.run,
            Start("mc-1", world.state, rules=NEWEST),
            id=certificate_workflow("mc-1"),
            task_queue=LIFECYCLE_QUEUE,
        )
        state = await handle.query(CertificateLifecycle.query_state)
    assert len(state.slots) == PLACES
    assert state == world.state
    history = await handle.fetch_history()
    assert history.events[0].workflow_execution_started_event_attributes.input.payloads[0].ByteSize() < LARGEST
