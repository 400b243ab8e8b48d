"""Events that releases before 0.2.0 wrote and none writes any more: read for ever, for auditors and for a refold.

What they said of what is served follows from the looks themselves now.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.certificate import Life
from domain.lifecycle.events import Event


@dataclass(frozen=True, slots=True)
class LookScheduled(Event):
    """``at`` None: no look of our own is needed any more."""

    kind: ClassVar[str] = "look_scheduled"
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class FindingRaised(Event):
    kind: ClassVar[str] = "finding_raised"
    finding: str
    detail: str


@dataclass(frozen=True, slots=True)
class FindingCleared(Event):
    kind: ClassVar[str] = "finding_cleared"
    finding: str


@dataclass(frozen=True, slots=True)
class ForeignSeen(Event):
    """A certificate in our slots that may not succeed ours, or None when it is gone."""

    kind: ClassVar[str] = "foreign_seen"
    life: Life | None


@dataclass(frozen=True, slots=True)
class ServedEnds(Event):
    """When the first of the certificates that are served instead of ours ends; None: nothing else is served."""

    kind: ClassVar[str] = "served_ends"
    at: datetime | None


@dataclass(frozen=True, slots=True)
class EndMoved(Event):
    """The path on which the present certificate is served ends at another time than was known: E and its ladder move.

    It comes later only once every endpoint was seen to serve a whole chain that ends later (rule 9).
    """

    kind: ClassVar[str] = "end_moved"
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SuspectSeen(Event):
    """A certificate that is not ours but passes every check of a renewal; ``looks`` in a row at every endpoint."""

    kind: ClassVar[str] = "suspect_seen"
    life: Life
    looks: int


@dataclass(frozen=True, slots=True)
class SuspectForgotten(Event):
    kind: ClassVar[str] = "suspect_forgotten"
