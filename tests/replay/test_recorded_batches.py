"""What a run had recorded is what the store took; the rest is nobody's record."""

from domain.contracts import EventRecord, RecordBatch
from domain.reconciling import standing
from tests.domain.simulation import START
from tests.replay.test_stored_histories import one
from workflows.replaying import recorded_batches

FORKED = "a-fork-takes-the-state-of-the-store-when-somebody-resumes-1"


def numbers(batches: list[RecordBatch]) -> list[tuple[int, int]]:
    return [(batch.events[0].seq, batch.events[-1].seq) for batch in batches]


async def test_a_batch_that_the_store_held_other_events_for_was_not_recorded() -> None:
    """That run offered 8 and 9 after a reset, heard that it was forked, and went on from what the store held."""
    assert numbers(await recorded_batches(one(FORKED))) == [(16, 17), (18, 18), (19, 19), (20, 20)]


async def test_what_an_ordinary_run_recorded_is_there_once_and_whole() -> None:
    batches = await recorded_batches(one("an-internal-certificate-lives-two-generations-without-anybody-1"))
    assert [event.seq for batch in batches for event in batch.events] == list(range(11))


def batch(first: int, last: int, cause: str) -> RecordBatch:
    events = [EventRecord(seq, "x", START, cause, 1, 0, "everleaf", {}) for seq in range(first, last + 1)]
    return RecordBatch("mc-1", "run", tuple(events))


def test_what_came_later_under_the_same_numbers_is_what_stands() -> None:
    given_up = [batch(0, 9, "old"), batch(10, 14, "old"), batch(15, 20, "old"), batch(30, 35, "old")]
    kept = standing([*given_up, batch(12, 17, "new"), batch(18, 18, "new")])
    assert numbers(kept) == [(0, 9), (10, 11), (12, 17), (18, 18)]
    assert [one.events[0].cause for one in kept] == ["old", "old", "new", "new"]
    assert standing(kept) == kept
