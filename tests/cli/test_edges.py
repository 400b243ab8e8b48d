"""What scripts rely on without reading: exit codes, and lines that are not folded."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.table import Table

from cli import status
from cli.api_client import WrongUsage, refusal_of
from cli.display import Screen
from cli.home import Home
from cli.status import Status
from domain.errors import BadInput, NotReady, Refused
from tests.launcher.waiting import LONG_SECONDS

ROOT = Path(__file__).parents[2]


def everleaf(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
    )


def answered(status: int, body: dict[str, Any]) -> httpx2.Response:
    return httpx2.Response(status, json=body)


@pytest.mark.parametrize(
    ("status", "field", "kind"),
    [(422, "tier", WrongUsage), (422, "request", Refused), (409, "tier", Refused), (503, "tier", NotReady)],
)
def test_what_cannot_be_meant_is_wrong_usage(status: int, field: str, kind: type[Exception]) -> None:
    errors = [{"field": field, "detail": "no", "remedy": "yes"}]
    assert type(refusal_of(answered(status, {"detail": f"{field}: no", "errors": errors}))) is kind


@pytest.mark.parametrize("name", ["", "  ", "a\nb"])
def test_a_token_without_a_name_is_wrong_usage(name: str) -> None:
    done = everleaf("token", "create", "--role", "noc", "--name", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--name" in done.stderr


@pytest.mark.parametrize("file", ["/nonexist", "gone.json", "./mc-1"])
def test_a_history_that_is_no_file_is_said_to_be_none(file: str) -> None:
    done = everleaf("replay", file)
    assert done.returncode == 2
    # Typer draws a box around it.
    assert f"the file {file} does not exist" in " ".join(re.sub(r"[│\n]", " ", done.stderr).split())


def test_a_history_that_differs_is_told_once_and_in_our_words(tmp_path: Path) -> None:
    stored = next((ROOT / "tests" / "replay" / "0.1.0" / "CertificateLifecycle").glob("a-retirement-ends*-1.json"))
    text = stored.read_text().replace('"name": "redeem"', '"name": "record"', 1)
    (tmp_path / "other.json").write_text(text)
    done = everleaf("replay", "--workflow-id", "certificate/mc-1", str(tmp_path / "other.json"))
    assert (done.returncode, done.stderr) == (1, "")
    assert "event " in done.stdout


def test_a_directory_that_cannot_be_made_is_told_with_its_option(tmp_path: Path) -> None:
    done = everleaf("up", "--no-demo", "--data-dir", "/proc/nope")
    assert done.returncode == 1
    assert done.stderr.startswith("everleaf: --data-dir: /proc/nope cannot be made or entered (")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="--data-dir"):
        Home(tmp_path / "file" / "below").prepare()


def test_what_is_no_terminal_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = Table(box=None)
    for _ in range(9):
        table.add_column("word", overflow="fold")
    table.add_row(*["network-critical"] * 9)
    out = io.StringIO()
    Screen(file=out).print(table)
    assert out.getvalue().splitlines()[1].split() == ["network-critical"] * 9


def test_who_comes_second_is_told_that_another_one_starts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.held():
        with pytest.raises(NotReady, match="another everleaf is starting"), home.held():
            pass
        home.write_run({"state": "ready", "pid": 42})
        with pytest.raises(NotReady, match=r"already running in .* \(pid 42\)"), home.held():
            pass


def test_the_database_is_named_as_psql_takes_it(tmp_path: Path) -> None:
    run = {"database_url": "postgresql+psycopg://postgres@/everleaf?host=%2Ftmp%2Fx"}
    assert Status("ready", run, Home(tmp_path)).described()["database_url"] == (
        "postgresql://postgres@/everleaf?host=%2Ftmp%2Fx"
    )


def test_a_disk_that_filled_up_is_no_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    monkeypatch.setattr(Home, "is_held", lambda _: True)
    monkeypatch.setattr(Home, "read_run", lambda _: {"state": "ready"})
    home.lock_file.touch()
    assert status.read(home).state == "ready"
    monkeypatch.setattr("cli.home.LEAST_FREE_BYTES", 10**18)
    found = status.read(home)
    assert found.state == "degraded"
    assert "as good as full" in found.described()["problem"]
