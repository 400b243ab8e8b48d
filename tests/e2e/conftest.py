"""One product for all of these tests, started as a user starts it and taken down with a look for what survived."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from cli.home import PROJECT
from tests.e2e.browser import PATIENCE_MS
from tests.e2e.product import Product, clean_environment, everleaf
from tests.launcher.waiting import LONG_SECONDS, has_ended
from tests.needed import lacks, programs

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


def _status(data_dir: Path, goal: str) -> dict[str, Any]:
    done = everleaf(data_dir, "status", "--output", "json", "--wait", goal, "--timeout", str(LONG_SECONDS))
    log = data_dir / "up.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="package")
def product() -> Iterator[Product]:
    """The one of this room; it goes down with its last test, for other rooms need the cores."""
    programs("openssl", "setpriv", consequence="the whole product was not tested")
    # Short: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="evl-e2e-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "home"
        launcher = [str(PROJECT / "everleaf"), "up", "--detach", "--data-dir", str(data_dir)]
        started = subprocess.run(
            launcher, env=clean_environment(), capture_output=True, text=True, timeout=LONG_SECONDS
        )
        try:
            assert started.returncode == 0, started.stderr
            status = _status(data_dir, "settled")
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
        lacks("chromium", "no page was tried in a browser")
    # Playwright's own five seconds are a verdict on the machine.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # As root a browser has no sandbox of its own; the pages it opens here are all ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def head(product: Product) -> str:
    """The token of a machine that stands in for a security head: it is nobody of the policy's people."""
    return product.new_token("security-head", "--may-decide")
