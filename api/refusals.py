"""What a lifecycle's refusal means to the sender: the first word names its kind."""

from collections.abc import Mapping
from typing import Any

from domain.errors import BadInput, Conflict, EverleafError, NotAllowed, Stale

FIELDS = ("until", "code", "decision", "level", "about", "answer")


# What a lifecycle's validator calls its refusals; anything else that it raised is a fault of ours, not the sender's.
KINDS = frozenset({"stale", "decided", "busy", "retired", "burnt", "blocked", "invalid"})


def is_blocked(row: Mapping[str, Any]) -> bool:
    """Of a managed certificate: nothing that is asked about it can be decided until something else was answered."""
    return bool(row["blocked_by"])


class Busy(Conflict):
    """Somebody else's message is being checked, or the lifecycle is not awake yet: try again in a moment."""


def refusal_of(text: str) -> EverleafError:
    """Receipts of a refused warrant have no kind: what the store refused, this actor may not do."""
    kind, _, told = text.partition(": ")
    match kind:
        case "stale":
            return Stale(told)
        case "busy":
            return Busy(told)
        case "decided" | "burnt" | "retired" | "blocked":
            return Conflict(f"{kind}: {told}")
        case "invalid":
            first = told.split(" ", 1)[0]
            return BadInput(first if first in FIELDS else "request", told, "")
    return NotAllowed(text)
