"""Metrics in the text format of Prometheus, under the names that certificate boards know already.

``x509_cert_*`` and their labels are those of enix/x509-certificate-exporter; ``everleaf_*`` are ours.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from api.auth import Door
from api.parts import Caller, CallerDep
from domain.findings import Severity
from domain.tiers import Tier
from store import reader

router = APIRouter(tags=["system"], route_class=Door)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Three series each; beyond that one scrape is no longer read within its 10 s.
MOST_CERTIFICATES = 10_000
# A label is a word of a stranger: long enough for every name, too short to fill a monitor's memory.
LONGEST_LABEL = 200
COMMON_NAME = re.compile(r"(?:^|[,+])CN=((?:\\.|[^,+\\])*)")
ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Sample = tuple[Mapping[str, str], float]


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(caller: CallerDep) -> Response:
    """For Prometheus: certificates by tier and severity, what waits, and the ends of those that end first."""
    return Response("".join(_metrics(caller)), media_type=MEDIA_TYPE)


def _metrics(caller: Caller) -> Iterator[str]:
    now = caller.parts.clock()
    counted = reader.by_tier_and_severity(caller.engine)
    whole = [(tier.value, severity.value) for tier in Tier for severity in Severity]
    samples = [({"tier": tier, "severity": word}, counted.get((tier, word), 0)) for tier, word in whole]
    yield from metric("everleaf_certificates", "Living managed certificates.", samples)
    seen = reader.health(caller.engine, now)
    feed = caller.parts.feed
    for name, told, value in (
        ("everleaf_pending_approvals", "Renewals that wait for an approval.", seen.pending_approvals),
        ("everleaf_overdue", "Lifecycles whose next moment has passed.", seen.overdue),
        ("everleaf_event_streams", "Open event streams of this process.", feed.subscribers if feed else 0),
    ):
        yield from metric(name, told, [({}, value)])
    rows = reader.ending_first(caller.engine, MOST_CERTIFICATES)
    left_out = max(0, sum(counted.values()) - len(rows))
    told = f"Living certificates without x509_cert series: only the {MOST_CERTIFICATES} that end first have them."
    yield from metric("everleaf_x509_certificates_left_out", told, [({}, left_out)])
    named = [(labels(row), row) for row in rows]
    for name, told, of in (
        ("x509_cert_not_before", "When it begins, in seconds since 1970.", lambda row: row["not_before"].timestamp()),
        ("x509_cert_not_after", "When it ends, in seconds since 1970.", lambda row: row["not_after"].timestamp()),
        ("x509_cert_expired", "1 where it has ended.", lambda row: float(row["not_after"] <= now)),
    ):
        yield from metric(name, told, ((about, of(row)) for about, row in named))


def metric(name: str, told: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {told}\n# TYPE {name} gauge\n"
    for about, value in samples:
        said = ",".join(f'{label}="{text[:LONGEST_LABEL].translate(ESCAPES)}"' for label, text in about.items())
        yield f"{name}{{{said}}} {value:.0f}\n" if said else f"{name} {value:.0f}\n"


def labels(row: Mapping[str, Any]) -> dict[str, str]:
    """``filepath``: where it is stored, for one that lies in a file; ``endpoint``: the first place where it is used."""
    urls = [endpoint["url"] for endpoint in row["endpoints"]]
    files = [urlsplit(url).path for url in urls if url.startswith("file:")]
    return {
        "subject_CN": common_name(row["subject"]) or (row["names"] or [""])[0],
        "issuer_CN": common_name(row["issued_by"]) or row["issuer"],
        "serial_number": str(int(row["serial"], 16)) if row["serial"] else "",
        "filepath": files[0] if files else "",
        "endpoint": urls[0] if urls else "",
        "tier": row["tier"],
        "everleaf_id": row["id"],
    }


def common_name(distinguished: str | None) -> str:
    """The first CN of an RFC 4514 name, without its escapes."""
    found = COMMON_NAME.search(distinguished or "")
    return re.sub(r"\\(.)", r"\1", found[1]) if found else ""
