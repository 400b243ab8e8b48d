"""What the README says in tables is what the code says."""

import dataclasses
import re

from api.auth import ROLES
from cli.main import app
from domain.settings import Settings, WatchSettings
from domain.tiers import Role
from tests.house.sources import ROOT

README = (ROOT / "README.md").read_text()


def rows(first_header: str) -> list[list[str]]:
    """The cells of the table whose first header is ``first_header``, header included."""
    lines = README.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_header} |"))
    table: list[list[str]] = []
    for line in lines[at:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return [table[0], *table[2:]]


def test_the_table_of_roles_is_that_of_the_api() -> None:
    header, *said = rows("may, beside reading")
    roles = [Role(name) for name in header[1:]]
    shown = {row[0]: {role for role, cell in zip(roles, row[1:], strict=True) if cell == "yes"} for row in said}
    assert shown == {route: set(may) for route, may in ROLES.items() if may != frozenset(Role)}


def test_every_command_stands_in_the_table_of_commands() -> None:
    said = {row[0].split()[0] for row in rows("command")[1:]}
    own = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert said == own | {
        str(group.typer_instance.info.name) for group in app.registered_groups if group.typer_instance
    }


def test_every_setting_stands_in_the_table_of_the_environment() -> None:
    documented = set(re.findall(r"^ +\w+ +(EVERLEAF_[A-Z_]+)", Settings.__doc__ or "", re.MULTILINE))
    assert len(documented) == len(dataclasses.fields(Settings))
    watching = set(re.findall(r"^ +\w+ +(EVERLEAF_[A-Z_]+)", WatchSettings.__doc__ or "", re.MULTILINE))
    assert len(watching) == len(dataclasses.fields(WatchSettings))
    assert documented | watching <= {row[0] for row in rows("variable")[1:]}
