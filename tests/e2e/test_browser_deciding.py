"""In a real browser: the head of IT security decides, on the page and in the Temporal UI, and sees it served anew."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from temporalio.api.common.v1 import Payload

from domain.tiers import Role
from store import access
from store.engine import create_engine
from tests.e2e.browser import browsing, patient
from tests.e2e.product import Product, eventually, served
from workflows.codec import packed

pytestmark = pytest.mark.e2e


def pending(product: Product) -> list[dict[str, Any]]:
    """Escalated approvals that are open, the one with the most time first: nothing else may decide them meanwhile."""
    found = [item for item in product.every("/v1/approvals?state=pending") if item["escalated"]]
    return sorted(found, key=lambda item: item["deadline"], reverse=True)


def served_anew(product: Product, certificate_id: str) -> None:
    detail = product.renewed(certificate_id)
    for endpoint in detail["endpoints"]:
        if endpoint["url"].startswith("tls://"):
            assert served(endpoint["url"]) == detail["fingerprint"]


def test_the_head_approves_with_the_keyboard_alone_and_sees_it_served_without_reload(
    chromium: Browser, product: Product
) -> None:
    approval = pending(product)[0]
    with browsing(chromium, product, Role.SECURITY_HEAD) as page:
        page.goto(f"{product.api}/approvals/{approval['id']}")
        page.locator("#age", has_text="Live").wait_for()
        page.keyboard.press("a")
        assert page.evaluate("document.activeElement.innerText") == "Approve"
        page.keyboard.press("Enter")
        page.wait_for_url("**?told=approve")
        page.evaluate("window.sameDocument = true")

        expect(page.locator("#outcome")).to_contain_text("served and verified")

        assert page.evaluate("window.sameDocument") is True
    served_anew(product, approval["certificate_id"])


def test_the_head_approves_in_the_temporal_ui_with_a_code_of_her_own(chromium: Browser, product: Product) -> None:
    approval = pending(product)[0]
    workflow = f"certificate/{approval['certificate_id']}"
    with browsing(chromium, product, Role.SECURITY_HEAD) as page:
        page.goto(f"{product.api}/approvals/{approval['id']}")
        page.get_by_role("button", name="Show a code").click()
        paste = json.loads(page.locator("#the-paste").inner_text())
        assert paste["code"] == page.locator("#the-code").inner_text()
        address = page.get_by_role("link", name="Open the run").last.get_attribute("href")
        assert address is not None
    temporal = patient(chromium.new_page(viewport={"width": 1440, "height": 900}))
    try:
        temporal.goto(address)
        temporal.get_by_role("tab", name="User Metadata").click()
        back = temporal.frame_locator("iframe").last.get_by_role("link", name="Its page: why, who, next")
        expect(back).to_have_attribute("href", f"{product.api}/{workflow.replace('certificate', 'certificates')}")
        send_update(temporal, address, "decide", paste)
    finally:
        temporal.close()
    served_anew(product, approval["certificate_id"])
    events = product.get(f"/v1/certificates/{approval['certificate_id']}/timeline")["items"]
    approved = [event for event in events if event["kind"] == "approved"]
    # The UI sends no identity: the code did.
    assert approved[-1]["facts"]["approver"].startswith("person/")
    assert workflow.endswith(approval["certificate_id"])


ASK = """async ([url, body]) => {
    const headers = {"content-type": "application/json", "x-namespace": "default"};
    const asked = {method: "POST", credentials: "include", headers, body: JSON.stringify(body)};
    try { const answer = await fetch(url, asked); return [answer.status, await answer.json()]; }
    catch (error) { return [0, String(error)]; }
}"""


def test_the_temporal_ui_has_a_large_payload_unpacked_with_the_session_of_its_reader(
    chromium: Browser, product: Product
) -> None:
    """As its data encoder does, from its own origin; a page of somebody else reads nothing."""
    large = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"mc-1 " * 20_000 + b'"')
    body = {"payloads": [in_json(packed(large))]}
    with browsing(chromium, product, Role.AUDITOR) as page:
        page.goto(f"{product.api}/certificates")
        ui = product.status["urls"]["temporal_ui"]
        reader = patient(page.context.new_page())
        reader.goto(ui)
        assert reader.evaluate(ASK, [f"{product.api}/codec/decode", body]) == [200, {"payloads": [in_json(large)]}]
        # Another port of the same machine is another origin.
        with server_on_loopback() as elsewhere:
            reader.goto(elsewhere)
            assert reader.evaluate(ASK, [f"{product.api}/codec/decode", body])[0] == 0


def in_json(payload: Payload) -> dict[str, Any]:
    metadata = {name: b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": b64encode(payload.data).decode()}


@contextmanager
def server_on_loopback() -> Iterator[str]:
    """A web server of somebody else, with an empty page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send_update(page: Page, address: str, name: str, payload: dict[str, Any]) -> None:
    """What a person does in the Temporal UI: More Actions, Send an Update, the name, the JSON, Submit."""
    page.goto(address)
    page.get_by_role("button", name="More Actions").click()
    page.get_by_role("menuitem", name="Send an Update").click()
    page.get_by_role("button", name="Select an Update").click()
    page.get_by_role("option").filter(has_text=name).first.click()
    dialog = page.locator("[role=dialog]:visible, dialog[open]").last
    editor = dialog.locator(".cm-content[contenteditable=true]")
    editor.click()
    page.keyboard.insert_text(json.dumps(payload))
    # When it is left it sets the JSON anew, line by line, and the button moves away below a pointer: that comes first.
    editor.blur()
    expect(editor.locator(".cm-line")).not_to_have_count(1)
    dialog.get_by_test_id("confirm-modal-button").click()
    dialog.wait_for(state="hidden")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("retire", "refused"),
        ("renew_now", "refused"),
        ("decide", "that case is closed"),
        ("answer", "no open question"),
        # There is no such message.
        ("reassign", "not found"),
        ("change_policy", "not found"),
    ],
)
def test_a_message_without_a_warrant_changes_nothing(product: Product, message: str, told: str) -> None:
    item = product.get("/v1/certificates?tier=customer-facing&state=sleeping&limit=1")["items"][0]
    before = product.get(f"/v1/certificates/{item['id']}/timeline?limit=500")["items"]
    more: dict[str, dict[str, Any]] = {
        "retire": {"reason": "mistake"},
        "decide": {"decision": "approve", "case": 1, "generation": 1, "plan_version": "x"},
        "answer": {"question": "unseen", "answer": "retired"},
    }
    body = json.dumps({"code": f"made-up-{message}", **more.get(message, {})})
    target = ["--workflow-id", f"certificate/{item['id']}", "--name", message, "--input", body]

    done = product.temporal("workflow", "update", "execute", *target)

    assert told in done.stdout + done.stderr, done.stdout + done.stderr
    after = product.certificate(item["id"])
    assert (after["state"], after["tier"], after["owner"], after["generation"]) == (
        item["state"],
        item["tier"],
        item["owner"],
        item["generation"],
    )
    events = product.get(f"/v1/certificates/{item['id']}/timeline?limit=500")["items"]
    # Refused by the validator it leaves nothing; refused for its warrant it leaves the refusal alone.  A discovery
    # that was started before may still tell what it saw.
    assert {event["kind"] for event in events[len(before) :]} <= {
        "notice_came",
        "notice_read",
        "looks_taken",
        "decision_reserved",
        "code_burnt",
        "reservation_ended",
        "decision_refused",
    }, done.stdout
    assert not [event for event in events if event["kind"] in ("retired", "case_opened", "approved")]


@pytest.mark.parametrize("signal", ["retire", "decide", "cancel_everything"])
def test_a_signal_of_a_strangers_making_changes_nothing(product: Product, signal: str) -> None:
    item = product.get("/v1/certificates?tier=network-critical&state=sleeping&limit=1")["items"][0]
    target = ["--workflow-id", f"certificate/{item['id']}", "--name", signal, "--input", '{"code": "x"}']
    product.temporal("workflow", "signal", *target)
    after = product.certificate(item["id"])
    assert (after["state"], after["generation"]) == (item["state"], item["generation"])


def test_a_logged_out_session_hears_it_and_is_led_to_the_login(chromium: Browser, product: Product) -> None:
    expected = ("Failed to load resource",)
    with browsing(chromium, product, Role.AUDITOR, expected=expected) as page:
        page.goto(f"{product.api}/certificates?tier=internal")
        page.locator("#age", has_text="Live").wait_for()
        engine = create_engine(product.status["database_url"])
        for session in access.living_sessions(engine):
            if session["role"] == "auditor":
                access.end_session(engine, session["id"], "test")
        kinds = [event["kind"] for event in access.security_events(engine, datetime(2026, 1, 1, tzinfo=UTC), 50)]
        engine.dispose()
        assert "logout" in kinds
        # Nobody touches the page: the stream says that it is over.
        page.wait_for_url(re.compile(r"/login\?back=(%2F|/)certificates%3Ftier%3Dinternal$"))


def test_a_refused_page_says_what_and_nothing_happens(chromium: Browser, product: Product) -> None:
    with browsing(chromium, product, Role.NOC, expected=("Failed to load resource",)) as page:
        token = page.locator("meta[name=csrf]").get_attribute("content")
        approval = eventually(lambda: product.get("/v1/approvals?state=pending")["items"], "an approval")[0]
        status = page.evaluate(
            """async ([path, token]) => {
              const body = new URLSearchParams({decision: "approve", version: "x", key: "k"});
              return (await fetch(path, {method: "POST", headers: {"x-csrf-token": token}, body})).status;
            }""",
            [f"/approvals/{approval['id']}/decision", token],
        )
        assert status == 403
        assert product.get(f"/v1/approvals/{approval['id']}")["state"] == "pending"
