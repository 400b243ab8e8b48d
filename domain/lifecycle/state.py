"""What a lifecycle knows: everything that it needs to decide, and nothing that would be a secret.

Longer than 300 lines because the whole of it is read together.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import Message, Plan, RevocationReason, Terms
from domain.lifecycle.rules import RuleSet, rule_set
from domain.people.messages import Answerable
from domain.tiers import Audience


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
# "names-changed" is of 0.1.0: today it is a "different" one.
QuestionKind = Literal["tier", "owner", Answerable, "names-changed"]
Verdict = Literal["known", "keep", "take"]

# forked: a reset by hand re-made events; ended: terminated or deleted in Temporal, and begun again by a notice.
RecallReason = Literal["forked", "ended", "gap"]


@dataclass(frozen=True, slots=True)
class SeenLife:
    """One certificate as it was seen at one place, and not yet out-seen there.

    ``ends_at``: E of the path as it is served there; None in looks of releases that did not say.  ``flaw``: why that
    path is bad, empty where it is good.  ``since`` and ``last``: the first and the last look of a row that saw it,
    ``looks`` of them; ``good`` of these in a row, from ``good_since`` on, saw it begun, not ended and with a good path.
    ``connections``: how many of the last look saw it, of ``of`` in all.
    """

    fingerprint: str
    ends_at: datetime | None
    since: datetime
    last: datetime
    not_before: datetime | None = None
    flaw: str = ""
    rooted: bool = False
    looks: int = 1
    good: int = 0
    good_since: datetime | None = None
    connections: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """One slot, with every life seen there and not yet out-seen: one, or two while half a pool is renewed.

    ``silent``: looks in a row that saw no certificate, since ``silent_since``; ``lives`` are what was seen before it.
    ``put_at``: when the certificate of the open order was installed here; ``answered``: whether anything was served at
    the last look before an install of this case.  ``wrong``: looks in a row since then that saw something else.
    ``is_taken``: another managed certificate has this slot now; what was ours there counts until a person answers.
    ``to_repair``: a person said that it is broken and will be repaired; ``due_since``: when a person said that it was
    repaired, and no look of after that has come.  ``known_drift``: earlier certificates of ours that a person said are
    known to be served here.  ``found``: the kinds of findings that the newest discovery has of it, and ``found_of``: of
    which certificates; a look that sees others ends them.
    """

    slot: Slot
    lives: tuple[SeenLife, ...] = ()
    looked_at: datetime | None = None
    outcome: LookOutcome | None = None
    silent: int = 0
    silent_since: datetime | None = None
    put_at: datetime | None = None
    answered: bool = False
    wrong: int = 0
    is_taken: bool = False
    to_repair: bool = False
    due_since: datetime | None = None
    known_drift: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    found_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failing:
    """``step`` has come to nothing at ``place`` so often in a row; ``place`` empty where it is not of one."""

    step: str
    place: str
    failures: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One renewal.  ``approved_by`` is empty until somebody, or the policy, said yes to ``plan.version``.

    ``order_number`` counts orders of this case from 1; 0 before the first.  ``retry_at``: the next try of the step of
    this stage.  ``against``: E of the present certificate when the order was intended, which its gain is weighed
    against.  ``approval_ends_at``: when an approval that was not used is asked anew.  ``failures``: in a row, of
    ``failed_step`` at ``failed_place``, the last that failed; ``failing``: that, and each other that failed and was not
    seen to work since; ``first_failed_at``: since when something fails that still stands.
    ``owner_quiet_for``: which failure the owner acknowledged until ``owner_quiet_until``; another one calls anew.
    ``plan_changed_by``: everybody who changed a policy that changed its plan: the asker's eyes.
    """

    number: int
    opened_at: datetime
    cause: str
    stage: Stage
    requested_by: str = ""
    plan: Plan | None = None
    plan_changed_by: tuple[str, ...] = ()
    asked_at: datetime | None = None
    approved_by: str = ""
    approval_ends_at: datetime | None = None
    order_number: int = 0
    order_open: bool = False
    order_placed: bool = False
    against: datetime | None = None
    issued: Life | None = None
    retry_at: datetime | None = None
    failures: int = 0
    failed_step: str = ""
    failed_place: str = ""
    failing: tuple[Failing, ...] = ()
    first_failed_at: datetime | None = None
    failure: str = ""
    budget_spent: bool = False
    owner_called_at: datetime | None = None
    owner_quiet_until: datetime | None = None
    owner_quiet_for: str = ""
    # What is to be put back now, and what a look has seen wrong last.
    to_roll_back: tuple[Slot, ...] = ()
    rolled_back: bool = False
    not_served: str = ""
    # Why nothing can renew it, as its owner was told last, and when.
    unroutable_told: str = ""
    unroutable_told_at: datetime | None = None


def failures_of(case: Case, step: str, place: str) -> int:
    """How often ``step`` has failed at ``place`` in a row."""
    return next((one.failures for one in case.failing if (one.step, one.place) == (step, place)), 0)


@dataclass(frozen=True, slots=True)
class Climb:
    """How far one audience has been called for one life.

    ``lead_seconds``: of the deepest rung that fired, 0 for the end itself; ``ends_at``: the E that this call spoke of.
    ``quiet_lead_seconds``: of the rung that was acknowledged until ``quiet_until``.
    """

    fingerprint: str
    to: Audience
    lead_seconds: int
    ends_at: datetime
    last_at: datetime
    quiet_lead_seconds: int = -1
    quiet_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only a person can say.  ``level``: whom it has reached; unanswered, it climbs.

    ``about``: what exactly is asked about, as an answer must repeat it; ``subject``: what tells two open questions of
    one kind apart (a fingerprint, an order's key), empty where there is one at most.
    """

    kind: QuestionKind
    asked_at: datetime
    climbs_at: datetime
    level: Audience = "owner"
    detail: str = ""
    about: str = ""
    subject: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person said of one certificate that is not ours; ``differences``: those accepted with "take"."""

    fingerprint: str
    verdict: Verdict
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """A decision on its way: until its warrant is redeemed, others hear *busy* (at most 60 s)."""

    code_sha256: str
    until: datetime


@dataclass(frozen=True, slots=True)
class OrderToRevoke:
    """An order whose certificate must not live on; ``collected``: its result is known.

    ``owed``: why it could not be revoked; then a person must, and says so.
    """

    order_key: str
    reason: RevocationReason
    collected: bool
    retry_at: datetime | None = None
    fingerprint: str = ""
    since: datetime | None = None
    owed: str = ""


@dataclass(frozen=True, slots=True)
class Recalling:
    """The whole state is being read from the store.  ``by``: who asked; ``notice_id``: the notice that showed it."""

    by: str
    why: RecallReason
    notice_id: str = ""
    retry_at: datetime | None = None
    # What the store had said when somebody signed for a gap.
    refused: str = ""


@dataclass(frozen=True, slots=True)
class LifecycleState:
    """``seq`` numbers events and never restarts; ``rules`` names the rule set, empty before one was taken.

    ``terms`` and ``life`` are None until the first notice was read.  ``life`` is the certificate as it was adopted or
    issued; its E as it is served now is ``served.present``.  ``strangers``: the facts of every certificate at our
    places that is neither this one nor the issued one.  ``earlier``: fingerprints of our own earlier generations,
    newest last.  ``revoked``: fingerprints that were revoked, which count as ended since.  ``burnt``: SHA-256 of codes
    in accepted messages, newest last.
    """

    managed_id: str
    rules: str = ""
    rules_wanted: str = ""
    seq: int = 0
    generation: int = 1
    case_count: int = 0
    terms: Terms | None = None
    life: Life | None = None
    known_at: datetime | None = None
    places: tuple[Place, ...] = ()
    strangers: tuple[Life, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    # Places that a person said have moved, and that have not been seen elsewhere since.
    moved: tuple[str, ...] = ()
    # Everybody who changed a policy that changed the plan of this generation: the asker's eyes.
    plan_changed_by: tuple[str, ...] = ()
    # A look of a clock that is wrong: its place and the date that it bore.
    clock: tuple[str, datetime] | None = None
    case: Case | None = None
    climbs: tuple[Climb, ...] = ()
    questions: tuple[Question, ...] = ()
    # Looking itself is broken: not before this, and how often it was tried since a look was taken.
    look_not_before: datetime | None = None
    look_tries: int = 0
    reservation: Reservation | None = None
    to_revoke: tuple[OrderToRevoke, ...] = ()
    revoked: tuple[tuple[str, datetime], ...] = ()
    unread: tuple[str, ...] = ()
    consult_at: datetime | None = None
    read: tuple[str, ...] = ()
    untold: tuple[Message, ...] = ()
    # Whom a message could not reach, until a person says that it is mended.
    unreachable: tuple[str, ...] = ()
    # Why the store will not take what was recorded.
    record_refused: str = ""
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

    @property
    def led_by(self) -> RuleSet:
        """The rule set under which this life is led."""
        return rule_set(self.rules)

    @property
    def own_places(self) -> tuple[Place, ...]:
        """Where something of ours may be put, looked at and verified."""
        return tuple(place for place in self.places if not place.is_taken)

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(place.slot for place in self.own_places)

    @property
    def installed(self) -> tuple[Slot, ...]:
        """Where the certificate of the open order was put."""
        return tuple(place.slot for place in self.own_places if place.put_at is not None)

    @property
    def is_over(self) -> bool:
        """Retired, and nothing left to collect, revoke or tell."""
        return self.retired and not self.to_revoke and not self.untold
