"""Charts as numbers for server-made SVG: nothing is drawn in the browser, so paper and screen readers get the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

LAST = timedelta(days=90)
# The policy's own marks on a fixed scale, so that a column of rulers compares itself.
MARKS = (90, 60, 30, 21, 14, 7, 3, 1)
WIDTH, LIFE_WIDTH = 120.0, 1176.0


@dataclass(frozen=True, slots=True)
class Ruler:
    """``x``: today on a scale of 120; ``said``: the same for those who do not see it."""

    x: float
    run: float
    said: str


def ruler(not_after: datetime, now: datetime, window: timedelta = LAST) -> Ruler:
    """The last 90 days before the end; of a short life, all of it."""
    left = not_after - now
    gone = 1 - min(max(left / window, 0.0), 1.0)
    days = max(0, left // timedelta(days=1))
    said = f"more than {window.days} days left" if left >= window else f"{days} of the last {window.days} days left"
    return Ruler(round(gone * WIDTH, 1), round(gone * WIDTH, 1), said)


def ticks() -> str:
    """The path of the marks of a ruler."""
    places = [round((1 - days / 90) * WIDTH, 1) for days in MARKS[1:]]
    return "M0.5 6.5v3" + "".join(f"M{x:g} 6.5v3" for x in places) + "M119.5 3.5v6"


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment on the large ruler.  ``crowded``: its neighbour's label would overprint its own.

    ``tight`` and ``text_tight``: so on paper, where the letters are larger in proportion.
    """

    x: float
    at: datetime
    label: str
    day: str
    text: str
    fired: bool
    anchor: str
    crowded: bool
    tight: bool
    text_tight: bool


@dataclass(frozen=True, slots=True)
class LifeLine:
    """``short``: a life of hours, whose marks are told apart by the clock and not by the day."""

    marks: list[Mark]
    today: float
    anchor: str
    alarm: float
    short: bool
    said: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A date of the plan: ``label`` as the policy calls it, such as "30 days", ``text`` such as "case opens"."""

    at: datetime
    label: str
    day: str
    text: str


SHORT_LIFE = timedelta(days=2)
# Of one letter on the line of 1176: on a screen (12 px) and on paper (17 px).
LETTER, PAPER_LETTER = 6.4, 8.8


@dataclass(slots=True)
class _Row:
    """What is taken so far of a row of words whose letters are ``letter`` wide."""

    letter: float
    taken: float = -1000.0

    def takes(self, x: float, words: str, anchor: str = "start") -> bool:
        width = self.letter * len(words)
        begin = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        free = bool(words) and begin >= self.taken + 1.5 * self.letter and begin + width <= LIFE_WIDTH + 1
        self.taken = begin + width if free else self.taken
        return free


def life_line(moments: Sequence[Moment], window: tuple[datetime, datetime], now: datetime, alarm: datetime) -> LifeLine:
    """Moments between (begin, end) on a line of 1176; ``alarm``: from where the bar takes the severity's hue."""
    begin, end = window
    length = max((end - begin).total_seconds(), 1.0)

    def place(at: datetime) -> float:
        return round(min(max((at - begin).total_seconds() / length, 0.0), 1.0) * LIFE_WIDTH, 1)

    marks: list[Mark] = []
    texts, labels = _Row(LETTER), _Row(LETTER)
    paper_texts, paper_labels = _Row(PAPER_LETTER), _Row(PAPER_LETTER)
    for moment in sorted(moments, key=lambda one: one.at):
        x, label = place(moment.at), before(end - moment.at)
        text = moment.text if texts.takes(x, moment.text) else ""
        longest = max(label, moment.day, key=len)
        anchor = _anchor(x, longest)
        crowded = LIFE_WIDTH - x < 20 or not labels.takes(x, longest, anchor)
        tight = crowded or not paper_labels.takes(x, longest, anchor)
        fired, text_tight = moment.at <= now, not paper_texts.takes(x, text)
        marks.append(Mark(x, moment.at, label, moment.day, text, fired, anchor, crowded, tight, text_tight))
    short = end - begin < SHORT_LIFE
    when = [f"{before(end - moment.at)} before the end" if short else moment.day for moment in moments]
    said = "; ".join(f"{moment.text or moment.label} {day}" for moment, day in zip(moments, when, strict=True))
    return LifeLine(marks, place(now), _anchor(place(now), "today"), place(alarm), short, said)


def _anchor(x: float, words: str) -> str:
    """Words stand in the middle of their mark, except where they would leave the line."""
    half = PAPER_LETTER * len(words) / 2
    return "start" if x < half else "end" if LIFE_WIDTH - x < half else "middle"


def before(left: timedelta) -> str:
    """ "30 d", "36 h", "6 min": how long before the end, as it is, whatever the policy calls a lead that shrank."""
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if left >= 2 * unit or left == unit:
            return f"{left // unit} {name}"
    return f"{max(0, left // timedelta(seconds=1))} s"


@dataclass(frozen=True, slots=True)
class Backlog:
    """A step line in a box of 300 x 150: ``path``, its ends and its scale."""

    path: str
    last: tuple[float, float]
    first: tuple[float, float]
    grid: list[tuple[float, int]]
    points: list[tuple[date, int]]


def backlog(points: Sequence[tuple[date, int]]) -> Backlog | None:
    """How many ended within 90 days, day by day; None before there are two days to compare."""
    if not points:
        return None
    top = _round_up(max(count for _, count in points))
    across = max(len(points) - 1, 1)

    def at(index: int, count: int) -> tuple[float, float]:
        return round(30 + 262 * index / across, 1), round(140 - 125 * count / top, 1)

    places = [at(index, count) for index, (_, count) in enumerate(points)]
    path = f"M{places[0][0]:g} {places[0][1]:g}" + "".join(f"H{x:g}V{y:g}" for x, y in places[1:])
    if len(places) == 1:
        path += "H292"
        places.append((292.0, places[0][1]))
    grid = [(round(140 - 125 * share / 4, 1), round(top * share / 4)) for share in range(5)]
    return Backlog(path, places[-1], places[0], grid, list(points))


def _round_up(value: int) -> int:
    """The next number that divides into four whole steps."""
    for step in (4, 8, 20, 40, 80, 100, 200, 400, 800, 1000, 2000, 4000, 10_000, 20_000, 40_000, 100_000, 400_000):
        if value <= step:
            return step
    return 4 * (value // 4 + 1)


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """``days``: (count, heat 0..4) per day of the month, None where the month has no such day."""

    label: str
    days: list[tuple[date, int, int] | None]
    total: int


def calendar(counts: dict[date, int], today: date, months: int = 12) -> list[CalendarMonth]:
    """Ends by day for ``months`` months from this one."""
    busiest = max(counts.values(), default=0)
    rows = []
    first = today.replace(day=1)
    for _ in range(months):
        following = (first + timedelta(days=32)).replace(day=1)
        length = (following - first).days
        days: list[tuple[date, int, int] | None] = []
        for offset in range(31):
            day = first + timedelta(days=offset)
            count = counts.get(day, 0)
            days.append((day, count, _heat(count, busiest)) if offset < length else None)
        rows.append(CalendarMonth(f"{first:%b %y}", days, sum(entry[1] for entry in days if entry)))
        first = following
    return rows


def _heat(count: int, busiest: int) -> int:
    if count == 0:
        return 0
    return min(4, 1 + 4 * (count - 1) // max(busiest, 4))


@dataclass(frozen=True, slots=True)
class LifeBar:
    """One generation on a shared line of 240."""

    x: float
    width: float


def life_bars(lives: Sequence[tuple[datetime, datetime]]) -> list[LifeBar]:
    begin = min(start for start, _ in lives)
    length = max((max(end for _, end in lives) - begin).total_seconds(), 1.0)
    bars = []
    for start, end in lives:
        x = 238 * (start - begin).total_seconds() / length
        bars.append(LifeBar(round(x, 1), round(max(238 * (end - start).total_seconds() / length, 2.0), 1)))
    return bars
