"""Our CA as an issuer: intend, seal, release; whatever crashes between, one certificate comes out of an order."""

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from activities.issuers.base import IssuerParts
from activities.issuers.private_ca import der
from activities.issuers.private_ca.authority import ROOTS, authority_name, open_key
from activities.issuers.private_ca.leaf import requested_key, to_be_signed
from activities.issuers.private_ca.revocation import renew_crl
from domain.contracts import Plan
from domain.errors import CARefused, CAUnavailable, NotFound
from domain.profiles import plan_breaches
from store import ca
from store.ca import Authority, Issued
from store.orders import Order
from store.reader.reconciliations import held_since


def seal(tbs: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign exactly ``tbs``; deterministic (RFC 6979), so a repetition gives the same bytes."""
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return der.certificate(tbs, signature)


class PrivateCA:
    """Implements CertificateAuthority."""

    def __init__(self, parts: IssuerParts) -> None:
        self._parts = parts

    def issue(self, order: Order) -> tuple[bytes, ...]:
        if order.plan.trust_class not in ROOTS:
            raise CARefused(
                f"{order.plan.issuer} is a CA: it signs nothing {order.plan.trust_class}; correct the policy."
            )
        self._require_a_whole_store()
        # A look at the policy makes the CAs of a new one: its first order comes sooner than the next minute.
        self._parts.terms()
        name = authority_name(order.plan.issuer, order.plan.usages)
        authority = ca.find_authority(self._parts.engine, name)
        if authority is None:
            raise CAUnavailable(f"The CA {name} is not made yet; the issue worker makes it with its policy.")
        intent = ca.find_issued(self._parts.engine, order.order_key) or self._intend(order, authority)
        if intent.csr_sha256 != sha256(order.csr).hexdigest():
            raise CARefused(f"Order {order.order_key} was placed with another request; a new key needs a new order.")
        self._parts.failpoint("issue.intended")
        if not intent.der:
            intent = self._sign(intent, authority)
            self._parts.failpoint("issue.committed")
        if not intent.der:
            raise CARefused(f"Order {order.order_key} was revoked ({intent.revocation_reason}) before it was signed.")
        return intent.der, authority.certificate

    def revoke(self, order: Order, reason: str) -> str:
        try:
            revoked = ca.revoke(self._parts.engine, order.order_key, reason, self._parts.clock())
        except NotFound:
            return "our CA never heard of this order: there is nothing to revoke"
        authority = ca.find_authority(self._parts.engine, revoked.ca)
        assert authority is not None
        # It is kept as revoked; but a list now would lack what was forgotten, and without one nobody refuses it.
        self._require_a_whole_store()
        renew_crl(self._parts.engine, authority, self._parts.kek, self._parts.clock())
        return ""

    def _intend(self, order: Order, authority: Authority) -> Issued:
        self._require_permitted(order.plan)
        parent = x509.load_der_x509_certificate(authority.certificate)
        key = requested_key(order.csr)
        serial, tbs = to_be_signed(order.plan, key, parent, self._parts.clock())
        intent = Issued(order.order_key, authority.name, f"{serial:x}", sha256(order.csr).hexdigest(), tbs)
        return ca.intend(self._parts.engine, intent, self._parts.clock())

    def _require_a_whole_store(self) -> None:
        """A store that was put back has forgotten what was signed since, maybe for this very order (DESIGN rule 6)."""
        since = held_since(self._parts.engine)
        if since is not None:
            raise CAUnavailable(
                f"The store was put back to an earlier time, which was seen at {since:%d %b %Y %H:%M} UTC: "
                "no certificate and no list is signed until somebody has read what differs and runs "
                "everleaf reconcile --apply."
            )

    def _require_permitted(self, plan: Plan) -> None:
        profile = next((one for one in self._parts.profiles() if one.name == plan.profile), None)
        if profile is None:
            raise CARefused(f"The policy in force has no profile {plan.profile}: nothing is signed under it.")
        wrong = plan_breaches(plan, profile)
        if wrong:
            raise CARefused(f"{plan.issuer} does not sign this: {'; '.join(wrong)}")

    def _sign(self, intent: Issued, authority: Authority) -> Issued:
        made = seal(intent.tbs, open_key(authority, self._parts.kek))
        certificate = x509.load_der_x509_certificate(made)
        if certificate.not_valid_after_utc <= self._parts.clock():
            raise CARefused(
                f"Order {intent.order_key} waited so long that its certificate would have ended; order anew."
            )
        # The last fence: what leaves is what was intended, and our CA's key really signed it.
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.certificate))
        if certificate.tbs_certificate_bytes != intent.tbs:
            raise CARefused(f"Order {intent.order_key}: the sealed bytes differ from the intent; nothing was released.")
        self._parts.failpoint("issue.signed")
        return ca.release(self._parts.engine, intent.order_key, made, self._parts.clock())
