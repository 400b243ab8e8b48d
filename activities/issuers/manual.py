"""A CA that only people can reach: the request goes out, a certificate is brought in and judged."""

from activities.issuers.base import IssuerParts
from domain.errors import BadInput, CARefused
from formats.upload import Judge, wrong_with
from formats.x509 import parse_certificate
from store.access import uploads_for
from store.orders import Order


class ManualIssuer:
    """Implements CertificateAuthority: pending until something is brought."""

    def __init__(self, parts: IssuerParts) -> None:
        self._parts = parts

    def issue(self, order: Order) -> tuple[bytes, ...] | None:
        brought = uploads_for(self._parts.engine, order.order_key)
        if not brought:
            return None
        return self._judged(order, brought[0].chain)

    def revoke(self, order: Order, reason: str) -> str:
        return f"{order.plan.issuer} is reached by people alone: ask it to revoke {order.fingerprint[:16]} ({reason})"

    def _judged(self, order: Order, brought: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """What was brought without its root.  Raises CARefused naming everything that is wrong with it."""
        if not brought:
            raise CARefused(f"Nothing was brought for order {order.order_key}: bring the chain, leaf first.")
        try:
            judge = Judge(self._parts.terms(), self._parts.roots(), self._parts.clock())
            wrong = wrong_with(brought, (order.csr, order.plan), judge)
        except BadInput as error:
            raise CARefused(f"What was brought for order {order.order_key} cannot be read: {error}") from error
        if wrong:
            raise CARefused(f"What was brought for order {order.order_key} is refused: {'; '.join(wrong)}")
        return (brought[0], *(der for der in brought[1:] if not parse_certificate(der).is_self_signed))
