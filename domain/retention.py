"""How long what can be forgotten is kept: a named age for each kind, with its default and the least that is allowed.

Events, histories, certificates, orders and what our CAs signed are not here: they are evidence, and stay (8 years).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta

DAY = timedelta(days=1)
# Anything longer is a slip of the pen.
LONGEST = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Retention:
    """Counted from when it happened; of a discovery's looks and findings, from the end of that discovery.

    What is shown now is kept whatever its age: the newest look at each place, and what was found there.
    """

    looks: timedelta = 90 * DAY
    findings: timedelta = 90 * DAY
    deliveries: timedelta = 400 * DAY
    changes: timedelta = DAY
    security_events: timedelta = 400 * DAY
    requests: timedelta = 30 * DAY
    sessions: timedelta = 90 * DAY


# Of a policy that says nothing of it.
KEPT = Retention()

# Name -> the least, and whose rule that is.
LEAST: dict[str, tuple[timedelta, str]] = {
    "looks": (7 * DAY, "a place counts as unseen after three looks over a week"),
    "findings": (7 * DAY, "a discovery may come once a week"),
    "deliveries": (30 * DAY, "an approval is asked anew after 30 days"),
    "changes": (timedelta(hours=1), "an open page asks for what it missed"),
    "security_events": (180 * DAY, "CERT-In's directions of 28 April 2022 ask for 180 days of logs"),
    "requests": (DAY, "somebody may repeat a request whose answer was lost"),
    "sessions": (7 * DAY, "a code by mail lives as long, and names its session"),
}


def problems_of(retention: Retention) -> Iterator[tuple[str, str, str]]:
    """(name, problem, remedy) of each age that is refused."""
    for field in fields(retention):
        age: timedelta = getattr(retention, field.name)
        least, why = LEAST[field.name]
        if age < least:
            told = f"is shorter than {written(least)}, and {why}"
            yield field.name, told, f"Write {written(least)} or more, or leave it out."
        elif age > LONGEST:
            yield field.name, f"is longer than {written(LONGEST)}", "Write for example 400d, or leave it out."


def written(age: timedelta) -> str:
    """As a policy writes it."""
    return f"{age // DAY}d" if age % DAY == timedelta(0) else f"{age // timedelta(hours=1)}h"
