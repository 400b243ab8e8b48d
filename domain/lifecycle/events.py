"""What happened: the only things that change a lifecycle's state, and what auditors read.

Longer than 300 lines because it is one list: an auditor looks up every kind of event here.
"""

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar, Literal

from domain.certificate import Life, Slot
from domain.contracts import SlotLook, Terms
from domain.lifecycle.state import CaseOutcome, QuestionKind, RecallReason, Stage
from domain.tiers import Audience


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events; ``kind`` is what is stored."""

    kind: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Happened:
    """One event with its number and its instant.  ``cause``: the command; ``by``: an actor id or "everleaf"."""

    seq: int
    at: datetime
    cause: str
    by: str
    event: Event


@dataclass(frozen=True, slots=True)
class NoticeCame(Event):
    kind: ClassVar[str] = "notice_came"
    notice_id: str


@dataclass(frozen=True, slots=True)
class NoticeRead(Event):
    kind: ClassVar[str] = "notice_read"
    notice_id: str


@dataclass(frozen=True, slots=True)
class ConsultDelayed(Event):
    kind: ClassVar[str] = "consult_delayed"
    retry_at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    kind: ClassVar[str] = "adopted"
    terms: Terms
    life: Life
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class TermsChanged(Event):
    kind: ClassVar[str] = "terms_changed"
    terms: Terms


@dataclass(frozen=True, slots=True)
class SlotsChanged(Event):
    """``slots`` empty: it owns none any more, and nothing is done until it does."""

    kind: ClassVar[str] = "slots_changed"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class LooksTaken(Event):
    kind: ClassVar[str] = "looks_taken"
    looks: tuple[SlotLook, ...]


@dataclass(frozen=True, slots=True)
class LookScheduled(Event):
    """``at`` None: no look of our own is needed any more."""

    kind: ClassVar[str] = "look_scheduled"
    at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class CaseOpened(Event):
    kind: ClassVar[str] = "case_opened"
    number: int
    cause: str
    requested_by: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    kind: ClassVar[str] = "approval_asked"
    number: int
    plan_version: str


@dataclass(frozen=True, slots=True)
class BecameUnroutable(Event):
    kind: ClassVar[str] = "became_unroutable"
    why: str
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionReserved(Event):
    kind: ClassVar[str] = "decision_reserved"
    code_sha256: str
    until: datetime


@dataclass(frozen=True, slots=True)
class CodeBurnt(Event):
    kind: ClassVar[str] = "code_burnt"
    code_sha256: str


@dataclass(frozen=True, slots=True)
class ReservationEnded(Event):
    kind: ClassVar[str] = "reservation_ended"


@dataclass(frozen=True, slots=True)
class DecisionRefused(Event):
    """A warrant that did not hold: a security event that changes no case."""

    kind: ClassVar[str] = "decision_refused"
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class Approved(Event):
    """``by`` "policy" for tiers that do not ask.  ``hold_until`` None: order now."""

    kind: ClassVar[str] = "approved"
    approver: str
    plan_version: str
    hold_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    kind: ClassVar[str] = "rejected"
    approver: str
    plan_version: str
    asks_again_at: datetime


@dataclass(frozen=True, slots=True)
class OrderIntended(Event):
    kind: ClassVar[str] = "order_intended"
    order_key: str
    number: int


@dataclass(frozen=True, slots=True)
class OrderAccepted(Event):
    kind: ClassVar[str] = "order_accepted"
    order_key: str
    key_id: str


@dataclass(frozen=True, slots=True)
class OrderPending(Event):
    kind: ClassVar[str] = "order_pending"
    order_key: str
    retry_at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CertificateIssued(Event):
    kind: ClassVar[str] = "certificate_issued"
    order_key: str
    life: Life


@dataclass(frozen=True, slots=True)
class OrderClosed(Event):
    """``revoke``: its certificate, if there is one, must be revoked."""

    kind: ClassVar[str] = "order_closed"
    order_key: str
    reason: Literal["failed", "unusable", "expired", "superseded", "retired"]
    revoke: bool
    collected: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OrderRevoked(Event):
    kind: ClassVar[str] = "order_revoked"
    order_key: str
    done: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RevocationDelayed(Event):
    kind: ClassVar[str] = "revocation_delayed"
    order_key: str
    collected: bool
    retry_at: datetime | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step of the case came to nothing; tried again at ``retry_at`` from ``stage``."""

    kind: ClassVar[str] = "step_failed"
    step: str
    detail: str
    stage: Stage
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class RetryDue(Event):
    kind: ClassVar[str] = "retry_due"
    stage: Stage


@dataclass(frozen=True, slots=True)
class BudgetSpent(Event):
    kind: ClassVar[str] = "budget_spent"
    failures: int


@dataclass(frozen=True, slots=True)
class Installed(Event):
    kind: ClassVar[str] = "installed"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class VerificationLooked(Event):
    """One fresh look of the case: which slots serve the new certificate, which something else, which nothing."""

    kind: ClassVar[str] = "verification_looked"
    verified: tuple[Slot, ...]
    wrong: tuple[Slot, ...]
    silent: tuple[Slot, ...]
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class RollbackOrdered(Event):
    kind: ClassVar[str] = "rollback_ordered"
    slots: tuple[Slot, ...]
    why: str


@dataclass(frozen=True, slots=True)
class RollbackWithheld(Event):
    """The old one is past its escalation mark, or its target refused it: it is not put back, the new one is installed
    again (rule 4)."""

    kind: ClassVar[str] = "rollback_withheld"
    slots: tuple[Slot, ...]
    why: str


@dataclass(frozen=True, slots=True)
class RolledBack(Event):
    kind: ClassVar[str] = "rolled_back"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class CaseClosed(Event):
    kind: ClassVar[str] = "case_closed"
    number: int
    outcome: CaseOutcome


@dataclass(frozen=True, slots=True)
class GenerationBegan(Event):
    kind: ClassVar[str] = "generation_began"
    generation: int
    life: Life


@dataclass(frozen=True, slots=True)
class RungsPassed(Event):
    """Rungs that lay in the past when this became known: recorded, never fired."""

    kind: ClassVar[str] = "rungs_passed"
    up_to: int


@dataclass(frozen=True, slots=True)
class RungFired(Event):
    kind: ClassVar[str] = "rung_fired"
    rung: int
    to: Audience
    mark: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class OwnerCalled(Event):
    kind: ClassVar[str] = "owner_called"
    why: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged(Event):
    kind: ClassVar[str] = "acknowledged"
    level: Audience
    until: datetime


@dataclass(frozen=True, slots=True)
class QuestionAsked(Event):
    kind: ClassVar[str] = "question_asked"
    question: QuestionKind
    to: Audience
    climbs_at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class QuestionEnded(Event):
    kind: ClassVar[str] = "question_ended"
    question: QuestionKind
    answer: str


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
class HoldMoved(Event):
    """The end on which a held order's date rests has moved, and the date with it."""

    kind: ClassVar[str] = "hold_moved"
    until: datetime


@dataclass(frozen=True, slots=True)
class SuspectSeen(Event):
    """A certificate that is not ours but passes every check of a renewal; ``looks`` in a row at every endpoint."""

    kind: ClassVar[str] = "suspect_seen"
    life: Life
    looks: int


@dataclass(frozen=True, slots=True)
class SuspectForgotten(Event):
    kind: ClassVar[str] = "suspect_forgotten"


@dataclass(frozen=True, slots=True)
class Told(Event):
    kind: ClassVar[str] = "told"
    message_id: str


@dataclass(frozen=True, slots=True)
class Undeliverable(Event):
    kind: ClassVar[str] = "undeliverable"
    message_id: str


@dataclass(frozen=True, slots=True)
class Forked(Event):
    kind: ClassVar[str] = "forked"
    head: int


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class RecallAsked(Event):
    """The store's truth is asked for.  ``notice_id``: the notice that a lifecycle without a life could not place."""

    kind: ClassVar[str] = "recall_asked"
    why: RecallReason
    notice_id: str = ""


@dataclass(frozen=True, slots=True)
class RecallDelayed(Event):
    kind: ClassVar[str] = "recall_delayed"
    retry_at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class StateRecalled(Event):
    """From here on the state is the fold of what is recorded up to ``head``; ``by`` asked for it."""

    kind: ClassVar[str] = "state_recalled"
    head: int
    why: RecallReason


@dataclass(frozen=True, slots=True)
class RollAsked(Event):
    kind: ClassVar[str] = "roll_asked"


@dataclass(frozen=True, slots=True)
class Retired(Event):
    kind: ClassVar[str] = "retired"
    reason: str


def plain(value: Any) -> Any:
    """``value`` as integers, strings, booleans, lists and maps; absent instead of null, durations in seconds."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: plain(inner) for name, inner in pairs if inner is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        # A date that a person gave may be in any zone.
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value


def facts(event: Event) -> dict[str, Any]:
    made: dict[str, Any] = plain(event)
    return made
