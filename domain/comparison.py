"""What workflows and activities say to each other where inventory and engine are compared: shapes, and no decision."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.contracts import RevocationReason

# Pairs of one Compared; more go into the next one.
MOST_PAIRS = 500

Living = Literal["living", "retired", "unknown"]
Running = Literal[
    "running", "failing", "paused", "absent", "terminated", "canceled", "failed", "completed", "timed-out"
]


@dataclass(frozen=True, slots=True)
class Pair:
    """One certificate as the store and as Temporal know it; only those that may differ are looked at one by one.

    ``overdue_since``: the moment of its agenda that has passed, by the read model.  ``name``, ``head``: of whom to tell
    whom; empty where the store knows nothing of it.
    """

    managed_id: str
    living: Living
    running: Running
    name: str = ""
    head: str = ""
    overdue_since: datetime | None = None
    # Temporal was put back to a time before the last event that the store holds of it.
    is_stale: bool = False
    # Why each of its orders that nobody follows is one.
    adrift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconcile:
    """What starts a ``Reconciliation``.  Not ``apply``: say what differs, change nothing, tell nobody.

    ``release``: a person has read what differs after the store was put back; our CAs may sign again.  ``id`` empty: of
    the Schedule, whose comparisons know of each other; the workflow's own run is taken.  ``by``: who asked for it.
    """

    id: str = ""
    apply: bool = True
    release: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """``after``: the managed id behind which this page begins.  ``previous``: the comparison that ended last, as
    Temporal knows it; a store that does not know it was put back since.  ``by_hand``: no Schedule began it, so that
    it knows of none before it."""

    after: str = ""
    previous: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """``after``: where the next page begins, empty after the last.  ``before``: (kind, managed id, told) of what
    differed before, of this page's pairs, and on the first page of what is no pair's.

    Of the first page alone: ``living`` and ``running``, how many there are; ``heads``, everybody who is the head of IT
    security of some certificate; ``behind``, lifecycles that hold more than the store.  ``held_since``: since when our
    CAs sign nothing, because the store was put back; None: they may."""

    pairs: tuple[Pair, ...]
    after: str = ""
    behind: tuple[str, ...] = ()
    living: int = 0
    running: int = 0
    before: tuple[tuple[str, str, bool], ...] = ()
    heads: tuple[str, ...] = ()
    store_was_put_back: bool = False
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class BeginAgain:
    """Lifecycles that do not run, to be begun again from what the store holds; at most ``MOST_PAIRS``.

    ``replacing``: they run, of a time that is over, and are ended first."""

    managed_ids: tuple[str, ...]
    replacing: bool = False


@dataclass(frozen=True, slots=True)
class BegunAgain:
    """``notices``: sent to them before and not recorded since, and so sent once more."""

    begun: int
    notices: int


@dataclass(frozen=True, slots=True)
class RestoreStreams:
    """Make again, from what Temporal still holds of their runs, the events that the store lacks of ``managed_ids``;
    of every lifecycle that runs where ``everything``."""

    managed_ids: tuple[str, ...] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class StreamsRestored:
    """``lost``: those of which something is missing that Temporal does not hold any more, with the reason."""

    streams: int
    events: int
    lost: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FindLostOrders:
    """``after``: the order key behind which this page begins."""

    after: str = ""


@dataclass(frozen=True, slots=True)
class LostOrder:
    order_key: str
    managed_id: str
    fingerprint: str
    serial: str
    issuer: str


@dataclass(frozen=True, slots=True)
class LostOrders:
    """At most ``MOST_PAIRS``; ``after``: where the next page begins, empty after the last."""

    orders: tuple[LostOrder, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class LostRevocation:
    """``at``: when its lifecycle heard that it was revoked.  Empty where its events do not say it: ``fingerprint``, and
    ``serial`` with ``issuer``."""

    order_key: str
    reason: RevocationReason
    at: datetime
    fingerprint: str = ""
    serial: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class LostRevocations:
    """At most ``MOST_PAIRS``; ``after``: where the next page begins, empty after the last."""

    orders: tuple[LostRevocation, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class FindForgotten:
    """``regain``: enter them among what our CAs signed."""

    regain: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """(fingerprint, name, what is known of it) of certificates that our CAs signed, that a look has met and that they
    do not remember; at most ``MOST_PAIRS``."""

    found: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Regained:
    """``orders``: how many certificates stand among those that our CAs signed again; ``lost``: (managed id, what is
    missing for ever) of the others."""

    orders: int
    lost: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give every message that was queued before ``queued_before`` to its Courier once more, who takes each id once.

    What was queued before ``given_up_before``, or is of no use any more ``at`` that time, is given up, which its
    lifecycle hears.
    """

    queued_before: datetime
    given_up_before: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    handed: int
    given_up: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    kind: str
    managed_id: str
    name: str
    detail: str
    told: bool


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How a comparison ended.  ``differences``: the first ``MOST_PAIRS``; ``counts``: of all of them, by kind.

    ``held_since``: our CAs are held from then on, where they were not before; ``release``: they are held no longer."""

    id: str
    workflow_id: str
    run_id: str
    began_at: datetime
    applied: bool
    living: int
    running: int
    counts: tuple[tuple[str, int], ...] = ()
    differences: tuple[DifferenceRow, ...] = ()
    held_since: datetime | None = None
    release: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class NoteSeen:
    """What a comparison saw that does not mend itself, with whether it is told; at most ``MOST_PAIRS`` at a time."""

    comparison_id: str
    differences: tuple[DifferenceRow, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a ``Reconciliation`` gives: its id, by which the next one asks the store whether it was put back."""

    id: str
