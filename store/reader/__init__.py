"""What everybody may read: pages of the read model, never a write.  One file per kind of thing."""

from store.reader.certificates import (
    COUNTED,
    CertificateQuery,
    count_certificates,
    get_certificate,
    list_certificates,
    lives_of,
    newest_events,
    open_case,
    seen_certificate,
    timeline,
    words_in_use,
)
from store.reader.discoveries import (
    adopted_in,
    get_discovery,
    hosts_seen,
    list_discoveries,
    list_findings,
    outcomes_of,
)
from store.reader.health import Health, health, inventory, rail_counts, watched
from store.reader.measures import by_tier_and_severity, ending_first, renewal_times
from store.reader.pages import Page
from store.reader.places import chain_seen, with_looks
from store.reader.situation import Situation, backlog_by_day, ends_by_day, situation
from store.reader.work import (
    deliveries_for,
    find_approval,
    get_approval,
    get_order,
    inbox,
    list_approvals,
    list_histories,
    list_orders,
    list_uploads,
)

__all__ = [
    "COUNTED",
    "CertificateQuery",
    "Health",
    "Page",
    "Situation",
    "adopted_in",
    "backlog_by_day",
    "by_tier_and_severity",
    "chain_seen",
    "count_certificates",
    "deliveries_for",
    "ending_first",
    "ends_by_day",
    "find_approval",
    "get_approval",
    "get_certificate",
    "get_discovery",
    "get_order",
    "health",
    "hosts_seen",
    "inbox",
    "inventory",
    "list_approvals",
    "list_certificates",
    "list_discoveries",
    "list_findings",
    "list_histories",
    "list_orders",
    "list_uploads",
    "lives_of",
    "newest_events",
    "open_case",
    "outcomes_of",
    "rail_counts",
    "renewal_times",
    "seen_certificate",
    "situation",
    "timeline",
    "watched",
    "with_looks",
    "words_in_use",
]
