"""Options that several commands take, spelled once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Data directory (EVERLEAF_HOME; else ./var).")
]


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", help="A table for people, JSON for scripts.")]
Url = Annotated[str | None, typer.Option("--url", help="Base of the API (EVERLEAF_API_URL; else the running one's).")]
Token = Annotated[str | None, typer.Option("--token", help="Bearer token (EVERLEAF_TOKEN; else the local one's).")]
