"""One input and one output per activity: what crosses between workflows and the world.

Only ids, fingerprints and times: no key, no address or name of a person, no list that grows without a bound.
Add fields with defaults; never remove one.
Longer than 300 lines because both sides of the boundary read it as one list.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from domain.certificate import Algorithm, Life, LookOutcome, Slot, TrustClass
from domain.tiers import Tier, TierPolicy

# --- discovery ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """What starts a ``Discovery``.  ``source``: who asked ("schedule", "first", "api/<actor>").

    All lists empty: all of the policy's scope.  Where one is given, that part is looked at and no other: ``paths``
    alone no network, ``cidrs`` no files, ``names`` alone the addresses where these are; ``ports`` narrow the network,
    and alone mean all of it.  Of a network, every name of the scope is asked for unless ``names`` are given.
    Anything outside the scope is refused before the first look.  ``discovery_id`` empty: the workflow's own id and run
    are taken.
    """

    discovery_id: str = ""
    source: str = "temporal"
    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoveryPlan:
    discovery_id: str
    pages: int
    targets: int


@dataclass(frozen=True, slots=True)
class ScanPage:
    discovery_id: str
    page: int


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one page came to; the looks themselves are in the store.  ``outcomes``: (LookOutcome value, count)."""

    page: int
    looks: int
    seen: int
    outcomes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoveryFailure:
    """``request``: with its id; ``detail``: the words of what ended it."""

    request: DiscoveryRequest
    detail: str


@dataclass(frozen=True, slots=True)
class DiscoveryEnded:
    discovery_id: str
    state: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class AdoptDiscovery:
    discovery_id: str


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """``new`` managed certificates, ``changed`` ones that were told, ``missed`` slots that used to answer."""

    discovery_id: str
    new: int = 0
    joined: int = 0
    changed: int = 0
    missed: int = 0
    notices: int = 0


# The most slots, and the most looks, of one Observation: a payload is bounded, and so is the state that it becomes.  A
# certificate with more places than this has the finding "too many places", and those beyond are not deployed.
MOST_PLACES = 5000
# Bytes of the facts of certificates that are not ours, in one Observation or LookReport: a hostile estate may show
# another one, with hundreds of names, at each of our places.  All of them are in the looks; those that most places show
# come with their facts, for only what all places show may succeed ours.
MOST_FACTS = 150_000


@dataclass(frozen=True, slots=True)
class TellLifecycles:
    """Send what a discovery has found for its lifecycles; ``discovery_id``: whose end it is, for whoever reads."""

    discovery_id: str


@dataclass(frozen=True, slots=True)
class LifecyclesTold:
    notices: int
    certificates: int


# --- what a lifecycle is told ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: bound into every decision by its ``version`` (SHA-256 over the other fields).

    ``targets``: the first of them by name; ``targets_sha256``: over what is done at all of them
    (``domain.terms.digest_of``), for a path or a command may be nobody's business; None in plans of before it was kept.
    ``loses``: usages that the present certificate has and the next one would not, as words; a person must approve that.
    """

    issuer: str
    issuer_kind: Literal["private-ca", "manual"]
    trust_class: TrustClass
    profile: str
    validity_seconds: int
    names: tuple[str, ...]
    algorithm: Algorithm
    key_bits: int
    targets: tuple[str, ...]
    usages: tuple[str, ...] = ("server",)
    version: str = ""
    targets_sha256: str | None = None
    loses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy says for one managed certificate; set at adoption and by ``change_policy``.

    ``placed``: False where no rule matched (rule 2: customer-facing lead times, and a question).
    ``head`` and ``owner_contact``: ids of people.  ``plan`` is None where there is no issuer of its trust class or no
    target; ``unroutable`` then says what is missing.  ``changed_by``: who changed the policy last, an actor's id, where
    the policy says it: one of the asker's eyes for a plan that this changed.
    """

    policy_version: str
    tier: Tier
    tier_reason: str
    table: TierPolicy
    owner: str
    service: str
    owner_contact: str
    head: str
    placed: bool = True
    subscribers: int = 0
    plan: Plan | None = None
    unroutable: str = ""
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class SlotLook:
    """What one look saw in one of our slots: several of one slot and instant, where its connections saw several leaves.

    ``chain_ok``: the path as it is served there is good; ``flaw`` says why it is not, in words of RFC 5280.
    ``rooted``: that path ends in a root that the policy names.  ``ends_at``: E of the path as it is served there;
    ``not_before``: of its leaf; both None where nothing is served.  ``connections``: how many saw this leaf.
    ``found``: the kinds of findings that discovery has there; None: a look that judges nothing.
    """

    slot: Slot
    at: datetime
    outcome: LookOutcome
    fingerprint: str = ""
    chain_ok: bool = True
    ends_at: datetime | None = None
    not_before: datetime | None = None
    flaw: str = ""
    rooted: bool = False
    connections: int = 1
    found: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a notice says, looked up by its id.

    ``adopted``: the first thing a lifecycle ever hears: its terms, its life, its slots.
    ``looked``: slots seen otherwise than before (another leaf, another end of its path, a chain that broke or was
    mended), with the life of every certificate seen there that is not the present one.
    ``terms``: the policy now says something else.  ``slots``: slots joined or moved away.  Of a slot that moved away
    the old owner gets the look too, with the life that is served there now: the place stays on its ladder until its
    owner answers.  At most ``MOST_PLACES`` slots, and as many looks.
    """

    notice_id: str
    kind: Literal["adopted", "looked", "terms", "slots"]
    at: datetime
    terms: Terms | None = None
    life: Life | None = None
    slots: tuple[Slot, ...] = ()
    looks: tuple[SlotLook, ...] = ()
    candidates: tuple[Life, ...] = ()


@dataclass(frozen=True, slots=True)
class Consult:
    managed_id: str
    notice_id: str


# --- ordering -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """``order_key``: managed certificate, generation, case, number.  ``actor``: who approved, or "policy"."""

    order_key: str
    managed_id: str
    plan: Plan
    approved_by: str = "policy"


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """The key is made and its CSR stored; ``key_id`` names the key in the custody of the deploy worker."""

    order_key: str
    key_id: str
    csr_sha256: str


@dataclass(frozen=True, slots=True)
class CollectOrder:
    order_key: str


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """``pending``: the CA has not answered yet (a manual issuer waits for an upload): ask again later.
    ``failed``: this order will never give a certificate; ``detail`` says why."""

    order_key: str
    state: Literal["issued", "pending", "failed"]
    life: Life | None = None
    detail: str = ""
    # "issuer-ends-first": no order to this issuer can gain enough; the plan is unroutable (DESIGN rule 1).
    cause: Literal["", "issuer-ends-first"] = ""


RevocationReason = Literal["superseded", "cessationOfOperation", "keyCompromise", "unusable"]


@dataclass(frozen=True, slots=True)
class RevokeOrder:
    order_key: str
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class Revoked:
    order_key: str
    done: bool
    detail: str = ""


# --- deploying and looking ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deploy:
    """Install the certificate of ``order_key`` at ``slots``, each through its own target."""

    managed_id: str
    order_key: str
    fingerprint: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class SlotReceipt:
    """``installed``: the target took it (not that it serves it).  ``unreachable``: try again.  ``refused``: a person
    must act."""

    slot: Slot
    outcome: Literal["installed", "unreachable", "refused"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeployReport:
    receipts: tuple[SlotReceipt, ...]


@dataclass(frozen=True, slots=True)
class RollBack:
    """Put back at ``slots`` what they served before ``fingerprint`` was deployed."""

    managed_id: str
    order_key: str
    fingerprint: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A fresh look from outside at ``slots``; says what is served, decides nothing."""

    managed_id: str
    slots: tuple[Slot, ...]
    expected: str = ""


@dataclass(frozen=True, slots=True)
class LookReport:
    looks: tuple[SlotLook, ...]
    candidates: tuple[Life, ...] = ()


# --- people ---------------------------------------------------------------------------------------------------------


# Add none: a Courier whose worker is of an older release would drop what it cannot read, and go on otherwise than the
# next worker, which can.
Topic = Literal["ask", "rung", "failed", "question", "unroutable", "closed"]
# The ``subject`` of a message about many certificates at once, of which ``managed_id`` is the first; its topic is
# "failed", which every release knows.
COMPARISON = "comparison"


@dataclass(frozen=True, slots=True)
class Message:
    """What one person must be told.  ``id`` makes a second send a no-op; ``level``: "owner" or "security-head".

    ``facts`` are ids, times and words of ours; the text is made where it is sent.  ``subject``: what tells two messages
    of one topic apart, a fingerprint or a question; of one subject only the newest waits to be sent.
    ``useful_until``: when the next rung is due; what waits until then has reached nobody.  None: of an older release.
    """

    id: str
    managed_id: str
    person: str
    level: Literal["owner", "security-head"]
    topic: Topic
    at: datetime
    ends_at: datetime | None = None
    facts: tuple[tuple[str, str], ...] = ()
    subject: str = ""
    useful_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    message_id: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """A Courier's batch for one person over one channel, at most 50 messages."""

    person: str
    channel: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """``undeliverable``: this address will never take it; counts as unanswered (rule 3)."""

    state: Literal["delivered", "undeliverable"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What a Courier gave up after all of its patience, and why."""

    batch: Deliver
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RedeemWarrant:
    """Spend a warrant.  ``command_id`` makes a repetition the same redemption."""

    code_sha256: str
    code: str
    command_id: str
    managed_id: str
    message: str
    case: int = 0
    generation: int = 0
    plan_version: str = ""
    # Who asked for the case or changed its plan: may not approve it (four eyes).
    requested_by: str = ""


@dataclass(frozen=True, slots=True)
class Redemption:
    """``actor``: "person/<id>" or "token/<id>".  Not ``allowed``: recorded as a security event, changes no case.

    ``person`` and ``asker``: who stands behind the actor, and behind whoever asked for the case: "person/<id>" also
    where a token of that person acted.
    """

    allowed: bool
    actor: str = ""
    role: str = ""
    reason: str = ""
    person: str = ""
    asker: str = ""


# --- recording ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event of one stream, as it is stored.  ``facts``: integers, strings, booleans, lists and maps; no floats."""

    seq: int
    kind: str
    at: datetime
    cause: str
    generation: int
    case: int
    by: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointRow:
    url: str
    algorithm: str
    last_seen_fingerprint: str = ""
    last_seen_at: datetime | None = None
    matches: bool | None = None
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class CaseRow:
    """The read model of one case.  ``stage`` is a state word of the lifecycle; ``outcome`` empty while open."""

    number: int
    opened_at: datetime
    cause: str
    stage: str
    order_key: str = ""
    closed_at: datetime | None = None
    outcome: str = ""
    generation: int = 0
    requested_by: str = ""
    approved_by: str = ""
    failure: str = ""
    retry_at: datetime | None = None
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """The read model of something that only a person can say; ``climbs_at``: when its next level hears of it.

    ``about``: what an answer must repeat.
    """

    kind: str
    asked_at: datetime
    climbs_at: datetime
    level: str
    detail: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call that reached ``level``; ``about``: what an acknowledgement must repeat."""

    level: str
    about: str
    last_at: datetime | None = None
    quiet_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LifeRow:
    """A certificate that the ladder runs on: whose it is, its own E, the place that E stands on, how many show it."""

    fingerprint: str
    whose: str
    not_before: datetime
    ends_at: datetime
    place: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """The read model of one question.  ``deadline``: when the next rung fires if nobody answers."""

    id: str
    case: int
    generation: int
    version: str
    plan: Plan
    asked_at: datetime
    deadline: datetime
    escalated: bool
    state: Literal["pending", "approved", "rejected", "closed"]
    decided_by: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The read model of one lifecycle after the batch; written in the transaction of its events."""

    managed_id: str
    generation: int
    state: str
    tier: str
    tier_reason: str
    owner: str
    service: str
    subscribers: int
    issuer: str
    trust_class: str
    names: tuple[str, ...]
    fingerprint: str
    not_before: datetime
    not_after: datetime
    severity: str
    next_action: str
    next_action_at: datetime | None
    escalated: bool
    endpoints: tuple[EndpointRow, ...] = ()
    findings: tuple[str, ...] = ()
    case: CaseRow | None = None
    # The case that closed last, with the generation that it ended; `approval` None: nothing is asked any more.
    closed_case: CaseRow | None = None
    approval: ApprovalRow | None = None
    retired: bool = False
    # When the present certificate became ours; False: no rule placed it; what people were last told and said.
    known_at: datetime | None = None
    placed: bool = True
    questions: tuple[QuestionRow, ...] = ()
    last_rung_at: datetime | None = None
    acknowledged_until: datetime | None = None
    calls: tuple[CallRow, ...] = ()
    # Every certificate that the ladder runs on, the present one first; why nothing can be decided now.
    served: tuple[LifeRow, ...] = ()
    blocked_by: str = ""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    managed_id: str
    run_id: str
    events: tuple[EventRecord, ...]
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """``forked``: the store already holds other events under these numbers (a reset re-made them); ``head`` is the
    store's last seq.  The lifecycle then waits for a person, and after that goes on as the store says."""

    outcome: Literal["recorded", "forked"]
    head: int


@dataclass(frozen=True, slots=True)
class Recall:
    """Read what was recorded of one lifecycle; ``domain.lifecycle.refold.Recalled`` is what it amounts to."""

    managed_id: str


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """Fetch the history of an ended run from Temporal and keep it."""

    workflow_id: str
    run_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class SweepRuns:
    """Archive ended runs of lifecycles that nobody archived: the last one, of a retirement, has no successor.

    And mark as failed the discoveries that ended in Temporal without saying so.
    """

    most: int = 200


@dataclass(frozen=True, slots=True)
class Swept:
    archived: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Archived:
    run_id: str
    events: int
    sha256: str
