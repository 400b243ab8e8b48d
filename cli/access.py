"""The commands by which whoever holds the machine lets people and programs in, and out again."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.engine import Engine

from cli import first, running
from cli.display import Screen
from cli.home import Home, chosen
from cli.options import DataDir, Output, OutputOption
from domain.errors import NotFound, NotReady
from domain.tiers import Role

console = Screen()


def login_link(
    role: Annotated[Role, typer.Option("--role", help="As whom: the first person of that role in the policy.")],
    data_dir: DataDir = None,
) -> None:
    """Print one link that logs a browser in, once, within the hour. The way back in for an administrator."""
    home = chosen(data_dir)
    # The link alone, so that a script can hand it on.
    print(first.login_link(running.database_url(home), _pages_of(home), role))


def list_tokens(
    every: Annotated[bool, typer.Option("--all", help="The revoked and expired ones too.")] = False,
    output: OutputOption = Output.TABLE,
    data_dir: DataDir = None,
) -> None:
    """List the tokens that let somebody in; never the tokens themselves, the store does not know them."""
    from store import access

    with _store(chosen(data_dir)) as engine:
        rows = [{**row, "decides": _decides(dict(row))} for row in access.tokens_of(engine, every=every)]
    if output is Output.JSON:
        print(json.dumps(rows, indent=2, default=_text))
        return
    table = Table(box=None, padding=(0, 2))
    for column in ("id", "name", "role", "person", "decides", "made", "last used", "ends"):
        table.add_column(column, no_wrap=column == "id")
    decisions = {True: "yes", False: "", None: "no: it names no person"}
    for row in rows:
        ends = f"revoked {_day(row['revoked_at'])}" if row["revoked_at"] else _day(row["expires_at"]) or "never"
        used = _day(row["last_used_at"]) or "never"
        table.add_row(
            row["id"],
            escape(row["name"]),
            row["role"],
            escape(row["person"]),
            decisions[row["decides"]],
            _day(row["made_at"]),
            used,
            ends,
        )
    console.print(table)


def _decides(row: Mapping[str, Any]) -> bool | None:
    """None: its role does, and nobody stands behind it, as release 0.2.0 made them."""
    from store import access

    role = Role(row["role"])
    if access.decides(role, row["person"], row["may_decide"]):
        return True
    return None if role in access.DECIDING else False


def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `everleaf token list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """End a token at once; it cannot be undone."""
    from store import access

    with _store(chosen(data_dir)) as engine:
        ended = access.revoke_token(engine, token_id)
    if not ended:
        raise NotFound(f"there is no living token {token_id}; `everleaf token list` shows them.")
    console.print(f"Token {token_id} lets nobody in any more.", highlight=False, markup=False)


@contextmanager
def _store(home: Home) -> Iterator[Engine]:
    from store.engine import create_engine

    engine = create_engine(running.database_url(home))
    try:
        yield engine
    finally:
        engine.dispose()


def _pages_of(home: Home) -> str:
    """Where people reach the pages: what is set, else what runs in ``home``.  Raises NotReady."""
    running_at = home.read_run().get("urls", {}).get("api", "") if home.is_held() else ""
    base = os.environ.get("EVERLEAF_API_URL") or running_at
    if not base:
        raise NotReady(f"nothing runs in {home.path}. Start it with `everleaf up`, or set EVERLEAF_API_URL.")
    return str(base)


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _text(value: Any) -> str:
    """What JSON has no form for: instants alone."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def register(app: typer.Typer, token_app: typer.Typer) -> None:
    app.command("login-link", epilog="Example: `everleaf login-link --role admin`")(login_link)
    token_app.command("list", epilog="Example: `everleaf token list --output json`")(list_tokens)
    token_app.command("revoke", epilog="Example: `everleaf token revoke 3f2a91c07b4e`")(revoke_token)
