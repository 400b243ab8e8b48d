"""What each difference between inventory and engine is called, mended and told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from domain.comparison import Compared, Living, Pair, Reconcile, Running
from domain.contracts import COMPARISON, Topic
from domain.reconciling import (
    ENDED,
    NAMED,
    OVERDUE_AFTER,
    Tally,
    difference,
    differences,
    fresh,
    held,
    is_held,
    listed_whole,
    messages,
    news,
    tally,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATE = NOW - OVERDUE_AFTER - timedelta(seconds=1)

pairs = st.builds(
    Pair,
    st.sampled_from(["mc-a", "mc-b", "mc-c"]),
    st.sampled_from(get_args(Living)),
    st.sampled_from(get_args(Running)),
    st.just("shop.example.in"),
    st.sampled_from(["p-head", "p-other", ""]),
    st.sampled_from([None, NOW, LATE, NOW + timedelta(days=3)]),
)


def test_a_certificate_that_lives_without_a_running_lifecycle_is_begun_again_and_nothing_else_is() -> None:
    for living, running, since in product(get_args(Living), get_args(Running), (None, LATE)):
        found = difference(Pair("mc-a", living, running, overdue_since=since), NOW)
        is_begun = found is not None and found.kind == "begun-again"
        assert is_begun == (living == "living" and running in ENDED), (living, running)


def test_one_of_an_earlier_time_is_replaced_while_it_runs_and_begun_again_where_it_has_ended() -> None:
    for running in get_args(Running):
        found = difference(Pair("mc-a", "living", running, is_stale=True), NOW)
        assert found is not None
        assert found.kind == ("begun-again" if running in ENDED else "put-back")
        assert found.mends_itself


def test_what_runs_is_told_and_left_alone() -> None:
    failing = difference(Pair("mc-a", "living", "failing"), NOW)
    paused = difference(Pair("mc-a", "living", "paused"), NOW)
    orphan = difference(Pair("mc-a", "unknown", "running"), NOW)
    late = difference(Pair("mc-a", "living", "running", overdue_since=LATE), NOW)
    found = [one for one in (failing, paused, orphan, late) if one is not None]
    assert [one.kind for one in found] == ["stuck", "stuck", "orphan", "overdue"]
    assert not any(one.mends_itself for one in found)


def test_a_moment_that_has_just_passed_is_nothing() -> None:
    assert difference(Pair("mc-a", "living", "running", overdue_since=NOW - OVERDUE_AFTER), NOW) is None
    assert difference(Pair("mc-a", "retired", "running"), NOW) is None
    assert difference(Pair("mc-a", "retired", "completed"), NOW) is None


@given(st.lists(pairs, max_size=6, unique_by=lambda pair: pair.managed_id))
def test_what_stays_is_told_once_and_what_is_mended_each_time(seen: list[Pair]) -> None:
    before: dict[tuple[str, str], bool] = {}
    heard: list[tuple[str, str]] = []
    for _ in range(4):
        found = news(differences(seen, NOW), before)
        heard += [(one.kind, one.managed_id) for one in fresh(found, before)]
        before = {(one.kind, one.managed_id): one.told for one in found}
    for one in differences(seen, NOW):
        assert heard.count((one.kind, one.managed_id)) == (4 if one.mends_itself else 1)


def test_what_is_overdue_once_is_not_told() -> None:
    late = differences([Pair("mc-a", "living", "running", overdue_since=LATE)], NOW)
    assert fresh(news(late, {}), {}) == ()
    assert len(fresh(news(late, {("overdue", "mc-a"): False}), {("overdue", "mc-a"): False})) == 1


def test_one_message_for_many_names_the_first_and_counts_the_rest() -> None:
    lost = [Pair(f"mc-{number:04}", "living", "absent", f"n{number}.example.in", "p-head") for number in range(10_000)]
    told: dict[str, Tally] = {}
    tally(fresh(news(differences(lost, NOW), {}), {}), ["p-head"], told)
    [message] = messages(told, "r-1", NOW)
    assert (message.person, message.level, message.managed_id) == ("p-head", "security-head", "mc-0000")
    [(kind, text)] = message.facts
    assert kind == "begun-again"
    assert text.startswith(
        "10,000 lifecycles had ended by other means than ours, and were begun again: n0.example.in, n1."
    )
    assert text.endswith(f"and {10_000 - NAMED} more")
    assert len(text) < 2000


def test_no_message_is_unreadable_to_a_courier_of_the_release_before() -> None:
    """One that drops a message goes on otherwise than the next worker, which can read it: its history breaks."""
    assert get_args(Topic) == ("ask", "rung", "failed", "question", "unroutable", "closed")
    [message] = messages({"p-head": Tally(put_back=True)}, "r-1", NOW)
    assert (message.topic, message.subject) == ("failed", COMPARISON)


def test_what_nobody_is_the_head_of_every_head_hears() -> None:
    told: dict[str, Tally] = {}
    tally(news(differences([Pair("mc-a", "unknown", "running")], NOW), {}), ["p-1", "p-2"], told)
    assert [message.person for message in messages(told, "r-1", NOW)] == ["p-1", "p-2"]


def test_the_same_comparison_twice_is_one_message() -> None:
    told: dict[str, Tally] = {}
    tally(news(differences([Pair("mc-a", "living", "absent", head="p-1")], NOW), {}), [], told)
    assert (
        [one.id for one in messages(told, "r-1", NOW)] == [one.id for one in messages(told, "r-1", NOW)] == ["r-1.p-1"]
    )


def test_a_store_that_was_put_back_holds_our_cas_until_a_person_releases_them() -> None:
    well, back = Compared(()), Compared((), store_was_put_back=True)
    assert held(well, Reconcile(), NOW) is None
    assert held(back, Reconcile(), NOW) == NOW
    assert held(back, Reconcile(apply=False), NOW) is None, "a question changes nothing"
    assert held(back, Reconcile(release=True), NOW) is None
    since = replace(well, held_since=NOW - timedelta(days=1))
    # Since when it goes on to be held the store knows best.
    assert held(since, Reconcile(), NOW) is None
    assert [is_held(one, Reconcile()) for one in (well, back, since)] == [False, True, True]
    assert not is_held(since, Reconcile(release=True))


def test_orders_that_nobody_follows_are_told_beside_what_is_wrong_with_their_lifecycle() -> None:
    well = Pair("mc-a", "living", "running", adrift=("no case follows its order x", "nor y"))
    assert [(one.kind, one.detail) for one in differences([well], NOW)] == [
        ("adrift", "no case follows its order x; nor y")
    ]
    assert [one.kind for one in differences([replace(well, running="failing")], NOW)] == ["stuck", "adrift"]
    assert [one.kind for one in differences([replace(well, living="retired")], NOW)] == ["adrift"]


def test_a_store_that_was_put_back_is_said_to_every_head_with_what_to_do() -> None:
    [message] = messages({"p-head": Tally(put_back=True)}, "r-1", NOW)
    assert "everleaf reconcile --apply" in dict(message.facts)["store"]


def test_each_prefix_has_its_turn_to_be_listed_whole() -> None:
    prefixes = ["mc-a", "mc-b", "mc-c"]
    turns = {listed_whole(NOW + timedelta(minutes=5 * number), prefixes) for number in range(3)}
    assert turns == set(prefixes)
    assert listed_whole(NOW, []) == ""
