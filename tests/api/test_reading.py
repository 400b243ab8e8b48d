"""What the API shows: certificates, discoveries, histories, the whole."""

import json
import re
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import Engine

from api.gateway import DiscoveryRun
from store.histories import History, keep_history
from tests.api.conftest import House, open_house
from tests.domain.simulation import World
from tests.policies import whole

POLICY = """
people: [{id: asha, name: Asha Rao, email: asha@example.in, role: security-head}]
scope: {cidrs: [127.40.0.0/16], ports: [8443], names: [pay.example.in], paths: ["/srv/vpn/*.pem"]}
"""


async def test_a_certificate_is_listed_with_everything_a_list_needs(house: House) -> None:
    item = (await house.ask("GET", "/v1/certificates?tier=customer-facing&q=pay")).json()["items"][0]
    assert item["id"] == "mc-1"
    assert item["workflow_id"] == "certificate/mc-1"
    assert item["state"] == "awaiting-approval"
    assert item["tier_reason"] == "rule x"
    assert item["not_after"].endswith("Z")
    wanted = "names tier owner service issuer trust_class severity next_action next_action_at"
    assert set(wanted.split()) <= set(item)
    assert (await house.ask("GET", "/v1/certificates?tier=internal")).json() == {"items": [], "next_cursor": None}


async def test_one_certificate_shows_where_it_is_served(house: House) -> None:
    detail = (await house.ask("GET", "/v1/certificates/mc-1")).json()
    assert {endpoint["url"] for endpoint in detail["endpoints"]} == {
        "tls://127.40.0.1:443?sni=pay.example.in",
        "tls://127.40.0.2:443",
    }
    assert all(endpoint["matches"] for endpoint in detail["endpoints"])
    assert all(endpoint["last_seen_fingerprint"] == detail["fingerprint"] for endpoint in detail["endpoints"])
    assert detail["case"]["stage"] == "awaiting-approval"


async def test_a_timeline_is_read_page_by_page(house: House) -> None:
    first = (await house.ask("GET", "/v1/certificates/mc-1/timeline?limit=2")).json()
    assert [event["seq"] for event in first["items"]] == [0, 1]
    rest = (await house.ask("GET", f"/v1/certificates/mc-1/timeline?after={first['next_after']}")).json()
    assert [event["seq"] for event in rest["items"]] == list(range(2, len(house.gateway.world.happened)))


async def test_explain_gives_the_sums_and_says_whether_the_list_lags(house: House) -> None:
    told = (await house.ask("GET", "/v1/certificates/mc-1/explain")).json()
    assert told["because"][0]["what"] == "the renewal case opens"
    assert "90 days" in told["because"][0]["sum"]
    assert told["read_model_lags"] is False
    house.gateway.world.run_until(house.gateway.world.now + timedelta(days=60))
    assert (await house.ask("GET", "/v1/certificates/mc-1/explain")).json()["read_model_lags"] is True


async def test_a_history_lists_archived_and_live_runs_of_a_generation(house: House, database: Engine) -> None:
    text = '{"events": [{"eventId": "1"}]}'
    kept = History("certificate/mc-1", "run-1", 1, "test", text, 1)
    keep_history(database, kept, house.gateway.world.now)
    whole = (await house.ask("GET", "/v1/certificates/mc-1/history?generation=1")).json()
    assert [(run["run_id"], run["archived"], run["live"]) for run in whole["runs"]] == [
        ("run-1", True, False),
        ("run-2", False, True),
    ]
    assert whole["events"] == []
    assert (await house.ask("GET", whole["runs"][0]["url"])).text == text
    assert (await house.ask("GET", "/v1/certificates/mc-1/history?generation=7")).status_code == 404


async def test_a_discovery_is_started_watched_and_seen_to_fail(house: House) -> None:
    answer = await house.ask("POST", "/v1/discoveries", "automation", json={}, headers={"idempotency-key": "k"})
    assert answer.status_code == 202
    operation = answer.json()
    assert answer.headers["location"] == operation["resource"] == f"/v1/discoveries/{operation['id']}"
    assert operation["workflow_id"] == f"discovery/{operation['id']}"
    again = await house.ask("POST", "/v1/discoveries", "automation", json={}, headers={"idempotency-key": "k"})
    assert again.json() == operation
    assert len(house.gateway.asked) == 1
    other = {"cidrs": ["127.40.0.0/24"]}
    answer = await house.ask("POST", "/v1/discoveries", "automation", json=other, headers={"idempotency-key": "k"})
    assert answer.status_code == 422
    watched = (await house.ask("GET", operation["resource"])).json()
    assert (watched["status"], watched["progress"]["pages"]) == ("running", 3)
    house.gateway.discoveries[operation["id"]] = DiscoveryRun("failed", "cidrs: is outside")
    watched = (await house.ask("GET", operation["resource"])).json()
    assert (watched["status"], watched["detail"]) == ("failed", "cidrs: is outside")
    assert (await house.ask("POST", "/v1/discoveries", "automation")).status_code == 202


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"cidrs": ["127.40.1.0/24", "10.0.0.0/8"]}, "cidrs.1"),
        ({"cidrs": ["somewhere"]}, "cidrs.0"),
        ({"ports": [22]}, "ports.0"),
        ({"names": ["other.example.in"]}, "names.0"),
        ({"paths": ["/etc/**/*.pem"]}, "paths.0"),
        # Refused here as the workflow would: a 202 for what cannot begin would be a lie.
        ({"paths": ["/srv/vpn/\u202e.pem"]}, "paths.0"),
        ({"names": ["pay.example.in"] * 1001}, "names"),
        ({"paths": ["/srv/vpn/../../etc/key.pem"]}, "paths.0"),
    ],
)
async def test_a_discovery_outside_the_scope_is_refused_with_the_field(
    database: Engine, world: World, tmp_path: Path, asked: dict[str, object], field: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(whole(POLICY))
    app, gateway, tokens = open_house(database, world, str(policy))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://everleaf") as client:
        house = House(app, client, gateway, tokens)
        answer = await house.ask("POST", "/v1/discoveries", json=asked)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
        assert answer.json()["errors"][0]["remedy"]
        inside = {"cidrs": ["127.40.7.0/24"], "ports": [8443], "names": ["pay.example.in"], "paths": ["/srv/vpn/a.pem"]}
        assert (await house.ask("POST", "/v1/discoveries", json=inside)).status_code == 202
        policy.write_text("people: 7")
        broken = await house.ask("POST", "/v1/discoveries", json={})
        assert broken.status_code == 503
        assert "policy.yaml:1" in broken.json()["detail"]
    assert len(gateway.asked) == 1


async def test_a_renewal_is_asked_once_and_retirement_ends_it(house: House) -> None:
    refused = await house.ask("POST", "/v1/certificates/mc-1/renewals", "admin")
    assert refused.status_code == 409
    retired = await house.ask("POST", "/v1/certificates/mc-1/retirement", json={"reason": "decommissioned"})
    assert retired.status_code == 200
    assert (await house.ask("GET", "/v1/certificates/mc-1")).json()["state"] == "retired"
    refused = await house.ask("POST", "/v1/certificates/mc-1/renewals", "operator")
    assert (refused.status_code, refused.json()["detail"][:7]) == (409, "retired")


async def test_an_acknowledgement_has_an_end(house: House) -> None:
    body = {"level": "security-head", "until": "2036-12-01T00:00:00Z"}
    answer = await house.ask("POST", "/v1/certificates/mc-1/acknowledgements", "operator", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "until"


async def test_status_counts_and_says_settled(house: House) -> None:
    seen = (await house.ask("GET", "/v1/status", "noc")).json()
    assert seen["settled"] is False
    assert seen["pending_approvals"] == 1
    assert seen["counts"]["by_state"] == {"awaiting-approval": 1}
    assert seen["temporal"] == {"reachable": True}


async def test_the_description_is_generated_with_stable_names(house: House) -> None:
    described = (await house.ask("GET", "/openapi.json", "")).json()
    assert described["openapi"].startswith("3.1")
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {"list_certificates", "decide_approval", "start_discovery"} <= set(names)
    assert "HTTPValidationError" not in json.dumps(described)
    links = (await house.ask("GET", "/v1", "")).json()["links"]
    assert links["certificates"] == "/v1/certificates"


async def test_the_reference_page_needs_nothing_from_elsewhere(house: House) -> None:
    page = await house.ask("GET", "/docs", "")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "GET /v1/certificates" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    # Files alone: an inline script or style would be refused by the policy.
    scripts = re.findall(r"<script[^>]*>([^<]*)", page.text)
    assert scripts == ["", "", ""]
    assert "<style" not in page.text
    for file in re.findall(r"(?:src|href)='(/static/[^']+)'", page.text):
        assert (await house.ask("GET", file, "")).status_code == 200
