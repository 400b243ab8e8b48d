"""The Temporal UI's own pages, in a real browser, through the doors: what an approver does there works, and no more."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import patient
from tests.e2e.conftest import chromium as chromium
from tests.e2e.test_browser_deciding import send_update
from tests.production.doored import ID, NAMESPACE, Entrance
from tests.production.doored import entrance as entrance

pytestmark = pytest.mark.server


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}/namespaces/{NAMESPACE}/workflows/{ID.replace('/', '%2F')}"


def test_an_approver_sends_an_update_as_the_readme_says(entrance: Entrance, chromium: Browser) -> None:
    page = patient(chromium.new_page(viewport={"width": 1440, "height": 900}))
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    try:
        send_update(page, address(entrance.approvers), "decide", {"code": "from a browser"})
    finally:
        page.close()

    assert "from a browser" in str(entrance.waiting.heard())
    assert not refused


@pytest.mark.parametrize("door", ["approvers", "auditors"])
def test_a_terminate_from_the_page_itself_is_refused(entrance: Entrance, chromium: Browser, door: str) -> None:
    page = patient(chromium.new_page())
    try:
        page.goto(address(getattr(entrance, door)))
        page.get_by_text(ID).first.wait_for()
        got = page.evaluate(
            """async (id) => {
                const token = document.cookie.split('; ').find((one) => one.startsWith('_csrf=')).slice(6);
                const path = `/api/v1/namespaces/everleaf/workflows/${encodeURIComponent(id)}/terminate`;
                const sent = {method: 'POST', headers: {'X-CSRF-Token': token}, body: '{}'};
                return (await fetch(path, sent)).status;
            }""",
            ID,
        )
    finally:
        page.close()

    assert got == 403
    assert entrance.waiting.status() == "RUNNING"
