"""Orders: a key and a request in the deploy worker, a certificate in the issue worker."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.issuers.base import CertificateAuthority, IssuerEndsFirst
from activities.keys.base import Custodian
from domain.certificate import Life
from domain.contracts import CollectOrder, OrderOutcome, OrderPlaced, PlaceOrder, Revoked, RevokeOrder
from domain.errors import CARefused, CAUnavailable, Conflict
from formats.roots import paths_below
from formats.x509 import life_of
from store.orders import Order, fail_order, find_order, issue_order, order_of, place_order

log = logging.getLogger(__name__)


def _no_failpoint(_: str) -> None: ...


class OrderActivities:
    """The deploy worker's half: it makes leaf keys, and they never leave it."""

    def __init__(
        self,
        engine: Engine,
        custodian: Custodian,
        clock: Callable[[], datetime],
        failpoint: Callable[[str], None] = _no_failpoint,
    ) -> None:
        self._engine = engine
        self._custodian = custodian
        self._clock = clock
        self._failpoint = failpoint

    @activity.defn
    def place_order(self, asked: PlaceOrder) -> OrderPlaced:
        """Make the order's key and request, once.  Raises Conflict where the key stands for another plan."""
        self._failpoint("order.begun")
        order = find_order(self._engine, asked.order_key)
        if order is None:
            ref, csr = self._custodian.make(asked.order_key, asked.plan)
            self._failpoint("order.key_made")
            wanted = Order(asked.order_key, asked.managed_id, asked.plan, asked.approved_by, ref.id, csr)
            order = place_order(self._engine, wanted, self._clock())
            self._failpoint("order.placed")
        if order.plan != asked.plan:
            raise Conflict(f"Order {asked.order_key} was placed for another plan; a new plan needs a new order.")
        return OrderPlaced(order.order_key, order.key_id, sha256(order.csr).hexdigest())


class IssuanceActivities:
    """The issue worker's half: it asks CAs.

    ``issuers``: by the policy's word for their kind; ``roots``: of the policy in force, in PEM.
    """

    def __init__(
        self,
        engine: Engine,
        issuers: Mapping[str, CertificateAuthority],
        clock: Callable[[], datetime],
        roots: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._engine = engine
        self._issuers = issuers
        self._clock = clock
        self._roots = roots

    @activity.defn
    def collect_order(self, asked: CollectOrder) -> OrderOutcome:
        """Ask the order's CA, or give what it answered before.  Raises CAUnavailable (try again)."""
        order = order_of(self._engine, asked.order_key)
        if order.state == "placed":
            order = self._asked(order)
        if order.state == "issued":
            return OrderOutcome(order.order_key, "issued", self._life(order))
        if order.state == "placed":
            return OrderOutcome(order.order_key, "pending")
        cause: Literal["", "issuer-ends-first"] = "issuer-ends-first" if order.cause == "issuer-ends-first" else ""
        return OrderOutcome(order.order_key, "failed", detail=order.detail, cause=cause)

    @activity.defn
    def revoke_order(self, asked: RevokeOrder) -> Revoked:
        """Make the order's certificate invalid; a second call changes nothing."""
        order = find_order(self._engine, asked.order_key)
        if order is None:
            return Revoked(asked.order_key, done=False, detail="there is no such order: there is nothing to revoke")
        detail = self._issuer(order).revoke(order, asked.reason)
        log.info("revoked", extra={"order": order.order_key, "done": not detail})
        return Revoked(order.order_key, done=not detail, detail=detail)

    def _life(self, order: Order) -> Life:
        """The result's life.  Its trust class is the plan's: issuers are checked against it before they are asked."""
        # Without a clock: a repetition gives the same, however late it comes.
        path = paths_below(self._roots()).ways(order.chain).at_any_time()
        return replace(life_of(order.chain[0], (), path), trust_class=order.plan.trust_class)

    def _issuer(self, order: Order) -> CertificateAuthority:
        issuer = self._issuers.get(order.plan.issuer_kind)
        if issuer is None:
            raise CAUnavailable(f"This worker has no issuer of the kind {order.plan.issuer_kind}; start one that has.")
        return issuer

    def _asked(self, order: Order) -> Order:
        try:
            chain = self._issuer(order).issue(order)
        except CARefused as refusal:
            log.warning("order refused", extra={"order": order.order_key})
            cause = "issuer-ends-first" if isinstance(refusal, IssuerEndsFirst) else ""
            return fail_order(self._engine, order.order_key, (str(refusal), cause), self._clock())
        if chain is None:
            return order
        issued = issue_order(self._engine, order.order_key, chain, self._clock())
        log.info("order issued", extra={"order": order.order_key, "certificate": issued.fingerprint})
        return issued
