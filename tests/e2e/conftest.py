"""One product for all of these tests, started as a user starts it and taken down with a look for what survived."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from cli.home import PROJECT
from tests.e2e.product import READY_SECONDS, SETTLED_SECONDS, Product, clean_environment, everleaf
from tests.launcher.waiting import has_ended

# The search for keys reads what all the others left; what changes the estate comes after what counts it.
ORDER: tuple[str, ...] = (
    "test_key_search",
    "test_bad_input",
    "test_the_loop",
    "test_browser_reading",
    "test_browser_deciding",
)
ORDER += ("test_many_decisions", "test_discovery", "test_keys")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [index for index, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ranked = sorted((items[index] for index in ours), key=lambda item: ORDER.index(item.path.stem))
    for index, item in zip(ours, ranked, strict=True):
        items[index] = item


def _status(data_dir: Path, goal: str, seconds: int) -> dict[str, Any]:
    done = everleaf(data_dir, "status", "--output", "json", "--wait", goal, "--timeout", str(seconds))
    log = data_dir / "up.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    for program in ("openssl", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"NO {program}: the whole product was not tested; `.ci/run` installs it")
    # Short: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="evl-e2e-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "home"
        launcher = [str(PROJECT / "everleaf"), "up", "--detach", "--data-dir", str(data_dir)]
        started = subprocess.run(
            launcher, env=clean_environment(), capture_output=True, text=True, timeout=READY_SECONDS
        )
        try:
            assert started.returncode == 0, started.stderr
            status = _status(data_dir, "settled", SETTLED_SECONDS)
            token = (data_dir / "token").read_text().strip()
            yield Product(data_dir, status, token)
        finally:
            _take_down(data_dir)


def _take_down(data_dir: Path) -> None:
    parts = json.loads(everleaf(data_dir, "status", "--output", "json").stdout)["parts"]
    done = everleaf(data_dir, "down")
    assert done.returncode == 0, done.stderr
    left = [part["name"] for part in parts if part["pid"] and not has_ended(part["pid"])]
    assert not left, f"these survived `everleaf down`: {left}"
    assert json.loads(everleaf(data_dir, "status", "--output", "json").stdout)["state"] == "stopped"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; for a module alone, for its event loop shuts out everybody else's."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("NO chromium: no page was tried in a browser; `.ci/run` installs it")
    with sync_playwright() as playwright:
        # As root a browser has no sandbox of its own; the pages it opens here are all ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def head(product: Product) -> str:
    """The token of a security head."""
    return product.new_token("security-head")
