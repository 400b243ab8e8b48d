"""What the user sees while the parts come up: a live table on a terminal, plain lines anywhere else."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table

MARKS = {"ready": "[green]✓[/]", "starting": "[yellow]…[/]", "unwell": "[red]✗[/]", "restarting": "[red]↻[/]"}


# Whoever reads what is not a terminal has no use for folded words.
WIDEST = 1000


class Screen(Console):
    """The console of the commands: as wide as its terminal, and where there is none as wide as what is shown."""

    @property
    def size(self) -> ConsoleDimensions:
        found = super().size
        return found if self.is_terminal else ConsoleDimensions(max(WIDEST, found.width), found.height)

    @size.setter
    def size(self, new: tuple[int, int]) -> None:
        self._width, self._height = new


class Progress:
    """Hears of every change of a part; shows each part once, with its state and the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        self.rows: dict[str, tuple[str, str, float]] = {}
        self.live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(self._table(), console=self.console, refresh_per_second=8, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def tell(self, part: str, state: str, detail: str = "") -> None:
        seconds = time.monotonic() - self.began
        self.rows[part] = (state, detail, seconds)
        if self.live is not None:
            self.live.update(self._table())
        else:
            said = f"{seconds:6.1f} s  {part} {state}" + (f": {detail}" if detail else "")
            self.console.print(said, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for part, (state, detail, seconds) in self.rows.items():
            mark = MARKS.get(state, " ")
            table.add_row(mark, escape(part), escape(state), f"[dim]{seconds:.1f} s[/]", escape(detail))
        return table


def show_box(console: Console, run: Mapping[str, Any], links: Mapping[str, str]) -> None:
    """The short summary that `up` ends with.  No side borders: a link must stay whole to be clicked or copied."""
    urls = run["urls"]
    rows = [("Dashboard", urls["dashboard"]), ("API docs", urls["docs"]), ("Temporal UI", urls["temporal_ui"])]
    rows += [(f"Log in as {role}", link) for role, link in links.items()]
    rows += [("Mails", run.get("mail_dir", "")), ("Data", run["data_dir"])]
    rows += [("Stop", "everleaf down" if run.get("detached") else "Ctrl-C, or everleaf down")]
    rows += [("Start afresh", "everleaf reset --yes")]
    # Of one width, also in a log.
    width = min(console.width, 80)
    console.print(Rule("Everleaf is ready", style="green"), width=width)
    for name, value in rows:
        if value:
            console.print(f" {name:24} {value}", markup=False, highlight=False, soft_wrap=True)
    console.print(Rule(style="green"), width=width)
