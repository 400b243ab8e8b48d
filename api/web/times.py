"""Instants as people say them: how long, then when, in the operator's own zone; UTC beside it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.web.text import count

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Days at which a severity begins in a long life (Help): rounded down, a week and 23 hours would read as already there.
# In shorter lives the marks lie elsewhere; there the word beside it says where it stands.
BOUNDS = (7, 14, 30)


@dataclass(frozen=True, slots=True)
class Times:
    """``now``: when the page is read."""

    now: datetime
    zone: ZoneInfo

    def span(self, length: timedelta) -> str:
        """ "6 days", "7 h", "4 min", "9 months": one unit, rounded down, never "0"."""
        length = abs(length)
        if length >= timedelta(days=2 * 365):
            return f"{length // timedelta(days=365)} years"
        if length >= timedelta(days=120):
            return f"{length // timedelta(days=30)} months"
        if length >= DAY:
            return count(length // DAY, "day")
        if length >= timedelta(hours=1):
            return f"{length // timedelta(hours=1)} h"
        if length >= timedelta(minutes=1):
            return f"{length // timedelta(minutes=1)} min"
        return f"{max(1, length // timedelta(seconds=1))} s"

    def until(self, at: datetime) -> str:
        """ "in 6 days", "7 h ago"; "in 7 days 23 h" in the day before a bound, "in 7 days" from the bound on."""
        left = at - self.now
        if left <= timedelta(0):
            return f"{self.span(left)} ago"
        hours = -(-(left % DAY) // HOUR)
        if left // DAY not in BOUNDS or not hours:
            return f"in {self.span(left)}"
        return f"in {left // DAY} days {hours} h" if hours < 24 else f"in {left // DAY + 1} days"

    def ends(self, at: datetime) -> str:
        """ "in 6 days", "expired 7 h ago"."""
        return self.until(at) if at > self.now else f"expired {self.span(self.now - at)} ago"

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def short(self, at: datetime) -> str:
        """ "30 Nov 14:05 IST"; "30 Nov 2027" where it is another year, with the hour while it is near."""
        here = self.local(at)
        if here.year == self.local(self.now).year:
            return f"{here.day} {here:%b %H:%M} {self.zone_name(at)}"
        if abs(at - self.now) > timedelta(days=90):
            return f"{here.day} {here:%b %Y}"
        return f"{here.day} {here:%b %Y %H:%M} {self.zone_name(at)}"

    def day(self, at: datetime) -> str:
        here = self.local(at)
        year = f" {here:%Y}" if here.year != self.local(self.now).year else ""
        return f"{here.day} {here:%b}{year}"

    def whole(self, at: datetime) -> str:
        """ "Mon 30 Nov 2026 14:05:00 IST"."""
        here = self.local(at)
        return f"{here:%a} {here.day} {here:%b %Y %H:%M:%S} {self.zone_name(at)}"

    def second(self, at: datetime) -> str:
        return f"{self.local(at):%H:%M:%S} {self.zone_name(at)}"

    def zone_name(self, at: datetime) -> str:
        return self.local(at).tzname() or "UTC"

    @staticmethod
    def iso(at: datetime) -> str:
        return at.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def sum_end(at: datetime) -> str:
        """How ``domain.lifecycle.explaining.explain`` writes the end in a sum."""
        return f"{at:%Y-%m-%d %H:%M:%S} UTC"

    def countdown(self, at: datetime) -> list[tuple[str, str]]:
        """The two largest parts of what is left: [("6", "days"), ("4", "h")]."""
        left = abs(at - self.now)
        days, rest = left // DAY, left % DAY
        hours, minutes = rest // timedelta(hours=1), rest % timedelta(hours=1) // timedelta(minutes=1)
        seconds = left % timedelta(minutes=1) // timedelta(seconds=1)
        if days >= 10:
            return [(f"{days:,}", "days")]
        if days:
            return [(str(days), "day" if days == 1 else "days"), (str(hours), "h")]
        if hours:
            return [(str(hours), "h"), (str(minutes), "min")]
        return [(str(minutes), "min"), (str(seconds), "s")]


def number(value: int) -> str:
    """ "4.2 M", "38,000", "1,240"."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:.1f}".removesuffix(".0") + " M"
    return f"{value:,}"
