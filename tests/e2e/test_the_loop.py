"""The main job from end to end: governed, renewed and seen, asked and escalated, decided in four ways, rolled back."""

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.product import Product, eventually, served
from tests.launcher.waiting import LONG_SECONDS
from tests.needed import lacks

pytestmark = pytest.mark.e2e
ASKING = ("customer-facing", "network-critical")
LEAD = {"customer-facing": timedelta(days=90), "network-critical": timedelta(days=90), "internal": timedelta(days=60)}
ESCALATION = timedelta(days=30)
LONG_LIFE = timedelta(days=180)


def lead(item: dict[str, Any], days: timedelta) -> timedelta:
    """``days`` as the policy writes them, scaled to the life of ``item`` (DESIGN rule 1)."""
    life = _ends(item) - datetime.fromisoformat(item["not_before"])
    return days * min(1.0, life / LONG_LIFE)


def _ends(item: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(item["not_after"])


def test_the_whole_estate_is_governed_each_with_tier_and_reason(product: Product) -> None:
    items = product.every("/v1/certificates")

    assert len(items) >= 320
    assert all(item["tier"] and item["tier_reason"] for item in items)
    assert set(Counter(item["tier"] for item in items)) == {*ASKING, "internal"}
    unplaced = [item for item in items if "no rule" in item["tier_reason"]]
    assert len(unplaced) == 2
    assert {item["tier"] for item in unplaced} == {"customer-facing"}
    found = product.every("/v1/certificates?finding=wrong%20name")
    assert [item["names"][0].partition(".")[0] for item in found] == ["misnamed"]
    assert any(one.startswith("wrong name: asked for") for one in found[0]["findings"])


def test_internal_ones_inside_their_window_are_renewed_and_seen_renewed(product: Product) -> None:
    internal = product.every("/v1/certificates?tier=internal")
    renewed = [item for item in internal if item["generation"] > 1]

    soon = datetime.now(UTC) + timedelta(minutes=2)
    overdue = [i["names"] for i in internal if _ends(i) - lead(i, LEAD["internal"]) < soon and i["state"] == "sleeping"]
    assert not [names for names in overdue if "flash" not in names[0]]
    # The six that the estate brings inside their window, the expired one among them.
    assert len(renewed) >= 6
    for item in renewed:
        detail = product.renewed(item["id"])
        for endpoint in detail["endpoints"]:
            assert endpoint["last_seen_fingerprint"] == detail["fingerprint"]
            assert served(endpoint["url"]) == detail["fingerprint"], endpoint["url"]
        events = product.get(f"/v1/certificates/{item['id']}/timeline")["items"]
        closed = [event["facts"] for event in events if event["kind"] == "case_closed"]
        assert [facts["outcome"] for facts in closed] == ["verified"]


def test_those_that_ask_wait_in_approvals_and_the_late_ones_are_escalated_by_mail(product: Product) -> None:
    asking = [item for item in product.every("/v1/certificates") if item["tier"] in ASKING]
    pending = {approval["certificate_id"]: approval for approval in product.every("/v1/approvals?state=pending")}
    now = datetime.now(UTC)
    due = [item for item in asking if _ends(item) - lead(item, LEAD["customer-facing"]) < now]
    late = [item for item in due if _ends(item) - lead(item, ESCALATION) < now]

    assert len(due) >= 20
    assert len(late) >= 8
    assert {item["id"] for item in due} <= set(pending)
    assert all(pending[item["id"]]["escalated"] and item["escalated"] for item in late)
    eventually(lambda: product.get("/v1/status")["counts"]["queued_deliveries"] == 0, "every mail is posted")
    told = product.mail_text()
    assert "To: head-of-security@sahyadri.example" in told
    assert all(f"certificates/{item['id']}" in told for item in late)


def by_curl(product: Product, approval: dict[str, Any], head: str) -> None:
    url = f"{product.api}/v1/approvals/{approval['id']}/decision"
    body = json.dumps({"decision": "approve", "comment": "seen with the owner", "version": approval["version"]})
    answer = product.ask("POST", url.removeprefix(product.api), json.loads(body), head)
    assert answer.status_code == 200, answer.text


def by_cli(product: Product, approval: dict[str, Any], head: str) -> None:
    done = product.run("approve", approval["id"], "--comment", "seen", "--token", head, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"


def by_pasted_code(product: Product, approval: dict[str, Any], head: str) -> None:
    made = product.ask("POST", f"/v1/approvals/{approval['id']}/code", token=head)
    assert made.status_code == 201, made.text
    _paste(product, made.json()["workflow_id"], json.dumps(made.json()["paste"]))


def by_code_of_the_mail(product: Product, approval: dict[str, Any], head: str) -> None:
    certificate_id = approval["certificate_id"]
    pasted = eventually(lambda: product.pastes().get(certificate_id), "the mail with the code")
    _paste(product, f"certificate/{certificate_id}", pasted)


def _paste(product: Product, workflow_id: str, pasted: str) -> None:
    update = ["workflow", "update", "execute", "--workflow-id", workflow_id, "--name", "decide", "--input", pasted]
    done = product.temporal(*update, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert "accepted" in done.stdout, done.stdout


Way = Callable[[Product, dict[str, Any], str], None]


@pytest.mark.parametrize("way", [by_curl, by_cli, by_pasted_code, by_code_of_the_mail])
def test_an_approval_ends_with_the_new_certificate_served(product: Product, head: str, way: Way) -> None:
    pending = [item for item in product.every("/v1/approvals?state=pending") if item["plan"]["issuer_kind"] != "manual"]
    urgent = [item for item in pending if item["escalated"] and "tls://" in item["plan"]["targets"][0]]
    approval = urgent[0]
    before = product.certificate(approval["certificate_id"])
    assert served(before["endpoints"][0]["url"]) == before["fingerprint"]

    way(product, approval, head)

    after = product.renewed(approval["certificate_id"])
    assert after["fingerprint"] != before["fingerprint"]
    assert {served(endpoint["url"]) for endpoint in after["endpoints"]} == {after["fingerprint"]}
    again = product.ask("POST", f"/v1/approvals/{approval['id']}/decision", {"decision": "approve"}, head)
    assert again.status_code == 409, again.text
    assert "decided" in again.json()["detail"]


def test_a_stale_version_is_refused_and_changes_nothing(product: Product, head: str) -> None:
    approval = product.every("/v1/approvals?state=pending")[-1]
    body = {"decision": "approve", "version": "0" * 64}

    answer = product.ask("POST", f"/v1/approvals/{approval['id']}/decision", body, head)

    assert answer.status_code == 412, answer.text
    assert product.get(f"/v1/approvals/{approval['id']}")["state"] == "pending"


def test_a_reload_that_lies_ends_in_rollback_and_the_owner_hears(product: Product) -> None:
    before = product.named("flash-04.dc")
    url = before["endpoints"][0]["url"]
    # Its own window opens minutes later; asking for it is what a person would do.
    asked = product.ask("POST", f"/v1/certificates/{before['id']}/renewals")
    assert asked.status_code == 202, asked.text

    def rolled_back() -> dict[str, Any] | None:
        now = product.certificate(before["id"])
        told = [note for note in now["deliveries"] if note["level"] == "owner" and note["state"] == "delivered"]
        return now if told and any(finding.startswith("rolled-back") for finding in now["findings"]) else None

    after = eventually(rolled_back, "rolled back, and the owner told")
    assert after["generation"] == 1
    assert after["severity"] in ("major", "critical")
    assert served(url) == before["fingerprint"]
    kinds = [event["kind"] for event in product.get(f"/v1/certificates/{before['id']}/timeline")["items"]]
    assert "rolled_back" in kinds
    assert len(after["orders"]) == 1


@pytest.fixture
def history(product: Product, tmp_path: Path) -> Path:
    """The history of the first generation of one that was renewed."""
    renewed = next(item for item in product.every("/v1/certificates?tier=internal") if item["generation"] > 1)
    file = tmp_path / "g1.json"
    done = product.run("history", renewed["id"], "--generation", "1", "--output-file", str(file))
    assert done.returncode == 0, done.stderr
    return file


def test_the_history_of_a_renewed_one_replays(product: Product, history: Path) -> None:
    done = product.run("replay", str(history))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same commands" in done.stdout


def test_one_altered_word_in_an_input_is_found_and_its_event_named(product: Product, history: Path) -> None:
    stored = json.loads(history.read_text())
    event = next(e for e in stored["events"] if _activity(e) == "place_order")
    payload = event["activityTaskScheduledEventAttributes"]["input"]["payloads"][0]
    plain = base64.b64decode(payload["data"])
    assert b"internal-ca" in plain
    payload["data"] = base64.b64encode(plain.replace(b"internal-ca", b"external-ca", 1)).decode()
    history.write_text(json.dumps(stored))

    done = product.run("replay", str(history))

    assert done.returncode == 1
    assert f"event {event['eventId']}" in done.stdout.lower() + done.stderr.lower()


def _activity(event: dict[str, Any]) -> str:
    attributes = event.get("activityTaskScheduledEventAttributes", {})
    return str(attributes.get("activityType", {}).get("name", ""))


def test_curl_itself_is_answered(product: Product) -> None:
    """The documented way of scripts: curl and a token, nothing of ours."""
    command = ["curl", "--silent", "--fail", "-H", f"Authorization: Bearer {product.token}", product.api + "/v1/status"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECONDS)
    except FileNotFoundError:
        lacks("curl", "the documented curl call was not tested")
    assert json.loads(done.stdout)["managed"] >= 320
