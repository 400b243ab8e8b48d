"""What the whole says of itself: the policy, how well it goes, who is asking."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class PolicyItem(BaseModel):
    """``version``: ``sha256:`` and the hash of the file's bytes; durations in ``policy`` are ISO 8601, in days.

    ``problem``: why the file is refused while this one, the last that was good, holds; empty: it is that of the file.
    """

    version: str
    policy: dict[str, Any]
    problem: str = ""


class PolicyMistake(BaseModel):
    line: int
    field: str
    detail: str
    remedy: str


class PolicyValidation(BaseModel):
    """``errors``: at most 50, and those of the form first; those of the values show when the form is right."""

    valid: bool
    version: str
    errors: list[PolicyMistake]


class StatusItem(BaseModel):
    """``settled``: the first discovery is adopted and every due step has had its first outcome."""

    state: Literal["settled", "working", "degraded"]
    settled: bool
    managed: int
    due_without_outcome: int
    pending_approvals: int
    temporal: dict[str, bool]
    counts: dict[str, Any]


class MeItem(BaseModel):
    id: str
    name: str
    role: str
    may_decide: bool
    routes: list[str]


class DifferenceItem(BaseModel):
    """``kind``: begun-again, put-back, stuck, overdue, orphan, adrift or gap; ``told``: somebody has heard of it."""

    kind: str
    managed_id: str
    name: str
    detail: str
    told: bool


class ReconciliationItem(BaseModel):
    """``living`` certificates by the store, ``running`` lifecycles by Temporal; ``counts``: differences by kind, of
    which ``differences`` names the first.  ``held_since``: since when our CAs sign nothing, as the store was put back;
    null where they may.  ``applied`` false: nothing was changed.  ``asked_by``: who asked for it, empty where the
    Schedule did."""

    id: str
    status: Literal["running", "done", "failed"]
    detail: str = ""
    applied: bool | None = None
    living: int | None = None
    running: int | None = None
    counts: dict[str, int] = {}
    differences: list[DifferenceItem] = []
    held_since: datetime | None = None
    began_at: datetime | None = None
    noted_at: datetime | None = None
    asked_by: str = ""
    workflow_id: str
