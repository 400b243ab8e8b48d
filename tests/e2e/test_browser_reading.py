"""In a real browser: what NOC, automation and the auditor do, and what every page promises to every reader."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from domain.tiers import Role
from tests.e2e.browser import PATIENCE_MS, browsing, violations
from tests.e2e.product import Product, everleaf

pytestmark = pytest.mark.e2e
PAGES: tuple[str, ...] = (
    "/",
    "/certificates",
    "/certificates?attention=true&sort=severity",
    "/approvals",
    "/discovery",
    "/policy",
)
PAGES += ("/access", "/help")
# In a dialog of Swagger UI, whose files stay as they came: its title is an h3 right below our h1, and the name of its
# button does not hold the button's own word.
NOT_OURS = ("heading-order", "label-content-name-mismatch")


def troubled(product: Product) -> str:
    items = product.get("/v1/certificates?sort=severity&limit=1")["items"]
    return f"/certificates/{items[0]['id']}"


def test_noc_finds_the_worst_certificate_and_why_in_one_hop(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.NOC) as page:
        worst = product.get("/v1/certificates?sort=severity&limit=1")["items"][0]
        first = page.locator(".attention > li").first
        expect(first).to_contain_text(worst["severity"].capitalize())
        name = first.locator("a.name").inner_text()

        first.locator("a.name").click()

        expect(page.locator("h1")).to_have_text(name)
        for word in ("Why", "Who", "Next"):
            answer = page.locator(".answers div").filter(has=page.locator("dt", has_text=word)).locator("dd")
            assert len(answer.inner_text()) > 10
        assert page.get_by_role("button", name="Retire").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(chromium: Browser, product: Product, scheme: str) -> None:
    with browsing(chromium, product, Role.SECURITY_HEAD, color_scheme=scheme) as page:
        found = []
        for path in (*PAGES, "/certificates?q=nomatch", troubled(product)):
            page.goto(product.api + path)
            page.locator("#age", has_text="Live").wait_for()
            found += [f"{path}: {one}" for one in violations(page)]
        page.set_viewport_size({"width": 390, "height": 844})
        for path in ("/", "/approvals", "/certificates"):
            page.goto(product.api + path)
            page.locator("#age", has_text="Live").wait_for()
            found += [f"{path} on a phone: {one}" for one in violations(page)]
        assert not found, "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_reference(chromium: Browser, product: Product, scheme: str) -> None:
    with browsing(chromium, product, Role.AUDITOR, color_scheme=scheme) as page:
        page.goto(f"{product.api}/docs")
        rows = page.locator(".opblock-summary-control")
        rows.first.wait_for()
        found = violations(page)
        rows.first.click()
        page.locator(".responses-table").first.wait_for()
        found += violations(page)
        assert page.url.endswith("/list_certificates")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(17, 20, 18)" if scheme == "dark" else "rgb(252, 252, 250)")
        assert not found, "\n".join(found)
        page.locator(".btn.authorize").first.click()
        page.locator(".modal-ux").wait_for()
        assert not [one for one in violations(page) if not one.startswith(NOT_OURS)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_dialogs_errors_and_at_the_door(chromium: Browser, product: Product, scheme: str) -> None:
    missing = ("Failed to load resource",)
    with browsing(chromium, product, Role.SECURITY_HEAD, color_scheme=scheme, expected=missing) as page:
        found = []
        for path in ("/no-such-page", "/certificates/mc-none", "/certificates?ends=soon"):
            page.goto(product.api + path)
            found += [f"{path}: {one}" for one in violations(page)]
        page.goto(product.api + troubled(product))
        for opener in page.locator("[data-opens]").all():
            opener.click()
            page.locator("dialog[open]").wait_for()
            found += [f"dialog: {one}" for one in violations(page)]
            page.keyboard.press("Escape")
        page.context.clear_cookies()
        for path in ("/login", "/no-such-page"):
            page.goto(product.api + path)
            found += [f"{path}, a stranger: {one}" for one in violations(page)]
        assert not found, "\n".join(found)


def test_what_the_reader_opened_and_the_plan_he_reads_outlast_news(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.SECURITY_HEAD) as page:
        page.goto(f"{product.api}/")
        page.locator("#age", has_text="Live").wait_for()
        page.locator("main summary").first.click()
        told = page.locator("h1").inner_text()
        page.evaluate("document.querySelector('h1').textContent = 'before'")
        renew(page)
        expect(page.locator("h1")).to_have_text(told)
        assert page.locator("main details").first.get_attribute("open") is not None

        page.goto(f"{product.api}/approvals")
        page.locator("#age", has_text="Live").wait_for()
        page.evaluate("document.querySelector('form.decide [name=version]').value = 'the one that was read'")
        page.evaluate("document.querySelector('h1').textContent = 'before'")
        renew(page)
        expect(page.locator("h1")).not_to_have_text("before")
        # A decision names the plan that stood there when it was read, never a newer one.
        assert page.locator("form.decide [name=version]").input_value() == "the one that was read"


def renew(page: Page) -> None:
    """As after news of the stream, which comes here when a second reconnection asks what was missed."""
    page.locator("#reconnect").evaluate("button => button.click()")


@pytest.mark.parametrize("width", [390, 720, 1024])
def test_no_page_is_wider_than_its_window(chromium: Browser, product: Product, width: int) -> None:
    with browsing(chromium, product, Role.SECURITY_HEAD, viewport={"width": width, "height": 844}) as page:
        for path in (*PAGES, troubled(product)):
            page.goto(product.api + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("width", [390, 720])
def test_a_phone_and_a_laptop_at_200_percent_lose_nothing(chromium: Browser, product: Product, width: int) -> None:
    with browsing(chromium, product, Role.SECURITY_HEAD, viewport={"width": width, "height": 844}) as page:
        page.goto(product.api + "/")
        expect(page.locator("#find")).to_be_visible()
        more = page.locator("details.more")
        more.locator("summary").click()
        for name in ("Policy", "Access", "Help"):
            expect(more.get_by_role("link", name=name)).to_be_visible()
        for name in ("Light", "Dark", "Log out"):
            expect(more.get_by_role("button", name=name)).to_be_visible()
        page.keyboard.press("Escape")
        expect(more.get_by_role("button", name="Log out")).to_be_hidden()

        page.goto(product.api + "/certificates")
        page.get_by_text("Filter and sort").click()
        page.get_by_label("Tier").select_option("internal")
        page.get_by_label("Sort").select_option("-name")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**tier=internal**")
        assert "sort=-name" in page.url
        expect(page.locator(".list .tier").first).to_be_visible()

        page.goto(product.api + "/approvals")
        page.locator(".inbox li a").first.click()
        for name in ("comment", "version"):
            assert page.locator(f"form.decide [name={name}]").count() == 1
        expect(page.locator("form.decide [name=comment]")).to_be_visible()
        expect(page.get_by_role("button", name="Approve", exact=True)).to_be_visible()


def test_the_keyboard_alone_reaches_a_certificate(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.NOC) as page:
        page.keyboard.press("j")
        page.keyboard.press("j")
        name = page.evaluate("document.activeElement.innerText")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(name)
        page.keyboard.press("g")
        page.keyboard.press("c")
        page.wait_for_url("**/certificates")
        page.keyboard.press("/")
        page.keyboard.type("vpn")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("match “vpn”")


def test_a_page_whose_stream_is_lost_says_so_and_switches_decisions_off(chromium: Browser, product: Product) -> None:
    # The last: htmx tells it of a request that was on its way when the line went, which is chance.
    lost = ("Failed to load resource", "ERR_INTERNET_DISCONNECTED", "net::", "Failed to fetch")
    with browsing(chromium, product, Role.SECURITY_HEAD, expected=lost) as page:
        page.goto(product.api + "/approvals")
        page.locator("#age", has_text="Live").wait_for()
        assert page.get_by_role("button", name="Approve", exact=True).is_enabled()
        places = "[...document.querySelectorAll('h1, .rail, form.decide')].map(one => one.getBoundingClientRect().top)"
        before = page.evaluate(places)

        page.context.set_offline(True)
        page.evaluate("document.getElementById('reconnect').click()")
        page.locator("#lost").wait_for(state="visible")

        assert page.get_by_role("button", name="Approve", exact=True).is_disabled()
        assert "old" in page.locator("#age").inner_text()
        assert page.evaluate(places) == before
        headline = page.locator("h1:visible").first.bounding_box()
        banner = page.locator("#lost").bounding_box()
        assert headline
        assert banner
        assert banner["y"] + banner["height"] <= headline["y"] + 1
        page.context.set_offline(False)
        page.locator("#reconnect").click()
        page.locator("#lost").wait_for(state="hidden")
        expect(page.get_by_role("button", name="Approve", exact=True)).to_be_enabled()


def test_a_discovery_that_automation_starts_appears_without_reload(chromium: Browser, product: Product) -> None:
    token = product.new_token("automation")
    with browsing(chromium, product, Role.NOC) as page:
        page.goto(product.api + "/discovery")
        page.locator("#age", has_text="Live").wait_for()
        page.evaluate("window.sameDocument = true")
        before = page.locator("#runs").locator("xpath=../..").locator("tbody tr").count()

        started = product.ask("POST", "/v1/discoveries", {}, token).json()

        expect(page.locator("section:has(> .section-head #run)")).to_contain_text(started["id"], timeout=PATIENCE_MS)
        assert page.evaluate("window.sameDocument") is True
        assert before >= 1


def test_an_operator_starts_a_discovery_on_the_page(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.OPERATOR) as page:
        page.goto(product.api + "/discovery")
        before = product.get("/v1/discoveries?limit=1")["items"][0]["id"]
        page.get_by_role("button", name="Start a discovery").click()
        page.locator("dialog[open] button[type=submit]").click()
        page.wait_for_url("**/discovery?run=*")
        newest = product.get("/v1/discoveries?limit=1")["items"][0]["id"]
        assert newest != before
        assert page.url.endswith(f"run={newest}")
        expect(page.locator("main")).to_contain_text(newest)


def test_the_auditor_downloads_a_history_and_replays_it(chromium: Browser, product: Product, tmp_path: Path) -> None:
    with browsing(chromium, product, Role.AUDITOR) as page:
        page.goto(product.api + troubled(product))
        with page.expect_download() as coming:
            page.get_by_role("link", name="Download the history").click()
        file = tmp_path / "history.json"
        coming.value.save_as(file)
        assert json.loads(file.read_text())["events"]
        done = everleaf(product.data_dir, "replay", str(file))
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_prints_without_its_rail_and_its_buttons(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.AUDITOR) as page:
        for path in ("/", "/certificates?tier=internal", "/approvals", troubled(product)):
            page.goto(product.api + path)
            page.emulate_media(media="print")
            # As wide as A4 between its margins.
            page.set_viewport_size({"width": 688, "height": 970})
            assert not page.locator(".rail").is_visible()
            expect(page.locator(".print-only:visible")).to_contain_text("printed for")
            assert page.locator("main .btn:visible").count() == 0, path
            assert page.evaluate("document.documentElement.scrollWidth") <= 688, path
            for name in page.locator(".list .name").all()[:10]:
                assert name.evaluate("one => one.scrollWidth <= one.closest('th').clientWidth + 1"), name.inner_text()
            assert len(page.pdf()) > 10_000
            page.emulate_media(media="screen")
