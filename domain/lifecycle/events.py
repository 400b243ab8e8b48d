"""What happened: the only things that change a lifecycle's state, and what auditors read.

Longer than 300 lines because it is one list: an auditor looks up every kind of event here.
"""

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, ClassVar, Literal

from domain.certificate import Life, Slot
from domain.contracts import SlotLook, Terms
from domain.lifecycle.state import CaseOutcome, QuestionKind, RecallReason, Stage, Verdict
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
class SlotsJoined(Event):
    """More slots of its own, beside those it has: what one event does not hold goes on in the next."""

    kind: ClassVar[str] = "slots_joined"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class SlotsTaken(Event):
    """Another certificate has these now; they count until its owner has answered for them."""

    kind: ClassVar[str] = "slots_taken"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class SlotsChanged(Event):
    """What discovery says of who has which slot.  What is not among ``slots`` any more was taken by another one, and
    counts until its owner has answered for it."""

    kind: ClassVar[str] = "slots_changed"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class LooksTaken(Event):
    """``lives``: the facts of every certificate among ``looks`` that is not ours."""

    kind: ClassVar[str] = "looks_taken"
    looks: tuple[SlotLook, ...]
    lives: tuple[Life, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesTaken(Event):
    """From here on this life is led under the rule set ``rules``; ``before``: the one until now."""

    kind: ClassVar[str] = "rules_taken"
    rules: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class FactsRead(Event):
    """What earlier releases did not write down of the certificates at our places, read from the store."""

    kind: ClassVar[str] = "facts_read"
    lives: tuple[Life, ...]


@dataclass(frozen=True, slots=True)
class ClockDoubted(Event):
    """A look came that is dated ahead of us by more than clocks may differ: it moves nothing."""

    kind: ClassVar[str] = "clock_doubted"
    url: str
    dated: datetime


@dataclass(frozen=True, slots=True)
class ClockTrusted(Event):
    """The place whose look was dated ahead was looked at with a right date."""

    kind: ClassVar[str] = "clock_trusted"


@dataclass(frozen=True, slots=True)
class LookBroke(Event):
    """Looking itself failed; not tried again before ``retry_at``."""

    kind: ClassVar[str] = "look_broke"
    retry_at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class PlacesReleased(Event):
    """A person said that these are ours no more: retired, or moved elsewhere."""

    kind: ClassVar[str] = "places_released"
    slots: tuple[Slot, ...]
    why: Literal["retired", "moved"]


@dataclass(frozen=True, slots=True)
class MoveSettled(Event):
    """A person said that what has moved is served nowhere else."""

    kind: ClassVar[str] = "move_settled"


@dataclass(frozen=True, slots=True)
class RepairPromised(Event):
    """A person said that these places are broken and will be repaired: nothing waits for them, and they stay ours."""

    kind: ClassVar[str] = "repair_promised"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class RepairMade(Event):
    """A person said that these were repaired: believed when it is seen, by a look at once."""

    kind: ClassVar[str] = "repair_made"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class DriftKnown(Event):
    """A person said that what these serve, an earlier certificate of ours, is known to be served there."""

    kind: ClassVar[str] = "drift_known"
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """What a person said of one certificate that is not ours, and of these differences alone."""

    kind: ClassVar[str] = "judged"
    fingerprint: str
    verdict: Verdict
    differences: tuple[str, ...] = ()


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
    """``quiet``: its owner has heard so already; None (and in what older rules made) it is told."""

    kind: ClassVar[str] = "became_unroutable"
    why: str
    retry_at: datetime
    quiet: bool | None = None


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
    """``by`` "policy" for tiers that do not ask.  ``hold_until`` None: order now.  ``ends_at``: when it is asked anew
    if it was not used; None for the policy's own."""

    kind: ClassVar[str] = "approved"
    approver: str
    plan_version: str
    hold_until: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalEnded(Event):
    """Nothing was ordered under it for so long that it must be asked anew."""

    kind: ClassVar[str] = "approval_ended"
    plan_version: str


@dataclass(frozen=True, slots=True)
class HoldMoved(Event):
    """The end on which a held order's date rests has moved, and the date with it."""

    kind: ClassVar[str] = "hold_moved"
    until: datetime


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    kind: ClassVar[str] = "rejected"
    approver: str
    plan_version: str
    asks_again_at: datetime


@dataclass(frozen=True, slots=True)
class OrderIntended(Event):
    """``against``: E of the present certificate, which the gain of this order is weighed against."""

    kind: ClassVar[str] = "order_intended"
    order_key: str
    number: int
    against: datetime | None = None


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


OrderEnd = Literal["failed", "unusable", "expired", "superseded", "retired"]


@dataclass(frozen=True, slots=True)
class OrderClosed(Event):
    """``revoke``: its certificate, if there is one, must be revoked.  ``fingerprint``: that one, where it is known."""

    kind: ClassVar[str] = "order_closed"
    order_key: str
    reason: OrderEnd
    revoke: bool
    collected: bool
    detail: str = ""
    fingerprint: str = ""


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
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RevocationOwed(Event):
    """It could not be revoked by us: a person must, and is asked until they say so."""

    kind: ClassVar[str] = "revocation_owed"
    order_key: str
    why: str


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step of the case came to nothing; tried again at ``retry_at`` from ``stage``.  ``place``: where, by its URL."""

    kind: ClassVar[str] = "step_failed"
    step: str
    detail: str
    stage: Stage
    retry_at: datetime
    place: str = ""


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
    """``left_out``: places that did not answer, and so were not seen to serve the new one: the first of them, of
    ``left_out_count`` in all."""

    kind: ClassVar[str] = "case_closed"
    number: int
    outcome: CaseOutcome
    left_out: tuple[Slot, ...] = ()
    left_out_count: int = 0


@dataclass(frozen=True, slots=True)
class GenerationBegan(Event):
    kind: ClassVar[str] = "generation_began"
    generation: int
    life: Life


@dataclass(frozen=True, slots=True)
class RungsPassed(Event):
    """Rungs that lay in the past when this became known: recorded, never fired.  ``fingerprint``: the life's."""

    kind: ClassVar[str] = "rungs_passed"
    up_to: int
    fingerprint: str = ""
    to: Audience = "security-head"


@dataclass(frozen=True, slots=True)
class RungFired(Event):
    """``to`` is called for the life of ``fingerprint`` (empty: the present one), served at ``place``, that ends at
    ``ends_at``.  ``lead_seconds``: of the rung as the policy writes it, 0 for the end itself."""

    kind: ClassVar[str] = "rung_fired"
    rung: int
    to: Audience
    mark: str
    again: bool = False
    fingerprint: str = ""
    lead_seconds: int = -1
    ends_at: datetime | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class OwnerCalled(Event):
    kind: ClassVar[str] = "owner_called"
    why: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged(Event):
    """Repeats of one rung of one life to ``level`` are quiet until then.  ``lead_seconds`` -1: a failure's call, and
    ``about`` says of which step and place."""

    kind: ClassVar[str] = "acknowledged"
    level: Audience
    until: datetime
    fingerprint: str = ""
    lead_seconds: int = -1
    about: str = ""


@dataclass(frozen=True, slots=True)
class QuestionAsked(Event):
    kind: ClassVar[str] = "question_asked"
    question: QuestionKind
    to: Audience
    climbs_at: datetime
    detail: str = ""
    about: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class QuestionChanged(Event):
    """What an open question is about is another set of places now; whom it has reached, and when it climbs, stay."""

    kind: ClassVar[str] = "question_changed"
    question: QuestionKind
    detail: str
    about: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class QuestionEnded(Event):
    kind: ClassVar[str] = "question_ended"
    question: QuestionKind
    answer: str
    about: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Told(Event):
    kind: ClassVar[str] = "told"
    message_id: str


@dataclass(frozen=True, slots=True)
class Undeliverable(Event):
    """``person``: whom it could not reach."""

    kind: ClassVar[str] = "undeliverable"
    message_id: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryMended(Event):
    """A person said that ``person`` can be reached again."""

    kind: ClassVar[str] = "delivery_mended"
    person: str


@dataclass(frozen=True, slots=True)
class RecordWasRefused(Event):
    """The store will not take what was recorded: something that a person must mend."""

    kind: ClassVar[str] = "record_was_refused"
    detail: str


@dataclass(frozen=True, slots=True)
class RecordWasTaken(Event):
    """The store has taken what it had refused: nobody need mend it any more."""

    kind: ClassVar[str] = "record_was_taken"


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
class RecordGap(Event):
    """What a lifecycle had made as events ``first`` to ``last`` is not in the store, which was put back, and cannot be
    made again; ``by`` signs for it.  Other events stand under these numbers from here on.

    ``fingerprints``: certificates of ours that only the lost events knew.  ``why``: what the store had said."""

    kind: ClassVar[str] = "record_gap"
    first: int
    last: int
    why: str
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RollAsked(Event):
    """``rules``: the rule set that the next run takes; empty: its own."""

    kind: ClassVar[str] = "roll_asked"
    rules: str = ""


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
