"""Installs issued certificates at their targets, and puts back what stood there before."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.deployers.base import Bundle, Deployer
from activities.keys.base import Custodian
from domain.certificate import Life, Slot
from domain.contracts import Deploy, DeployReport, RollBack, SlotReceipt
from domain.errors import BadInput, Conflict, TargetRefused, TargetUnreachable
from domain.lifecycle.ladder import escalates_at
from domain.terms import Target
from formats.x509 import pem_of
from store.ca import find_issued
from store.orders import Order, PutReceipt, find_by_fingerprint, order_of, save_receipt
from store.sightings.adoptions import owners_of, terms_of

log = logging.getLogger(__name__)

Outcome = Literal["installed", "unreachable", "refused"]
# Per slot: the outcome, the fingerprint on the other side of the change, the detail.
Answers = list[tuple[Slot, tuple[Outcome, str, str]]]


@dataclass(frozen=True, slots=True)
class DeploymentParts:
    """``deployers``: by the policy's word for the kind of target; ``target_of``: the policy's target of a slot."""

    engine: Engine
    custodian: Custodian
    deployers: Mapping[str, Deployer]
    target_of: Callable[[Slot], Target | None]
    clock: Callable[[], datetime]


class DeploymentActivities:
    """Never says that a certificate is served: a look from outside does."""

    def __init__(self, parts: DeploymentParts) -> None:
        self._parts = parts

    @activity.defn
    def deploy(self, asked: Deploy) -> DeployReport:
        """Install the order's certificate at every slot; a repetition changes nothing that stands already.

        A target that fails keeps its old certificate and is told in its receipt; the others go on.
        """
        order = order_of(self._parts.engine, asked.order_key)
        if order.fingerprint != asked.fingerprint:
            raise Conflict(f"Order {asked.order_key} did not give the certificate {asked.fingerprint[:16]}.")
        key = self._parts.custodian.open_pem(order.key_id)
        bundle = Bundle(order.fingerprint, pem_of(order.chain), key)
        answers = self._everywhere(asked, lambda deployer, target: deployer.install(bundle, target))
        return self._kept(order, answers, "installed")

    @activity.defn
    def roll_back(self, asked: RollBack) -> DeployReport:
        """Put back what the slots served before; never what DESIGN rule 4 forbids."""
        order = order_of(self._parts.engine, asked.order_key)
        fingerprint = asked.fingerprint
        answers = self._everywhere(asked, lambda deployer, target: deployer.roll_back(fingerprint, target))
        return self._kept(order, answers, "rolled back")

    def _everywhere(self, asked: Deploy | RollBack, act: Callable[[Deployer, Target], str]) -> Answers:
        answers: Answers = []
        done: dict[tuple[str, str, str], tuple[Outcome, str, str]] = {}
        # As late as can be: a discovery may have moved a slot since the lifecycle asked (DESIGN rule 10).
        owners = owners_of(self._parts.engine, asked.slots)
        for slot in asked.slots:
            target, problem = self._target(slot)
            lost = _lost(slot, owners.get(slot, ""), asked.managed_id)
            if target is None or lost:
                problem = lost or problem
                answers.append((slot, ("refused", "", problem)))
                continue
            # Several slots served from the same files are one installation.
            place = (target.kind, target.chain, target.key)
            done[place] = done.get(place) or self._at(target, act)
            answers.append((slot, done[place]))
        return answers

    def _target(self, slot: Slot) -> tuple[Target | None, str]:
        """The slot's target, or why it has none."""
        try:
            target = self._parts.target_of(slot)
        except BadInput as problem:
            return None, str(problem)
        return target, f"no target of the policy matches {slot.url}"

    def _at(self, target: Target, act: Callable[[Deployer, Target], str]) -> tuple[Outcome, str, str]:
        """(outcome, the other fingerprint, detail) at one target."""
        deployer = self._parts.deployers.get(target.kind)
        if deployer is None:
            return "refused", "", f"{target.name}: this worker has no deployer of the kind {target.kind}"
        try:
            return "installed", act(deployer, target), ""
        except TargetUnreachable as problem:
            return "unreachable", "", str(problem)
        except TargetRefused as problem:
            return "refused", "", str(problem)

    def _kept(self, order: Order, answers: Answers, done: str) -> DeployReport:
        """Store what targets answered, a good answer under the word ``done``."""
        for slot, (outcome, other, detail) in answers:
            word = done if outcome == "installed" else outcome
            receipt = PutReceipt(order.order_key, slot, order.fingerprint, other, word, detail)
            save_receipt(self._parts.engine, receipt, self._parts.clock())
            log.info("target answered", extra={"order": order.order_key, "slot": slot.url, "outcome": word})
        return DeployReport(tuple(SlotReceipt(slot, outcome, detail) for slot, (outcome, _, detail) in answers))


def _lost(slot: Slot, owner: str, managed_id: str) -> str:
    """Why ``managed_id`` may write nothing at ``slot``; empty where it may."""
    if owner == managed_id:
        return ""
    whose = f"belongs to {owner} now" if owner else "is a place that was given up"
    return f"{slot.url} {whose}: nothing of {managed_id} is put there, nor put back"


def returnable(engine: Engine, clock: Callable[[], datetime]) -> Callable[[Life, str], str]:
    """What DeployerParts.may_return asks of the store and of the policy that it holds (DESIGN rule 4).

    Never back to a certificate of ours that was revoked, nor to one that is past its own escalation mark.
    """

    def reason(life: Life, instead_of: str) -> str:
        order = find_by_fingerprint(engine, life.fingerprint)
        issued = find_issued(engine, order.order_key) if order else None
        if issued and issued.revoked_at:
            return f"it was revoked ({issued.revocation_reason})"
        replacing = find_by_fingerprint(engine, instead_of)
        terms = terms_of(engine, replacing.managed_id) if replacing else None
        if terms is None or escalates_at(life, terms.table) > clock():
            return ""
        return f"it is past its escalation mark ({escalates_at(life, terms.table):%Y-%m-%d %H:%M} UTC)"

    return reason
