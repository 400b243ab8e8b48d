"""A real browser that writes down whatever a page does that it should not: errors, reports, requests elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request

from domain.tiers import Role
from store.access import create_login_link
from store.engine import create_engine
from tests.e2e.product import Product

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
# Ends what hangs: no page takes so long on any machine.  Shorter than other waits, for a page that lacks a button has
# one such wait for each test that looks for it.
PATIENCE_MS = 600_000
# Chromium says this of every answer that is an error; a test that asks for one expects it.
FAILED_TO_LOAD = "Failed to load resource"


def patient(page: Page) -> Page:
    """``page`` without Playwright's own half minute."""
    page.set_default_timeout(PATIENCE_MS)
    return page


@dataclass
class Watched:
    """One browser context and what went wrong in it.  ``expected``: words of messages that the test asked for."""

    context: BrowserContext
    base: str
    wrong: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def page(self) -> Page:
        page = patient(self.context.new_page())
        page.on("console", self._said)
        page.on("pageerror", self._broke)
        page.on("request", self._asked)
        return page

    def _broke(self, error: Error) -> None:
        if not self._is_expected(str(error)):
            self.wrong.append(f"error: {error}")

    def _is_expected(self, text: str) -> bool:
        return any(word in text for word in self.expected)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self._is_expected(message.text):
            self.wrong.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc and not request.url.startswith("data:"):
            self.wrong.append(f"request to {request.url}")


@contextmanager
def browsing(
    chromium: Browser, product: Product, role: Role, *, expected: tuple[str, ...] = (), **options: Any
) -> Iterator[Page]:
    """A page that is logged in as ``role``; at the end nothing may have gone wrong."""
    base = product.api
    context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    try:
        watched = Watched(context, base, expected=expected)
        page = watched.page()
        log_in(page, product, role)
        yield page
        assert not watched.wrong, watched.wrong
    finally:
        context.close()


def log_in(page: Page, product: Product, role: Role) -> None:
    """By a one-time link, as `everleaf up` prints it."""
    engine = create_engine(product.status["database_url"])
    code = create_login_link(engine, role)
    engine.dispose()
    page.goto(f"{product.api}/login#{code}")
    page.wait_for_url(lambda address: "/login" not in address)


def violations(page: Page) -> list[str]:
    """What axe-core finds, all rules: "rule: where"."""
    # Not as a script element: the page's own policy would refuse that, as it should.
    page.evaluate(AXE)
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{one['id']}: {node['target']} {node['html'][:120]}" for one in found for node in one["nodes"][:4]]
