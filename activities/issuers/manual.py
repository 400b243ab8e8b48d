"""A CA that only people can reach: the request goes out, a certificate is brought in and judged."""

import logging

from activities.issuers.base import IssuerParts
from domain.errors import BadInput
from formats.upload import Judge, judged
from store import reader
from store.access import uploads_for
from store.orders import Order, note_order

log = logging.getLogger(__name__)


class ManualIssuer:
    """Implements CertificateAuthority: pending until what answers the order is brought.

    The door judges before it keeps; what was kept is judged again here, where it counts, for the policy may have
    changed since.  What does not answer leaves the order open and is told beside it: it costs whoever brought it
    another trip, and never the certificate that their CA has made for this request.
    """

    def __init__(self, parts: IssuerParts) -> None:
        self._parts = parts

    def issue(self, order: Order) -> tuple[bytes, ...] | None:
        brought = uploads_for(self._parts.engine, order.order_key)
        if not brought:
            return None
        chain, wrong = self._judged(order, brought[0].chain)
        if not wrong:
            return chain
        log.warning("what was brought does not answer its order", extra={"order": order.order_key})
        note_order(self._parts.engine, order.order_key, f"What was brought is refused: {wrong}")
        return None

    def revoke(self, order: Order, reason: str) -> str:
        return f"{order.plan.issuer} is reached by people alone: ask it to revoke {order.fingerprint[:16]} ({reason})"

    def _judged(self, order: Order, brought: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], str]:
        """What would be served of ``brought``, and everything that is wrong with it, in words."""
        parts = self._parts
        present = reader.present_der(parts.engine, order.managed_id)
        try:
            judge = Judge(parts.terms(), parts.roots(), parts.clock(), present)
            found = judged(brought, (order.csr, order.plan), judge)
        except BadInput as error:
            return (), str(error)
        return found.chain, "; ".join(found.wrong)
