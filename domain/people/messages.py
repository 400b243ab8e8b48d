"""The messages that people send a lifecycle: one dataclass per update, each with its warrant's code."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from domain.tiers import Audience


@dataclass(frozen=True, slots=True)
class Decide:
    """Answer the question of one case.  Bound to the case, its generation and the version of the plan that was seen.

    ``command_id`` makes a repetition the same decision.  ``comment_id`` names a comment in the store.  ``seen``: the
    stage that the decider saw, so that of two at once a rejection is not overruled unread; empty: not said.
    ``until``: how long a hold holds; None: as late as is safe.
    """

    code: str
    decision: Literal["approve", "reject", "hold"]
    case: int
    generation: int
    plan_version: str
    command_id: str = ""
    comment_id: str = ""
    seen: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Stop repeats of the current rung to one level until a date; never a later rung, never another level.

    ``about``: which call, "<first 16 digits of the certificate's fingerprint>/<mark of the rung>".
    """

    code: str
    level: Audience
    until: datetime
    command_id: str = ""
    about: str = ""


Answerable = Literal[
    "unseen",
    "taken",
    "moved-to",
    "repair",
    "different",
    "foreign-certificate",
    "drift",
    "revocation",
    "forked",
    "undeliverable",
]
# What each question may be answered with; tier and owner are answered by a rule in the policy.
ANSWERS: dict[str, tuple[str, ...]] = {
    "unseen": ("retired", "moved", "broken"),
    "taken": ("retired", "moved"),
    "moved-to": ("nowhere",),
    "repair": ("repaired", "retired"),
    "different": ("take", "keep"),
    "foreign-certificate": ("known",),
    "drift": ("known",),
    "revocation": ("revoked",),
    "forked": ("gap", "resume"),
    "undeliverable": ("mended",),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer one of our questions, with one of ``ANSWERS``.

    unseen, taken: what became of those places; moved-to: ``nowhere``, or bring the new place into the scope; repair:
    look again now, or they are gone; different: ``take`` exactly that certificate with exactly those differences, or
    ``keep`` ours; foreign-certificate and drift: it is ``known``; revocation: a person ``revoked`` it; forked: what
    the store lacks is a ``gap`` for ever, which whoever answers signs for, or ``resume``.
    ``about``: what the question is about, as it stands beside it; about anything else an answer is stale.
    """

    code: str
    question: Literal["tier", "owner", Answerable]
    answer: str
    command_id: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class RenewNow:
    code: str
    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Try the waiting step again now; after a fork: take the state that the store holds, and go on from it."""

    code: str
    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Supply:
    """A certificate was uploaded for the open order of a manual issuer; its id lies in the store."""

    code: str
    upload_id: str
    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Retire:
    code: str
    reason: Literal["decommissioned", "replaced", "moved", "mistake"]
    command_id: str = ""


Warranted = Decide | Acknowledge | Answer | RenewNow | Resume | Supply | Retire


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender hears.  ``seq``: the lifecycle's event count after it."""

    outcome: Literal["accepted", "refused"]
    detail: str
    seq: int
    actor: str = ""


def code_hash(code: str) -> str:
    """How a state remembers a code: SHA-256, hex; blanks and case of a pasted code do not matter."""
    return sha256(clean_code(code).encode()).hexdigest()


def clean_code(code: str) -> str:
    return "".join(code.split()).lower()
