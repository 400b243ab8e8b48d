"""What a lifecycle knows: everything that it needs to decide, and nothing that would be a secret."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import Message, Plan, Terms

RULES = 1


class Stage(StrEnum):
    """Where an open case stands.  Every one has a next moment and a rung (DESIGN rule 5; tested)."""

    AWAITING_APPROVAL = "awaiting-approval"
    REJECTED = "rejected"
    HELD = "held"
    ORDERING = "ordering"
    WAITING_FOR_CA = "waiting-for-ca"
    DEPLOYING = "deploying"
    UNREACHABLE_TARGET = "unreachable-target"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling-back"
    WAITING_FOR_PERSON = "waiting-for-person"
    UNROUTABLE = "unroutable"


CaseOutcome = Literal["verified", "superseded", "retired"]
QuestionKind = Literal[
    "tier", "owner", "unseen", "names-changed", "forked", "undeliverable", "drift", "foreign-certificate"
]

# forked: a reset by hand re-made events; ended: terminated or deleted in Temporal, and begun again by a notice.
RecallReason = Literal["forked", "ended"]


@dataclass(frozen=True, slots=True)
class SlotView:
    """What the last looks at one slot came to.  ``silent``: looks in a row that saw no certificate; ``ends_at``: E of
    the path that was served there last."""

    slot: Slot
    fingerprint: str = ""
    seen_at: datetime | None = None
    looked_at: datetime | None = None
    outcome: LookOutcome | None = None
    chain_ok: bool = True
    silent: int = 0
    silent_since: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One renewal.  ``approved_by`` is empty until somebody, or the policy, said yes to ``plan.version``.

    ``order_number`` counts orders of this case from 1; 0 before the first.  ``retry_at``: the next try of the step of
    this stage.  ``first_failed_at`` and ``failures`` measure the retry budget.  ``wrong_looks``: looks in a row at
    which something else than the new certificate was served.
    """

    number: int
    opened_at: datetime
    cause: str
    stage: Stage
    requested_by: str = ""
    plan: Plan | None = None
    asked_at: datetime | None = None
    approved_by: str = ""
    order_number: int = 0
    order_open: bool = False
    order_placed: bool = False
    issued: Life | None = None
    retry_at: datetime | None = None
    failures: int = 0
    first_failed_at: datetime | None = None
    failure: str = ""
    installed: tuple[Slot, ...] = ()
    verified: tuple[Slot, ...] = ()
    wrong: tuple[Slot, ...] = ()
    wrong_looks: int = 0
    silent_looks: int = 0
    rolled_back: bool = False
    budget_spent: bool = False


@dataclass(frozen=True, slots=True)
class Climb:
    """How far the ladder of this generation is.  ``rung``: the deepest that fired, -1 before the first."""

    rung: int = -1
    last_at: datetime | None = None
    acknowledged_rung: int = -1
    acknowledged_until: datetime | None = None
    owner_called_at: datetime | None = None
    owner_acknowledged_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only a person can say.  ``level``: whom it has reached; unanswered, it climbs."""

    kind: QuestionKind
    asked_at: datetime
    climbs_at: datetime
    level: Literal["owner", "security-head"] = "owner"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A decision on its way: until its warrant is redeemed, others hear *busy* (at most 60 s)."""

    code_sha256: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Suspect:
    """A foreign certificate that passed the checks of a renewal in ``looks`` looks at every live endpoint."""

    life: Life
    looks: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class OrderToRevoke:
    """An order whose certificate must not live on; ``collected``: its result is known."""

    order_key: str
    reason: Literal["superseded", "cessationOfOperation", "unusable"]
    collected: bool
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recalling:
    """The whole state is being read from the store.  ``by``: who asked; ``notice_id``: the notice that showed it."""

    by: str
    why: RecallReason
    notice_id: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LifecycleState:
    """``seq`` numbers events and never restarts; ``known_at`` is when the present E became known.

    ``terms`` and ``life`` are None until the first notice was read.  ``earlier``: fingerprints of our own earlier
    generations, newest last, at most 20.  ``burnt``: SHA-256 of codes in accepted messages, newest last, at most 200.
    """

    managed_id: str
    rules: int = RULES
    seq: int = 0
    generation: int = 1
    case_count: int = 0
    terms: Terms | None = None
    life: Life | None = None
    known_at: datetime | None = None
    slots: tuple[SlotView, ...] = ()
    case: Case | None = None
    climb: Climb = field(default_factory=Climb)
    questions: tuple[Question, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    suspect: Suspect | None = None
    # The newest certificate seen in our slots that may not succeed, and the earliest end of all that is served there.
    foreign: Life | None = None
    served_ends: datetime | None = None
    look_at: datetime | None = None
    # How often a look was scheduled since one was taken: more than once means that looking itself is broken.
    look_tries: int = 0
    reservation: Reservation | None = None
    to_revoke: tuple[OrderToRevoke, ...] = ()
    unread: tuple[str, ...] = ()
    consult_at: datetime | None = None
    read: tuple[str, ...] = ()
    untold: tuple[Message, ...] = ()
    earlier: tuple[str, ...] = ()
    burnt: tuple[str, ...] = ()
    last_case: Case | None = None
    last_generation: int = 0
    last_outcome: str = ""
    last_closed_at: datetime | None = None
    roll: bool = False
    retired: bool = False
    forked: bool = False
    recall: Recalling | None = None
    # It owns no place any more: ``slots`` are where it was last seen, and nothing is done or looked at there.
    placeless: bool = False

    @property
    def places(self) -> tuple[Slot, ...]:
        """The slots that are its own."""
        return () if self.placeless else tuple(view.slot for view in self.slots)

    @property
    def alarm_life(self) -> Life | None:
        """What the ladder runs on: our certificate, but ending when anything that is served in its slots ends."""
        if self.life is None or self.served_ends is None or self.served_ends >= self.life.ends_at:
            return self.life
        return replace(self.life, ends_at=self.served_ends)

    @property
    def blocked_by(self) -> str:
        """Why nothing is ordered, deployed or rolled back (DESIGN rule 10); empty when nothing is in the way."""
        if any(question.kind == "names-changed" for question in self.questions):
            return "its names have changed; the owner must say which hold"
        return "it has no place any more; the owner must say what has become of it" if self.placeless else ""

    @property
    def is_blocked(self) -> bool:
        return self.blocked_by != ""

    @property
    def is_over(self) -> bool:
        """Retired, and nothing left to collect, revoke or tell."""
        return self.retired and not self.to_revoke and not self.untold

    def finding(self, kind: str) -> str | None:
        return next((detail for name, detail in self.findings if name == kind), None)
