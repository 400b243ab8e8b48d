"""Inventory against engine: what a difference is called, what mends it, and who must hear of it (DESIGN rule 12).

The store says which certificates live, Temporal which lifecycles run.  An activity lays the two beside each other and
hands over only the pairs that are not plainly well; everything that follows from them is decided here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from domain.comparison import Compared, Forgotten, HandOver, Pair, Reconcile, Regained, RestoreStreams, StreamsRestored
from domain.contracts import COMPARISON, Message, RecordBatch
from domain.people.telling import is_late

# The reconciler's pace.  Its whole look is short, so a lifecycle that was ended is missed for minutes, not hours.
EVERY = timedelta(minutes=5)
# A moment is acted on within seconds; a step gives up after 15 minutes, so a later one is waited for by nobody.
OVERDUE_AFTER = timedelta(minutes=15)
# A watcher alarms when the last comparison is older than this: two were missed, and a third is due.
STALE_AFTER = timedelta(minutes=15)
# Of what does not say itself until when it is of use: longer than any Courier has patience (15 minutes), and as long as
# the pause between two repeats.
UNDELIVERED_AFTER = timedelta(days=1)
# For so long a Courier may be sending a letter: what is late only since then may be in it.
PATIENCE = timedelta(minutes=15)
# A Courier gathers for seconds and posts within a minute where all is well; what waits longer it is given once more.
HANDED_AFTER = timedelta(minutes=2)
# Names in one message; the rest are counted.
NAMED = 20

Kind = Literal["begun-again", "put-back", "stuck", "overdue", "orphan", "gap", "adrift", "forgotten"]

MENDED: tuple[Kind, ...] = ("begun-again", "put-back")


@dataclass(frozen=True, slots=True)
class Difference:
    """``told``: whether a person has heard of it, in this round or in one before."""

    kind: Kind
    managed_id: str
    name: str
    head: str
    detail: str
    told: bool = False

    @property
    def mends_itself(self) -> bool:
        """Whether the reconciler repairs it; what is told once more each time it happens anew."""
        return self.kind in MENDED


ENDED = {
    "absent": "Temporal knows no workflow of it",
    "terminated": "it was terminated",
    "canceled": "it was cancelled",
    "failed": "it failed",
    "completed": "it was completed while its certificate lives",
    "timed-out": "it timed out",
}


def difference(pair: Pair, now: datetime) -> Difference | None:
    """What is wrong with ``pair``, the gravest first; None where nothing is."""

    def found(kind: Kind, detail: str) -> Difference:
        return Difference(kind, pair.managed_id, pair.name, pair.head, detail)

    if pair.living == "unknown":
        return (
            None if pair.running in ENDED else found("orphan", "its lifecycle runs, and the store knows nothing of it")
        )
    if pair.living == "retired":
        # A retirement is recorded before its workflow ends, so either may be seen first.
        return None
    if pair.running in ENDED:
        return found("begun-again", ENDED[pair.running])
    if pair.is_stale:
        return found("put-back", "Temporal was put back to a time before its last events")
    if pair.running == "failing":
        return found("stuck", "its tasks fail; it runs again by itself with a release that mends the code")
    if pair.running == "paused":
        return found("stuck", "it was paused in Temporal; unpause it there")
    if pair.overdue_since is not None and now - pair.overdue_since > OVERDUE_AFTER:
        return found("overdue", f"it should have acted at {pair.overdue_since:%d %b %Y %H:%M} UTC")
    return None


def differences(pairs: Iterable[Pair], now: datetime) -> tuple[Difference, ...]:
    """Orders that nobody follows are told beside whatever else is wrong with their certificate."""
    found: list[Difference] = []
    for pair in pairs:
        one = difference(pair, now)
        found += (one,) if one is not None else ()
        if pair.adrift:
            found.append(Difference("adrift", pair.managed_id, pair.name, pair.head, "; ".join(pair.adrift)))
    return tuple(found)


def news(found: Sequence[Difference], before: Mapping[tuple[str, str], bool]) -> tuple[Difference, ...]:
    """``found``, each with whether it is told of by now.

    ``before``: (kind, managed id) of what differed in the last comparison -> whether it was told.  What is mended is
    told each time.  What is stuck or overdue is told at the second sight, and once: a worker that was away for minutes
    is behind with everything, and catches up by itself.
    """

    def is_told(one: Difference) -> bool:
        return one.mends_itself or one.kind in ("orphan", "gap", "forgotten") or (one.kind, one.managed_id) in before

    return tuple(replace(one, told=is_told(one)) for one in found)


def fresh(found: Iterable[Difference], before: Mapping[tuple[str, str], bool]) -> tuple[Difference, ...]:
    """Those of ``found`` that a person hears of now for the first time."""
    return tuple(
        one for one in found if one.told and (one.mends_itself or not before.get((one.kind, one.managed_id), False))
    )


def to_restore(compared: Compared) -> RestoreStreams | None:
    """Of which streams events must be made again: those known to be behind, and where the store was put back all."""
    if compared.store_was_put_back:
        return RestoreStreams(everything=True)
    return RestoreStreams(compared.behind) if compared.behind else None


def standing(batches: Iterable[RecordBatch]) -> list[RecordBatch]:
    """What stands of ``batches``, which were recorded one after another.

    What came later under the numbers of an earlier one took its place: a reset or a gap that somebody signed for had
    ended that branch, and its events belong to nobody's record any more.
    """
    kept: list[RecordBatch] = []
    for batch in batches:
        first = batch.events[0].seq
        while kept and kept[-1].events[0].seq >= first:
            kept.pop()
        if kept and kept[-1].events[-1].seq >= first:
            kept[-1] = replace(kept[-1], events=tuple(one for one in kept[-1].events if one.seq < first))
        kept.append(batch)
    return kept


def gaps(restored: StreamsRestored | Regained) -> tuple[Difference, ...]:
    """What cannot be known any more: Temporal has forgotten the runs that the store had recorded, or the bytes of a
    certificate are served nowhere."""
    return tuple(Difference("gap", managed_id, "", "", why) for managed_id, why in restored.lost)


def forgotten(found: Forgotten) -> tuple[Difference, ...]:
    """What our CAs signed and do not remember: their table was put back, whatever Temporal says."""
    return tuple(Difference("forgotten", fingerprint, name, "", detail) for fingerprint, name, detail in found.found)


def held(compared: Compared, request: Reconcile, now: datetime) -> datetime | None:
    """From when on our CAs sign nothing that signed until now, or None.

    A store that was put back has forgotten what they signed since: the next serial, the next CRL number and the order
    that a certificate came of are guesses until a person has read what differs and says so.
    """
    is_new = compared.store_was_put_back and compared.held_since is None
    return now if is_new and request.apply and not request.release else None


# What is seen of no certificate: that our CAs are held.  Kept as seen like a difference, so that it is told once.
HELD = ("held", "")


def is_held(compared: Compared, request: Reconcile) -> bool:
    """Whether our CAs sign nothing after this comparison: because of it, of an earlier one or of `everleaf restore`."""
    return (compared.store_was_put_back or compared.held_since is not None) and not request.release


@dataclass(slots=True)
class Tally:
    """What one head of IT security hears of one comparison: the first names, and how many there are by kind."""

    put_back: bool = False
    made_again: str = ""
    revoked_again: int = 0
    counts: dict[Kind, int] = field(default_factory=dict)
    names: dict[Kind, list[str]] = field(default_factory=dict)
    first: str = ""

    def add(self, one: Difference) -> None:
        self.first = self.first or (one.managed_id if one.kind != "forgotten" else "")
        self.counts[one.kind] = self.counts.get(one.kind, 0) + 1
        named = self.names.setdefault(one.kind, [])
        if len(named) < NAMED:
            named.append(one.name or one.managed_id)


def tally(found: Iterable[Difference], heads: Sequence[str], into: dict[str, Tally]) -> None:
    """Add ``found`` to what each head hears.  Of what no certificate names a head for, each of ``heads`` hears."""
    for one in found:
        for head in (one.head,) if one.head else heads:
            into.setdefault(head, Tally()).add(one)


# What is said of one, and of several.
WORDS: Mapping[Kind, tuple[str, str]] = {
    "begun-again": (
        "lifecycle had ended by other means than ours, and was begun again",
        "lifecycles had ended by other means than ours, and were begun again",
    ),
    "put-back": (
        "lifecycle of an earlier time was replaced, as Temporal was put back",
        "lifecycles of an earlier time were replaced, as Temporal was put back",
    ),
    "stuck": ("lifecycle does not go on", "lifecycles do not go on"),
    "overdue": ("lifecycle is overdue", "lifecycles are overdue"),
    "orphan": ("lifecycle is unknown to the store", "lifecycles are unknown to the store"),
    "gap": ("record is not whole", "records are not whole"),
    "forgotten": (
        "certificate of our CAs was met that they do not remember",
        "certificates of our CAs were met that they do not remember",
    ),
    "adrift": ("order is followed by nobody", "orders are followed by nobody"),
}


PUT_BACK = (
    "The store was put back to an earlier time. Our CAs sign nothing until somebody has had a look taken "
    "(everleaf discover --wait), read what differs (everleaf reconcile --dry-run) and says so "
    "(everleaf reconcile --apply)."
)


def is_given_up(message: Message, queued_at: datetime, asked: HandOver) -> bool:
    """Whether ``message`` has waited too long to be handed over once more."""
    return queued_at < asked.given_up_before or is_late(message, asked.at - PATIENCE)


def counted(kind: Kind, count: int) -> str:
    return f"{count:,} {WORDS[kind][count > 1]}"


def messages(told: Mapping[str, Tally], comparison_id: str, now: datetime) -> tuple[Message, ...]:
    """One for each head, however many certificates it is about; of one comparison, so a repetition is no second one."""
    made = []
    for head, heard in told.items():
        facts: list[tuple[str, str]] = [("store", PUT_BACK)] if heard.put_back else []
        if heard.made_again:
            facts.append(("made-again", heard.made_again))
        if heard.revoked_again:
            facts.append(("revoked-again", f"{heard.revoked_again:,} that our CAs had forgotten to be revoked"))
        for kind, count in heard.counts.items():
            named = ", ".join(heard.names[kind])
            more = f" and {count - len(heard.names[kind])} more" if count > len(heard.names[kind]) else ""
            facts.append((kind, f"{counted(kind, count)}: {named}{more}"))
        made.append(
            Message(
                id=f"{comparison_id}.{head}",
                managed_id=heard.first,
                person=head,
                level="security-head",
                topic="failed",
                subject=COMPARISON,
                at=now,
                facts=tuple(facts),
            )
        )
    return tuple(made)


def listed_whole(now: datetime, prefixes: Sequence[str]) -> str:
    """The one of ``prefixes`` that is listed in this round whatever its counts say; empty where there is none.

    Equal counts can hide one that is missing behind one too many; each prefix has its turn, so for hours, not for ever.
    """
    if not prefixes:
        return ""
    turn = int(now.timestamp() // EVERY.total_seconds())
    return prefixes[turn % len(prefixes)]
