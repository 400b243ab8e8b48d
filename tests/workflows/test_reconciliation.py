"""The workflow that compares inventory and engine, on the time-skipping server, over pages that a test makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from domain import comparison as k
from domain.names import LIFECYCLE_QUEUE
from domain.reconciling import HANDED_AFTER, UNDELIVERED_AFTER, counted
from tests.workflows.comparing import Seen, office
from workflows.reconciliation import Reconciliation

LOST = k.Pair("mc-a", "living", "absent", "a.example.in", "p-head")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
STUCK = k.Pair("mc-b", "living", "failing", "b.example.in", "p-head")


async def test_every_page_is_read_what_is_lost_is_begun_again_and_told_once_by_name(env: WorkflowEnvironment) -> None:
    more = replace(LOST, managed_id="mc-c", name="c.example.in")
    seen = Seen([(LOST, STUCK), (), (more,)])
    async with office(env, seen) as here:
        await here.compare()
    assert [asked.after for asked in seen.asked] == ["", "1", "2"]
    assert seen.begun == ["mc-a", "mc-c"]
    [message] = seen.sent
    assert dict(message.facts) == {"begun-again": f"{counted('begun-again', 2)}: a.example.in, c.example.in"}
    [noted] = seen.noted
    assert noted.counts == (("begun-again", 2), ("stuck", 1))
    assert [(one.kind, one.managed_id, one.told) for one in noted.differences] == [
        ("begun-again", "mc-a", True),
        ("stuck", "mc-b", False),
        ("begun-again", "mc-c", True),
    ]


async def test_what_runs_of_an_earlier_time_is_replaced_and_what_is_lost_is_not(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST, replace(LOST, managed_id="mc-d", running="running", is_stale=True))])
    async with office(env, seen) as here:
        await here.compare()
    assert (seen.begun, seen.replaced) == (["mc-a"], ["mc-d"])


async def test_what_stays_stuck_is_told_at_the_second_sight_and_never_begun(env: WorkflowEnvironment) -> None:
    seen = Seen([(STUCK,)])
    async with office(env, seen) as here:
        for _ in range(3):
            await here.compare()
    assert seen.begun == []
    assert [dict(message.facts) for message in seen.sent] == [{"stuck": "1 lifecycle does not go on: b.example.in"}]


async def test_a_question_changes_nothing_and_tells_nobody(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST,)], store_was_put_back=True)
    async with office(env, seen) as here:
        await here.compare(k.Reconcile(apply=False))
    assert (seen.begun, seen.sent, seen.handed) == ([], [], [])
    [noted] = seen.noted
    assert not noted.applied
    assert [one.kind for one in noted.differences] == ["begun-again"]


async def test_a_store_that_was_put_back_holds_our_cas_until_somebody_says_so(env: WorkflowEnvironment) -> None:
    seen = Seen([()], store_was_put_back=True)
    async with office(env, seen) as here:
        await here.compare()
        assert seen.held_since is not None
        seen.store_was_put_back = False
        await here.compare()
        # The first is written before anything is made again, which may take long or break off.
        assert seen.held_when_restored == [True]
        await here.compare(k.Reconcile(release=True))
    assert seen.held_since is None
    assert seen.restored == [k.RestoreStreams(everything=True)]
    assert ["was put back" in dict(message.facts).get("store", "") for message in seen.sent] == [True]


async def test_a_hold_that_a_restore_has_noted_is_told_once(env: WorkflowEnvironment) -> None:
    seen = Seen([()], held_since=datetime(2026, 11, 30, tzinfo=UTC))
    async with office(env, seen) as here:
        for _ in range(3):
            await here.compare()
    assert ["was put back" in dict(message.facts).get("store", "") for message in seen.sent] == [True]


async def test_what_our_cas_have_forgotten_is_entered_before_they_sign_again(env: WorkflowEnvironment) -> None:
    forgotten = [k.LostOrder(f"mc-a.{number}.1.1", "mc-a", "ff", "0a", "CN=Ours") for number in (1, 2, 3)]
    seen = Seen([()], forgotten=tuple(forgotten))
    async with office(env, seen) as here:
        await here.compare()
        assert seen.regained == []
        await here.compare(k.Reconcile(release=True))
    assert [one.orders for one in seen.regained] == [(one,) for one in forgotten], "to the last page"
    assert [dict(message.facts) for message in seen.sent] == [{"gap": "3 records are not whole: mc-a, mc-a, mc-a"}]
    assert [one.detail for one in seen.noted[-1].differences] == ["the key of order mc-a.1.1.1 is lost"] * 3


async def test_what_our_cas_have_forgotten_to_be_revoked_is_revoked_before_they_sign_again(
    env: WorkflowEnvironment,
) -> None:
    revoked = [k.LostRevocation(f"mc-a.{number}.1.1", "superseded", NOW) for number in (1, 2)]
    seen = Seen([()], revoked=tuple(revoked))
    async with office(env, seen) as here:
        await here.compare()
        assert seen.revoked_again == []
        await here.compare(k.Reconcile(release=True))
    assert [one.orders for one in seen.revoked_again] == [(one,) for one in revoked]
    assert [one.after for one in seen.revoked_again] == ["1", ""], "with the last the lists are made"
    assert [dict(message.facts) for message in seen.sent] == [
        {"revoked-again": "2 that our CAs had forgotten to be revoked"}
    ]


async def test_a_ca_that_does_not_remember_what_is_served_is_held_though_temporal_says_nothing(
    env: WorkflowEnvironment,
) -> None:
    seen = Seen([()], unremembered=(("ff", "nms.example.in", "serial 0a of ours"),))
    async with office(env, seen) as here:
        await here.compare(k.Reconcile(apply=False))
        assert (seen.held_since, seen.sent) == (None, [])
        for _ in range(2):
            await here.compare()
            assert seen.held_since is not None
        await here.compare(k.Reconcile(release=True))
        await here.compare()
    assert (seen.held_since, seen.unremembered) == (None, ())
    [message] = seen.sent
    assert sorted(dict(message.facts)) == ["forgotten", "store"]
    assert "nms.example.in" in dict(message.facts)["forgotten"]


async def test_what_was_begun_again_is_told_though_the_rest_breaks_off(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST, STUCK), ()], breaks_at=1)
    async with office(env, seen) as here:
        with pytest.raises(WorkflowFailureError):
            await here.compare()
    [message] = seen.sent
    assert dict(message.facts) == {"begun-again": f"{counted('begun-again', 1)}: a.example.in"}
    assert seen.noted == []


async def test_it_is_told_before_it_is_kept_as_told_and_beyond_the_first_five_hundred(env: WorkflowEnvironment) -> None:
    many = tuple(replace(STUCK, managed_id=f"mc-{number}") for number in range(k.MOST_PAIRS + 1))
    seen = Seen([many[:500], many[500:]])
    async with office(env, seen) as here:
        for _ in range(3):
            await here.compare()
    [message] = seen.sent
    assert dict(message.facts)["stuck"].startswith("501 lifecycles do not go on: ")
    assert [len(one.differences) for one in seen.seen] == [500, 1] * 3
    assert seen.heard_when_seen == [0, 0, 1, 1, 1, 1]


async def test_orders_adrift_are_told_beside_what_is_wrong_with_their_lifecycle(env: WorkflowEnvironment) -> None:
    seen = Seen([(replace(STUCK, adrift=("no case follows its order x",)),)])
    async with office(env, seen) as here:
        for _ in range(3):
            await here.compare()
    [message] = seen.sent
    assert sorted(dict(message.facts)) == ["adrift", "stuck"]


async def test_one_by_hand_says_so_and_one_of_the_schedule_knows_the_one_before(env: WorkflowEnvironment) -> None:
    seen = Seen([()])
    async with office(env, seen) as here:
        await here.compare()
        handle = await env.client.start_workflow(Reconciliation.run, id="of-none", task_queue=LIFECYCLE_QUEUE)
        await handle.result()
    assert [one.by_hand for one in seen.asked] == [True, False]


async def test_what_a_store_lacks_is_made_again_and_what_cannot_be_is_told_once(env: WorkflowEnvironment) -> None:
    seen = Seen([()], behind=("mc-a",), lost=(("mc-b", "event 7 is missing"),))
    async with office(env, seen) as here:
        await here.compare(k.Reconcile(apply=False))
        assert seen.restored == []
        await here.compare()
        seen.behind = ("mc-b",)
        await here.compare()
    assert seen.restored == [k.RestoreStreams(("mc-a",)), k.RestoreStreams(("mc-b",))]
    first, second = (dict(message.facts) for message in seen.sent)
    assert first == {"made-again": "12 events of 1 certificates were made again", "gap": "1 record is not whole: mc-b"}
    assert second == {"made-again": "12 events of 1 certificates were made again"}


async def test_mail_that_cannot_be_handed_over_keeps_nobody_from_hearing(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST,)], mail_waits=False)
    async with office(env, seen) as here:
        await here.compare()
    assert len(seen.noted) == len(seen.sent) == 1


async def test_messages_are_handed_over_after_minutes_and_given_up_after_a_day(env: WorkflowEnvironment) -> None:
    seen = Seen([()])
    async with office(env, seen) as here:
        await here.compare()
    [asked] = seen.handed
    assert asked.queued_before - asked.given_up_before == UNDELIVERED_AFTER - HANDED_AFTER
    assert asked.at - asked.queued_before >= HANDED_AFTER


async def test_what_was_begun_again_is_told_though_our_cas_cannot_be_asked(env: WorkflowEnvironment) -> None:
    seen = Seen([(LOST,)], forgotten=(k.LostOrder("mc-a.1.1.1", "mc-a", "ff", "0a", "CN=Ours"),), regains=False)
    async with office(env, seen) as here:
        with pytest.raises(WorkflowFailureError):
            await here.compare(k.Reconcile(release=True))
    [message] = seen.sent
    assert dict(message.facts) == {"begun-again": f"{counted('begun-again', 1)}: a.example.in"}
    assert seen.noted == []
