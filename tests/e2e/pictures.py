"""Pictures of every page, dark and light: ``python -m tests.e2e.pictures [--out docs/pictures]``.

Starts an installation of its own with the sample estate, waits until it has settled, and takes it down again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from cli.home import PROJECT
from domain.tiers import Role
from tests.e2e.browser import browsing, patient
from tests.e2e.product import Product, everleaf
from tests.launcher.waiting import LONG_SECONDS

WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


def addresses(product: Product) -> dict[str, str]:
    """Name of the picture -> page."""
    worst = product.get("/v1/certificates?sort=severity&limit=1")["items"][0]["id"]
    approval = product.get("/v1/approvals?state=pending&limit=1")["items"][0]["id"]
    return {
        "situation": "/",
        "certificates": "/certificates?ends=90",
        "certificate": f"/certificates/{worst}",
        "approvals": f"/approvals/{approval}",
        "discovery": "/discovery",
        "policy": "/policy",
        "access": "/access",
        "help": "/help",
        "empty": "/certificates?q=no-such-name",
        "refused": "/certificates/mc-unknown",
    }


def shoot(page: Page, product: Product, name: str, path: str, file: Path) -> None:
    page.goto(product.api + path)
    page.locator("#age", has_text="Live").wait_for()
    page.screenshot(path=file, full_page=name not in ("situation", "approvals", "certificates"))


def take(chromium: Browser, product: Product, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pages = addresses(product)
    for scheme in ("light", "dark"):
        expected = ("Failed to load resource",)
        for suffix, options, chosen in (("", WIDE, list(pages)), ("-phone", PHONE, ["situation", "approvals"])):
            shape: dict[str, Any] = {**options, "color_scheme": scheme, "expected": expected}
            with browsing(chromium, product, Role.SECURITY_HEAD, **shape) as page:
                for name in chosen:
                    shoot(page, product, name, pages[name], out / f"{name}-{scheme}{suffix}.png")
        context = chromium.new_context(**WIDE, color_scheme=scheme)
        page = patient(context.new_page())
        page.goto(f"{product.api}/login")
        page.screenshot(path=out / f"login-{scheme}.png")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "pictures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evl-pictures-", dir="/tmp") as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        started = everleaf(home, "up", "--detach")
        if started.returncode:
            raise SystemExit(started.stderr)
        try:
            waited = everleaf(home, "status", "--output", "json", "--wait", "settled", "--timeout", str(LONG_SECONDS))
            product = Product(home, json.loads(waited.stdout), (home / "token").read_text().strip())
            chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            take(chromium, product, given.out)
            chromium.close()
        finally:
            everleaf(home, "down")


if __name__ == "__main__":
    main()
