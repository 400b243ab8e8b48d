"""What is answered over the wire, in the words of the design."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class Operation(BaseModel):
    """Work that was asked for.  ``resource``: where its outcome is read; operations have no other address.

    ``unknown``: not answered in time; ask again with the same Idempotency-Key, and the first answer is found.
    """

    id: str
    kind: str
    status: Literal["running", "done", "failed", "unknown"]
    resource: str
    workflow_id: str
    detail: str = ""
    seq: int | None = None


class CertificateItem(BaseModel):
    id: str
    names: list[str]
    tier: str
    tier_reason: str
    owner: str
    service: str
    subscribers: int
    issuer: str
    trust_class: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    generation: int
    state: str
    severity: str
    escalated: bool
    next_action: str
    next_action_at: datetime | None
    findings: Annotated[list[str], Field(description="kind: detail; of the newest looks and of its lifecycle.")]
    retired: bool
    updated_at: datetime
    workflow_id: str


class EndpointItem(BaseModel):
    """``matches``: what was seen there is the present generation; null: nothing was seen.  ``misses``: looks in a row
    at which nothing was seen, the last of them with ``last_outcome``."""

    url: str
    algorithm: str
    last_seen_fingerprint: str = ""
    last_seen_at: datetime | None = None
    matches: bool | None = None
    last_outcome: str = ""
    last_looked_at: datetime | None = None
    misses: int = 0
    is_taken: Annotated[bool, Field(description="Another certificate has this place now.")] = False


class CaseItem(BaseModel):
    number: int
    generation: int
    cause: str
    stage: str
    order_key: str
    opened_at: datetime
    failure: Annotated[str, Field(description="Why it waits, or why the last step failed.")]
    retry_at: datetime | None
    requested_by: str
    approved_by: str


class QuestionItem(BaseModel):
    """What only a person can say.  ``climbs_at``: when the next level hears of it, if nobody answers ``level``.

    ``about``: what exactly it asks about, as an answer repeats it."""

    kind: str
    asked_at: datetime
    climbs_at: datetime
    level: str
    detail: str = ""
    about: str = ""


class ChainItem(BaseModel):
    """One certificate of the chain as it was served, leaf first."""

    fingerprint: str
    subject: str = ""
    issuer: str = ""
    not_after: datetime | None = None


class CallItem(BaseModel):
    """A call that reached ``level`` and can be acknowledged: ``about`` is what an acknowledgement repeats."""

    level: str
    about: str
    last_at: datetime | None = None
    quiet_until: datetime | None = None


class ServedItem(BaseModel):
    """A certificate that the ladder runs on: whose it is, its own end, and the place where that end is served."""

    fingerprint: str
    whose: str
    not_before: datetime
    ends_at: datetime
    place: str = ""
    count: int = 0


class LifeItem(BaseModel):
    """One generation: ours from ``began_at`` until ``ended_at``, null for the present one."""

    generation: int
    fingerprint: str
    issuer: str
    not_before: datetime
    not_after: datetime
    began_at: datetime
    ended_at: datetime | None


class CertificateDetail(CertificateItem):
    """``lives``: every generation, newest first."""

    placed: bool
    endpoints: list[EndpointItem]
    case: CaseItem | None
    chain: list[ChainItem]
    questions: list[QuestionItem]
    calls: list[CallItem]
    served: list[ServedItem]
    blocked_by: Annotated[str, Field(description="Why nothing can be decided now; empty where it can.")]
    lives: list[LifeItem]
    orders: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    links: dict[str, str]


class CertificatePage(BaseModel):
    items: list[CertificateItem]
    next_cursor: str | None


class Timeline(BaseModel):
    """Events as they are stored; ``next_after``: give it back as ``after`` for the following ones."""

    items: list[dict[str, Any]]
    next_after: int | None


class BecauseItem(BaseModel):
    """One date with its sum.  ``fingerprint``, ``whose``, ``place``, ``ends_at``: the life whose end it is reckoned
    from, whose that is (present, issued, earlier, stranger), and the place at which its path ends first."""

    what: str
    at: datetime
    sum: str
    fingerprint: str = ""
    whose: str = "present"
    place: str = ""
    ends_at: datetime | None = None


class ExplanationItem(BaseModel):
    """``read_model_lags``: the lifecycle has counted more events than the list shows."""

    certificate_id: str
    because: list[BecauseItem]
    warnings: list[str]
    seq: int
    read_model_lags: bool


class RunItem(BaseModel):
    run_id: str
    generation: int
    events: int
    live: bool
    archived: bool
    sha256: str
    url: str


class DiscoveryItem(BaseModel):
    """``progress``: pages done and in all, certificates seen, while it runs."""

    id: str
    status: Literal["running", "done", "failed"]
    state: str
    source: str = ""
    scope: dict[str, Any] = {}
    pages: int = 0
    targets: int = 0
    looks: int | None = None
    report: dict[str, Any] | None = None
    detail: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: dict[str, int] | None = None
    workflow_id: str


class DiscoveryPage(BaseModel):
    items: list[DiscoveryItem]
    next_cursor: str | None


class FindingItem(BaseModel):
    kind: str
    severity: str
    url: str
    fingerprint: str
    detail: str


class FindingPage(BaseModel):
    items: list[FindingItem]
    next_cursor: str | None


class ApprovalItem(BaseModel):
    """``deadline``: when the next rung fires if nobody answers; ``version``: of the plan, also the ETag."""

    id: str
    certificate_id: str
    names: list[str]
    tier: str
    state: str
    generation: int
    case: int
    asked_at: datetime
    deadline: datetime
    escalated: bool
    plan: dict[str, Any]
    version: str
    decided_by: str
    decided_at: datetime | None


class CommentItem(BaseModel):
    by: str
    text: str
    at: datetime


class ApprovalDetail(ApprovalItem):
    comments: list[CommentItem]


class ApprovalPage(BaseModel):
    items: list[ApprovalItem]
    next_cursor: str | None


class CodeItem(BaseModel):
    """``paste``: the argument of the update ``update``, for the Temporal UI or `temporal workflow update execute`."""

    code: str
    expires_at: datetime
    workflow_id: str
    update: str
    paste: dict[str, Any]
    command: str


class OrderItem(BaseModel):
    order_key: str
    certificate_id: str
    state: str
    plan: dict[str, Any]
    approved_by: str
    csr_pem: str
    chain_pem: str
    fingerprint: str | None
    detail: str
    placed_at: datetime
    closed_at: datetime | None
