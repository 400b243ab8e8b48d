"""What a lifecycle can be told: messages, finished steps and due moments all come in through these."""

from dataclasses import dataclass
from typing import Literal

from domain.contracts import (
    CollectOrder,
    Consult,
    Deploy,
    DeployReport,
    LookAgain,
    LookReport,
    Observation,
    OrderOutcome,
    OrderPlaced,
    PlaceOrder,
    Recall,
    Revoked,
    RevokeOrder,
    RollBack,
)
from domain.lifecycle.refold import Recalled
from domain.people.messages import Warranted

Step = Recall | Consult | PlaceOrder | CollectOrder | Deploy | LookAgain | RollBack | RevokeOrder
Outcome = Recalled | Observation | OrderPlaced | OrderOutcome | DeployReport | LookReport | Revoked


@dataclass(frozen=True, slots=True)
class DueMoments:
    """The agenda's clock: whatever is due at ``now`` happens."""


@dataclass(frozen=True, slots=True)
class NoticeArrived:
    notice_id: str


@dataclass(frozen=True, slots=True)
class StepDone:
    step: Step
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StepBroke:
    """A step gave up.  ``permanent``: the same call can never succeed."""

    step: Step
    detail: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Reserve:
    """A warranted message was accepted; its warrant is being redeemed."""

    message: Warranted


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The warrant held: ``actor`` may do it.

    ``person`` stands behind the actor, ``asker`` behind whoever asked for the case.
    """

    message: Warranted
    actor: str
    person: str = ""
    asker: str = ""


@dataclass(frozen=True, slots=True)
class NotRedeemed:
    message: Warranted
    reason: str
    actor: str = ""


@dataclass(frozen=True, slots=True)
class MessageSent:
    message_id: str


@dataclass(frozen=True, slots=True)
class DeliveryReported:
    """``person``: whom the message could not reach."""

    message_id: str
    state: Literal["delivered", "undeliverable"]
    person: str = ""


@dataclass(frozen=True, slots=True)
class RecordForked:
    head: int


@dataclass(frozen=True, slots=True)
class RecordRefused:
    """The store will never take a batch as it is: something that a person must mend."""

    detail: str


@dataclass(frozen=True, slots=True)
class RecordTaken:
    """The store has taken a batch, also one that it had refused before."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Continue as new at the next idle moment, under the rule set ``rules``; empty: under its own."""

    rules: str = ""


@dataclass(frozen=True, slots=True)
class TakeRules:
    """The first thing a run is told: under which rule set it leads its life.  No run changes it."""

    rules: str


Command = (
    DueMoments
    | NoticeArrived
    | StepDone
    | StepBroke
    | Reserve
    | Redeemed
    | NotRedeemed
    | MessageSent
    | DeliveryReported
    | RecordForked
    | RecordRefused
    | RecordTaken
    | Upgrade
    | TakeRules
)
