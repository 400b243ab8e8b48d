"""A CA that only people can reach: the request goes out, a certificate is brought in and judged."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from activities.issuers.base import IssuerParts
from domain.certificate import Certificate
from domain.errors import BadInput, CARefused
from domain.profiles import brought_breaches
from formats.x509 import fingerprint_of, is_chain_whole, parse_certificate, trust_class_of
from store.access import uploads_for
from store.orders import Order


class ManualIssuer:
    """Implements Issuer: pending until something is brought."""

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
        try:
            parsed = [parse_certificate(der) for der in brought]
        except BadInput as error:
            raise CARefused(f"What was brought for order {order.order_key} cannot be read: {error}") from error
        if not parsed:
            raise CARefused(f"Nothing was brought for order {order.order_key}: bring the chain, leaf first.")
        leaf = parsed[0]
        request = x509.load_der_x509_csr(order.csr).public_key()
        key = fingerprint_of(request.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        trust_class = trust_class_of(brought[0], leaf, self._parts.terms())
        proof = (key, trust_class, is_chain_whole(brought), self._parts.clock())
        wrong = brought_breaches(leaf, order.plan, proof)
        if wrong:
            raise CARefused(f"What was brought for order {order.order_key} is refused: {'; '.join(wrong)}")
        return _without_root(brought, parsed)


def _without_root(chain: tuple[bytes, ...], parsed: list[Certificate]) -> tuple[bytes, ...]:
    above = zip(chain[1:], parsed[1:], strict=True)
    return (chain[0], *(der for der, facts in above if not facts.is_self_signed))
