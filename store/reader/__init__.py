"""What everybody may read: pages of the read model, never a write.  One file per kind of thing."""

from store.reader.certificates import CertificateQuery, get_certificate, list_certificates, open_case, timeline
from store.reader.discoveries import get_discovery, list_discoveries, list_findings
from store.reader.health import Health, health
from store.reader.pages import Page
from store.reader.work import (
    deliveries_for,
    find_approval,
    get_approval,
    get_order,
    list_approvals,
    list_histories,
    list_orders,
    list_uploads,
)

__all__ = [
    "CertificateQuery",
    "Health",
    "Page",
    "deliveries_for",
    "find_approval",
    "get_approval",
    "get_certificate",
    "get_discovery",
    "get_order",
    "health",
    "list_approvals",
    "list_certificates",
    "list_discoveries",
    "list_findings",
    "list_histories",
    "list_orders",
    "list_uploads",
    "open_case",
    "timeline",
]
