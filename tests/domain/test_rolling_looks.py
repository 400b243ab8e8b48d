"""Which places the watcher looks at next: each often enough, and no more than the pace asks for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.vitals import Place
from domain.watching import next_looks

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACES = st.lists(st.integers(1, 400), min_size=1, max_size=60)


@settings(max_examples=25)
@given(PLACES, st.integers(1, 5))
def test_each_place_is_looked_at_once_a_week_and_daily_in_its_last_days(days: list[int], round_minutes: int) -> None:
    every = timedelta(minutes=round_minutes * 30)
    places = {
        f"tls://10.0.0.{number}:443": Place(f"tls://10.0.0.{number}:443", "a", NOW + timedelta(days=left))
        for number, left in enumerate(days)
    }
    looked: dict[str, list[datetime]] = {url: [NOW] for url in places}

    at = NOW
    while at < NOW + timedelta(days=15):
        for url in next_looks(list(places.values()), at, every):
            places[url] = replace(places[url], looked_at=at)
            looked[url].append(at)
        at += every

    for url, times in looked.items():
        between = max(later - earlier for earlier, later in zip(times, [*times[1:], at], strict=True))
        is_near = places[url].recorded - NOW <= timedelta(days=30)
        assert between <= (timedelta(days=1) if is_near else timedelta(days=7))


def test_looks_of_a_large_estate_are_spread_and_none_is_made_twice() -> None:
    places = [Place(f"tls://h{number}:443", "a", NOW + timedelta(days=300)) for number in range(100_000)]

    first = next_looks(places, NOW, MINUTE)

    assert len(first) == len(set(first)) <= 30


def test_what_is_nearer_its_end_is_looked_at_again_in_the_next_round() -> None:
    nearer = Place("tls://a:443", "a", NOW + timedelta(days=300), NOW, NOW + timedelta(days=3))

    assert next_looks([nearer], NOW + MINUTE, MINUTE) == ("tls://a:443",)
