"""Our own CA: a root per trust class, an issuing CA per issuer and use, at most one certificate per order."""

from activities.issuers.private_ca.authority import authority_name, ensure_authorities, publish_roots
from activities.issuers.private_ca.issuer import PrivateCA
from activities.issuers.private_ca.revocation import renew_old_crls

__all__ = ["PrivateCA", "authority_name", "ensure_authorities", "publish_roots", "renew_old_crls"]
