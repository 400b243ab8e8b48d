"""Certificates: the list, its filters as its address, and the same as CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.parts import Caller, CallerDep
from api.web import charts, text, words
from api.web.page_router import pages
from api.web.render import page, reader_of
from domain.errors import BadInput
from store import reader
from store.reader import CertificateQuery

router = pages()

PAGE = 50
Word = Annotated[str, Query(max_length=200)]
Flag = Literal["", "true"]
CHIPS = ("severity", "tier", "state", "owner", "service", "issuer", "finding")


@dataclass(frozen=True, slots=True)
class Filters:
    """What stands in the address; empty: any."""

    q: Word = ""
    severity: Word = ""
    tier: Word = ""
    state: Word = ""
    owner: Word = ""
    service: Word = ""
    issuer: Word = ""
    finding: Word = ""
    # "90" days, or one day or month as it is written: 2026-12-01, 2026-12.
    ends: Annotated[str, Query(max_length=10)] = ""
    placed: Literal["", "true", "false"] = ""
    attention: Flag = ""
    open: Flag = ""
    retired: Flag = ""
    sort: Word = "not_after"
    cursor: Annotated[str, Query(max_length=4000)] = ""

    def address(self, **changes: str) -> str:
        """The list with other filters; another filter begins at the first page."""
        given = {name: getattr(self, name) for name in self.__slots__ if name != "cursor"} | changes
        given = {name: value for name, value in given.items() if value and (name, value) != ("sort", "not_after")}
        return "/certificates" + (f"?{urlencode(given)}" if given else "")


FiltersDep = Annotated[Filters, Depends(Filters)]


def query_of(filters: Filters, now: datetime, zone: str) -> CertificateQuery:
    """Raises BadInput naming the filter."""
    begin, end = _ends(filters.ends, now, zone)
    return CertificateQuery(
        tier=filters.tier or None,
        state=filters.state or None,
        severity=filters.severity or None,
        owner=filters.owner or None,
        service=filters.service or None,
        issuer=filters.issuer or None,
        q=filters.q or None,
        ends_from=begin,
        expires_before=end,
        placed={"true": True, "false": False}.get(filters.placed),
        attention=filters.attention == "true",
        open=filters.open == "true",
        finding=filters.finding or None,
        retired=filters.retired == "true",
        sort=filters.sort,
        limit=PAGE,
        cursor=filters.cursor or None,
    )


def _ends(given: str, now: datetime, zone: str) -> tuple[datetime | None, datetime | None]:
    if not given:
        return None, None
    if given == "past":
        return None, now
    if given.isdecimal() and len(given) <= 4:
        return None, now + timedelta(days=int(given))
    try:
        first = date.fromisoformat(given if len(given) > 7 else f"{given}-01")
        last = first + timedelta(days=1) if len(given) > 7 else (first + timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise BadInput("ends", f"{given!r} is not a time", "Write 90, past, 2026-12 or 2026-12-01.") from error
    midnight = datetime.min.time()
    here = ZoneInfo(zone)
    return datetime.combine(first, midnight, here), datetime.combine(last, midnight, here)


def ends_words(given: str) -> str:
    """ "within 90 days", "in December 2026", "on 1 December 2026"."""
    if given.isdecimal() and len(given) <= 4:
        return f"within {text.count(int(given), 'day')}"
    if given == "past":
        return "before now"
    first = date.fromisoformat(given if len(given) > 7 else f"{given}-01")
    return f"on {first.day} {first:%B %Y}" if len(given) > 7 else f"in {first:%B %Y}"


VIEWS = (
    ("All", Filters()),
    ("Needs somebody", Filters(attention="true", sort="severity")),
    ("Ends within 90 days", Filters(ends="90")),
    ("Ended", Filters(ends="past")),
    ("Being renewed", Filters(open="true", sort="severity")),
    ("Unseen", Filters(state="unseen")),
    ("Unplaced", Filters(placed="false")),
    ("Retired", Filters(retired="true")),
)


# What a narrow page offers in place of the heads of the columns.
SORTS = (
    ("not_after", "ends soonest"),
    ("-not_after", "ends latest"),
    ("severity", "most severe"),
    ("-severity", "least severe"),
    ("name", "name, A to Z"),
    ("-name", "name, Z to A"),
    ("tier", "tier"),
    ("-tier", "tier, backwards"),
    ("service", "service, A to Z"),
    ("-service", "service, Z to A"),
    ("state", "where it stands"),
    ("-state", "where it stands, backwards"),
)


@router.get("/certificates")
def show_certificates(request: Request, caller: CallerDep, filters: FiltersDep) -> Response:
    """One page of the list; every filter and the sort stand in the address."""
    reading = reader_of(caller)
    now, zone = reading.times.now, caller.parts.timezone
    asked = query_of(filters, now, zone)
    listed = reader.list_certificates(caller.engine, asked)
    views = [(name, view, query_of(view, now, zone)) for name, view in VIEWS]
    plain = replace(asked, cursor=None)
    counts = reader.count_certificates(caller.engine, [plain, *(query for _, _, query in views)])
    current = filters.address(sort="")
    here = {
        "title": _headline(filters, counts[0]),
        "headline": _headline(filters, counts[0]),
        "filters": filters,
        "ends_words": ends_words,
        "sorts": SORTS,
        "rows": [_row(row, reading) for row in listed.items],
        "count": counted(counts[0]),
        "next": _next(filters, listed.next_cursor),
        "views": [
            (name, view.address(), counted(count), view.address(sort="") == current)
            for (name, view, _), count in zip(views, counts[1:], strict=True)
        ],
        "chips": [(name, getattr(filters, name)) for name in CHIPS if getattr(filters, name)],
        "choices": reader.words_in_use(caller.engine),
        "csv": "/certificates.csv" + filters.address().removeprefix("/certificates"),
    }
    return page(request, caller, "certificates.html", here)


def _headline(filters: Filters, count: int) -> str:
    said, one = counted(count), count == 1
    if filters.q:
        return f"{said} match{'es' if one else ''} “{text.plain(filters.q)[:60]}”"
    if filters.attention:
        return f"{said} need{'s' if one else ''} somebody"
    if filters.ends == "past":
        return f"{said} {'has' if one else 'have'} ended"
    if filters.ends:
        return f"{said} end{'s' if one else ''} {ends_words(filters.ends)}"
    if filters.retired:
        return f"{said} {'is' if one else 'are'} retired"
    return f"{said} certificate{'' if one else 's'}"


def counted(count: int) -> str:
    return f"{count:,}" if count <= reader.COUNTED else f"{reader.COUNTED:,}+"


def _next(filters: Filters, cursor: str | None) -> str:
    return filters.address(cursor=cursor) if cursor else ""


def _row(row: dict[str, Any], reading: words.Reader) -> dict[str, Any]:
    drawn = charts.ruler(row["not_after"], reading.times.now)
    return {**row, "ruler": drawn, "stands": words.stands(row, reading)}


COLUMNS: tuple[str, ...] = ("id", "names", "tier", "tier_reason", "owner", "service", "subscribers", "issuer")
COLUMNS += (
    "trust_class",
    "not_before",
    "not_after",
    "state",
    "severity",
    "next_action",
    "next_action_at",
    "fingerprint",
)


@router.get("/certificates.csv")
async def download_certificates(caller: CallerDep, filters: FiltersDep) -> Response:
    """Exactly what the filters select, in their order; no cell is taken for a formula."""
    asked = replace(query_of(filters, caller.parts.clock(), caller.parts.timezone), cursor=None, limit=500)
    # Read before the first byte is sent, so that a wrong filter is still an error.
    first = await run_in_threadpool(reader.list_certificates, caller.engine, asked)
    stamp = f"{caller.parts.clock():%Y%m%dT%H%MZ}"
    headers = {"content-disposition": f'attachment; filename="everleaf-certificates-{stamp}.csv"'}
    return StreamingResponse(_lines(caller, asked, first), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(caller: Caller, asked: CertificateQuery, listed: reader.Page) -> Iterator[str]:
    yield _line(COLUMNS)
    while True:
        for row in listed.items:
            yield _line([_cell(row[name]) for name in COLUMNS])
        if listed.next_cursor is None:
            return
        listed = reader.list_certificates(caller.engine, replace(asked, cursor=listed.next_cursor))


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return text.cell(" ".join(value) if isinstance(value, list) else "" if value is None else value)


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
