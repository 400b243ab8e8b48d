"""The numbers behind the drawings: what is written on a line fits the life that it draws."""

from datetime import UTC, datetime, timedelta

import pytest

from api.web.charts import LIFE_WIDTH, Moment, before, life_line
from api.web.pages.discovery import coverage

END = datetime(2026, 12, 1, 12, tzinfo=UTC)


def line(life: timedelta, leads: list[timedelta], now: datetime, text: str = "") -> list[tuple[float, str]]:
    moments = [Moment(END - lead, "60 days", "24 Nov", text) for lead in leads]
    drawn = life_line(moments, (END - life, END), now, END)
    return [(mark.x, mark.label) for mark in drawn.marks if not mark.crowded]


def test_a_mark_is_named_by_what_it_is_before_the_end_and_not_by_what_the_policy_calls_it() -> None:
    minutes = [timedelta(minutes=6, seconds=40), timedelta(seconds=93), timedelta(seconds=7)]
    assert [label for _, label in line(timedelta(minutes=20), minutes, END)] == ["6 min", "93 s"]
    days = [timedelta(days=count) for count in (90, 60, 30)]
    assert [label for _, label in line(timedelta(days=90), days, END)] == ["90 d", "60 d", "30 d"]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=1), "1 d"),
        (timedelta(hours=36), "36 h"),
        (timedelta(hours=1), "1 h"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(0), "0 s"),
    ],
)
def test_a_lead_is_said_in_the_unit_that_fits(left: timedelta, said: str) -> None:
    assert before(left) == said


def test_the_label_of_today_stands_at_its_line_wherever_that_is() -> None:
    begin = END - timedelta(days=90)
    places = [(begin, 0.0, "start"), (END - timedelta(days=45), LIFE_WIDTH / 2, "middle"), (END, LIFE_WIDTH, "end")]
    places.append((END + timedelta(days=3), LIFE_WIDTH, "end"))
    for now, x, anchor in places:
        drawn = life_line([], (begin, END), now, END)
        assert (drawn.today, drawn.anchor) == (x, anchor)


def test_on_paper_fewer_words_stand_on_the_line_than_on_a_screen() -> None:
    leads = [timedelta(days=count) for count in (90, 70, 30, 23)]
    moments = [Moment(END - lead, "", "24 Nov", "head of IT security told") for lead in leads]
    drawn = life_line(moments, (END - timedelta(days=90), END), END, END)
    assert [bool(mark.text) for mark in drawn.marks] == [True, True, True, False]
    assert [mark.text_tight for mark in drawn.marks] == [False, False, False, True]
    assert [mark.crowded for mark in drawn.marks] == [False] * 4
    assert [mark.tight for mark in drawn.marks] == [False] * 4


def test_a_life_of_minutes_is_told_by_the_clock() -> None:
    drawn = life_line([Moment(END, "", "1 Dec", "")], (END - timedelta(minutes=20), END), END, END)
    assert drawn.short


def test_labels_with_a_year_do_not_overprint_each_other() -> None:
    moments = [Moment(END - timedelta(days=days), "", "18 Aug 2028", "") for days in (60, 14, 7)]
    drawn = life_line(moments, (END - timedelta(days=700), END), END - timedelta(days=700), END)
    assert [mark.crowded for mark in drawn.marks] == [False, True, True]
    assert drawn.marks[0].anchor == "middle"


def test_what_was_seen_in_no_range_of_the_scope_is_told_beside_the_ranges() -> None:
    shown = {"scope": {"cidrs": ["127.0.0.0/30", "127.0.1.0/24"]}}
    hosts = {"127.0.0.1": 2, "127.0.1.9": 3, "": 20, "127.9.9.9": 1}
    told = coverage(shown, hosts)
    assert told[:2] == [("127.0.0.0/30", 4, 2), ("127.0.1.0/24", 256, 3)]
    assert told[2][1:] == (None, 21)
    assert sum(seen for _, _, seen in told) == sum(hosts.values())
    assert coverage(shown, {"127.0.0.1": 2})[2:] == []
