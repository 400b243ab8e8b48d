"""The CAs that can be asked, by the policy's word for their kind."""

from collections.abc import Callable

from activities.issuers.base import CertificateAuthority, IssuerParts
from activities.issuers.manual import ManualIssuer
from activities.issuers.private_ca import PrivateCA

ISSUERS: dict[str, Callable[[IssuerParts], CertificateAuthority]] = {
    "private-ca": PrivateCA,
    "manual": ManualIssuer,
}

__all__ = ["ISSUERS", "CertificateAuthority", "IssuerParts"]
