"""What commands show to people: tables and a few lines.  Names of others' making are escaped."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.api_client import Api, segment
from cli.doctor import Finding
from cli.options import Output
from domain.errors import NotFound, NotReady
from domain.reconciling import Kind

LARGEST_PAGE = 500
POLL_SECONDS = 1.0
# What was done about a difference, and what would be done.
DONE: Mapping[Kind, tuple[str, str]] = {
    "begun-again": ("begun again from the store", "it would be begun again from the store"),
    "put-back": ("begun again from the store", "it would be begun again from the store"),
    "stuck": ("left as it is, and told", "left as it is"),
    "overdue": ("left as it is, and told if it stays so", "left as it is"),
    "orphan": ("left as it is, and told", "left as it is"),
    "adrift": ("left as it is, and told if it stays so", "left as it is"),
    "forgotten": (
        "told: our CAs sign nothing until everleaf reconcile --apply",
        "our CAs would sign nothing until everleaf reconcile --apply",
    ),
    "gap": ("told: what is missing cannot be made again", "what is missing cannot be made again"),
}
COLOURS = {"critical": "red", "major": "red", "minor": "yellow", "warning": "cyan", "cleared": "green"}


def first_items(api: Api, filters: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """At most ``limit`` certificates, and whether there are more."""
    items: list[dict[str, Any]] = []
    for item in api.pages("/v1/certificates", **filters, limit=min(limit, LARGEST_PAGE)):
        if len(items) == limit:
            return items, True
        items.append(item)
    return items, False


def whole_timeline(api: Api, here: str) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    after: int | None = -1
    while after is not None:
        page = api.get(f"{here}/timeline", after=after, limit=LARGEST_PAGE)
        events += page["items"]
        after = page["next_after"]
    return {"items": events}


def approval_of(api: Api, given: str) -> dict[str, Any]:
    """The approval ``given``, or the pending one of the certificate ``given``.  Raises NotFound."""
    try:
        return api.get(f"/v1/approvals/{segment(given)}")
    except NotFound:
        for item in api.pages("/v1/approvals", state="pending", limit=LARGEST_PAGE):
            if item["certificate_id"] == given:
                return item
        raise


def watch_reconciliation(api: Api, resource: str, timeout_seconds: float) -> dict[str, Any]:
    """The comparison once it has ended.  Raises NotReady when the time is up, and where it failed."""
    deadline = time.monotonic() + timeout_seconds
    while (found := api.get(resource))["status"] == "running":
        if time.monotonic() > deadline:
            raise NotReady(f"the comparison has not ended after {timeout_seconds:g} s; watch it at {resource}")
        time.sleep(POLL_SECONDS)
    if found["status"] == "failed":
        raise NotReady(f"the comparison failed: {found['detail']}")
    return found


def reconciliation(found: dict[str, Any], console: Console) -> None:
    """Every difference in words, and what became of it."""
    console.print(
        f"{found['living']:,} certificates live, {found['running']:,} lifecycles run.", highlight=False, soft_wrap=True
    )
    for one in found["differences"]:
        done = DONE[one["kind"]][0 if found["applied"] else 1]
        named = f"{one['name']} ({one['managed_id']})" if one["name"] else one["managed_id"]
        console.print(f"{escape(named)}: {escape(one['detail'])}; {done}", highlight=False, soft_wrap=True)
    left = sum(found["counts"].values()) - len(found["differences"])
    if left:
        console.print(f"and {left:,} more", highlight=False)
    if not found["counts"]:
        console.print("Nothing differs.", highlight=False)
    if found["held_since"]:
        console.print(
            f"The store was put back; our CAs sign nothing since {_moment(found['held_since'])}. "
            "Read what differs, then: everleaf reconcile --apply",
            highlight=False,
            soft_wrap=True,
        )


def watch_discovery(api: Api, resource: str, timeout_seconds: float, console: Console) -> dict[str, Any]:
    """The discovery once it has ended.  Raises NotReady when the time is up."""
    deadline = time.monotonic() + timeout_seconds
    said = ""
    while True:
        found = api.get(resource)
        if found["status"] != "running":
            return found
        done = found["progress"] or {}
        told = f"{done.get('done', 0)} of {done.get('pages', 0)} pages, {done.get('seen', 0)} certificates seen"
        if told != said and console.is_terminal:
            console.print(told, highlight=False)
        said = told
        if time.monotonic() > deadline:
            raise NotReady(f"the discovery has not ended after {timeout_seconds:g} s; watch it at {resource}")
        time.sleep(POLL_SECONDS)


def certificates(items: list[dict[str, Any]], more: bool, console: Console) -> None:
    table = Table(box=None, padding=(0, 2))
    # The id first and never broken: it is what the other commands are given.
    table.add_column("id", no_wrap=True, overflow="ignore")
    for column in ("names", "tier", "state", "severity", "ends", "next"):
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(
            escape(item["id"]),
            escape(_names(item["names"])),
            item["tier"],
            item["state"],
            _severity(item["severity"]),
            _moment(item["not_after"]),
            escape(_next(item)),
        )
    console.print(table)
    if more:
        console.print("There are more: --limit, or narrow the filters.")


def certificate(found: dict[str, Any], console: Console) -> None:
    _pairs(
        console,
        [
            ("Names", ", ".join(found["names"])),
            ("Tier", f"{found['tier']} ({found['tier_reason']})"),
            ("Owner", found["owner"] or "nobody"),
            ("Service", f"{found['service'] or 'unknown'}, {found['subscribers']} subscribers"),
            ("State", f"{found['state']}, {found['severity']}, generation {found['generation']}"),
            ("Ends", _moment(found["not_after"])),
            ("Next", _next(found)),
            ("Issuer", f"{found['issuer']} ({found['trust_class']})"),
            *_why_it_waits(found),
            ("Findings", "; ".join(found["findings"])),
            ("Workflow", found["workflow_id"]),
        ],
    )
    table = Table(box=None, padding=(0, 2))
    for column in ("endpoint", "key", "seen", "fingerprint", "matches"):
        table.add_column(column, overflow="fold")
    for place in found["endpoints"]:
        matches = {True: "yes", False: "no", None: "-"}[place["matches"]]
        seen = _moment(place["last_seen_at"])
        table.add_row(escape(place["url"]), place["algorithm"], seen, place["last_seen_fingerprint"][:16], matches)
    console.print(table)


def _why_it_waits(found: dict[str, Any]) -> list[tuple[str, str]]:
    failure = (found["case"] or {}).get("failure", "")
    return [("Waits for", failure)] if failure else []


def explanation(found: dict[str, Any], console: Console) -> None:
    table = Table(box=None, padding=(0, 2))
    for column in ("when", "what", "because"):
        table.add_column(column, overflow="fold")
    for line in found["because"]:
        table.add_row(_moment(line["at"]), escape(line["what"]), escape(line["sum"]))
    console.print(table)
    for warning in found["warnings"]:
        console.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    if found["read_model_lags"]:
        console.print("The list lags behind this lifecycle.", style="yellow")


def timeline(events: list[dict[str, Any]], console: Console) -> None:
    table = Table(box=None, padding=(0, 2))
    for column in ("seq", "at", "what", "by", "cause"):
        table.add_column(column, overflow="fold")
    for event in events:
        row = (event.get(key, "") for key in ("seq", "at", "kind", "by", "cause"))
        table.add_row(*(escape(str(value)) for value in row))
    console.print(table)


def discovery(found: dict[str, Any], console: Console) -> None:
    report = found.get("report") or {}
    told = ", ".join(f"{count} {what}" for what, count in report.items() if isinstance(count, int))
    lines = [("Discovery", found["id"]), ("Status", found["status"]), ("Found", told), ("Detail", found["detail"])]
    _pairs(console, [*lines, ("Workflow", found["workflow_id"])])


def decision(asked: dict[str, Any], done: dict[str, Any], word: str, console: Console) -> None:
    if done["status"] == "unknown":
        console.print(done["detail"], style="yellow", markup=False, highlight=False, soft_wrap=True)
        return
    plan = asked["plan"]
    told = f"{word}: {_names(asked['names'])} by {plan['issuer']}, profile {plan['profile']}. {done['detail']}"
    console.print(told, markup=False, highlight=False, soft_wrap=True)


def answer(done: dict[str, Any], told: str, console: Console) -> None:
    style = "yellow" if done["status"] == "unknown" else None
    console.print(f"{told}. {done['detail']}", style=style, markup=False, highlight=False, soft_wrap=True)


def _pairs(console: Console, rows: list[tuple[str, str]]) -> None:
    for name, value in rows:
        if value:
            console.print(f"{name:10} {value}", markup=False, highlight=False, soft_wrap=True)


def _names(names: list[str]) -> str:
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "") if names else "-"


def _moment(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else "-"


def _next(item: dict[str, Any]) -> str:
    return f"{item['next_action']}, {_moment(item['next_action_at'])}" if item["next_action"] else "-"


def _severity(word: str) -> str:
    return f"[{COLOURS.get(word, 'white')}]{escape(word)}[/]"


def changes(found: list[dict[str, Any]], console: Console) -> None:
    """What an upgrade would change, one line for each lifecycle."""
    if not found:
        console.print("Every lifecycle goes by the newest rules.", highlight=False)
        return
    table = Table("certificate", "rules", "becomes", "how", "now")
    for change in found:
        row = (change["managed_id"], change["rules"], change["to"], change["how"], "busy" if change["busy"] else "idle")
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def findings(found: Sequence[tuple[str, Finding]], output: Output, console: Console) -> None:
    """What a doctor says, with a remedy beside what is not good."""
    if output is Output.JSON:
        print(json.dumps([{"name": name, **asdict(finding)} for name, finding in found], indent=2))
        return
    marks = {"good": "[green]✓[/]", "warned": "[yellow]![/]", "bad": "[red]✗[/]", "skipped": "[dim]-[/]"}
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(overflow="fold")
    for name, finding in found:
        remedy = finding.remedy if finding.outcome in ("warned", "bad") else ""
        table.add_row(marks[finding.outcome], name, escape(finding.detail), escape(remedy))
    console.print(table)
