"""What every scanner keeps: one named outcome per ask, within its deadlines, whatever the other side does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.certificate import Algorithm, Endpoint, LookOutcome

Clock = Callable[[], datetime]
# Told after every answer, so that an activity can heartbeat.
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """One look to be made.  ``algorithm``: ask for that key only; None: take what is served first."""

    endpoint: Endpoint
    algorithm: Algorithm | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """How one ask ended.  ``chain``: DER as served, leaf first; empty unless the outcome is SEEN."""

    ask: Ask
    at: datetime
    outcome: LookOutcome
    chain: tuple[bytes, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines of one ask.  Two, not one: a slow network must not eat the time of the handshake."""

    connect_seconds: float = 3.0
    handshake_seconds: float = 6.0
    at_once: int = 100


class Scanner(Protocol):
    async def look(self, asks: Sequence[Ask], patience: Patience, progress: Progress) -> tuple[Sight, ...]:
        """One Sight per ask, in their order.  Never raises for what the other side does."""
        ...
