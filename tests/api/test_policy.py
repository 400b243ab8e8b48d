"""The policy in force as JSON, and a new one checked line by line."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.routes.policy import LARGEST_POLICY_BYTES
from domain.names import order_key
from formats.policy import MOST_TOLD, version_of
from store import access, tables
from tests.api.conftest import House, open_house
from tests.api.test_problems import is_problem
from tests.api.test_reading import POLICY
from tests.domain.policies import NOW
from tests.domain.simulation import World
from tests.policies import whole


async def test_the_policy_in_force_is_read_with_its_version(database: Engine, world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(whole(POLICY))
    app, gateway, tokens = open_house(database, world, str(file))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://everleaf") as client:
        house = House(app, client, gateway, tokens)
        answer = await house.ask("GET", "/v1/policy", "auditor")
        assert answer.json()["version"].startswith("sha256:")
        assert answer.json()["policy"]["scope"]["names"] == ["pay.example.in"]
        assert answer.json()["policy"]["tiers"][0]["opens"] == "P90D"
        etag = answer.headers["etag"]
        assert etag == f'"{answer.json()["version"]}"'
        same = await house.ask("GET", "/v1/policy", headers={"if-none-match": etag})
        assert same.status_code == 304
        file.write_text("people: 1")
        assert is_problem(await house.ask("GET", "/v1/policy"), 503)


async def test_a_policy_that_was_in_force_is_read_by_the_version_that_histories_name(
    house: House, database: Engine
) -> None:
    access.keep_policy(database, version_of(POLICY.encode()), POLICY, NOW)
    answer = await house.ask("GET", f"/v1/policy?version={version_of(POLICY.encode())}", "auditor")
    assert answer.json()["policy"]["people"][0]["id"] == "asha"
    assert is_problem(await house.ask("GET", "/v1/policy?version=sha256:0"), 404)
    access.keep_policy(database, "sha256:1", "colour: red", NOW)
    assert is_problem(await house.ask("GET", "/v1/policy?version=sha256:1"), 503)


async def test_while_the_file_is_bad_the_last_good_policy_is_shown_and_said_to_hold(
    database: Engine, world: World, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(whole(POLICY))
    app, gateway, tokens = open_house(database, world, str(file))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://everleaf") as client:
        house = House(app, client, gateway, tokens)
        good = await house.ask("GET", "/v1/policy")
        assert good.json()["problem"] == ""
        access.keep_policy(database, good.json()["version"], whole(POLICY), NOW)
        file.write_text(whole(POLICY)[:-40])
        held = await house.ask("GET", "/v1/policy", headers={"if-none-match": good.headers["etag"]})
        assert (held.status_code, held.json()["version"]) == (200, good.json()["version"])
        assert "policy.yaml:" in held.json()["problem"] and "was cut" in held.json()["problem"]
        # Its scope bounds discoveries as before.
        outside = await house.ask("POST", "/v1/discoveries", json={"cidrs": ["10.0.0.0/24"]})
        assert is_problem(outside, 422) and "outside the policy's scope" in outside.text


async def test_no_policy_file_is_said(house: House) -> None:
    assert is_problem(await house.ask("GET", "/v1/policy"), 404)


async def check(house: House, text: bytes, kind: str = "application/yaml") -> Any:
    return await house.ask("POST", "/v1/policy/validations", content=text, headers={"content-type": kind})


async def test_a_good_policy_is_valid(house: House) -> None:
    answer = await check(house, whole(POLICY).encode(), "text/plain; charset=utf-8")
    assert answer.status_code == 200
    assert answer.json()["valid"] is True
    assert answer.json()["errors"] == []


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        (b"people:\n  - {id: asha, name: Asha, email: a@b.in, role: king}\n", 2, "people[0].role"),
        (b"people: []\ncolour: red\n", 2, "colour"),
        (b"people: [\n", 2, "policy"),
        (b"", 1, "policy"),
        (b"\xff", 1, "policy"),
        (b"since: 2020-13-45", 1, "policy"),
        (b"[" * 2000, 1, "policy"),
    ],
)
async def test_a_mistake_is_named_with_its_line(house: House, text: bytes, line: int, field: str) -> None:
    answer = await check(house, text)
    assert answer.status_code == 200
    told = answer.json()
    assert told["valid"] is False
    assert (told["errors"][0]["line"], told["errors"][0]["field"]) == (line, field)
    assert told["errors"][0]["remedy"]


async def test_mistakes_are_told_together(house: House) -> None:
    form = (await check(house, whole("people: []\ncolour: red\nshape: round\n").encode())).json()["errors"]
    assert [(one["line"], one["field"]) for one in form] == [(2, "colour"), (3, "shape")]
    lacking = (await check(house, b"people: []\ncolour: red\n")).json()["errors"]
    assert [(one["line"], one["field"]) for one in lacking[:3]] == [(2, "colour"), (3, "policy"), (1, "tiers")]
    assert "write `tiers: []`" in lacking[2]["remedy"]
    headless = POLICY.replace("role: security-head", "role: noc").replace("8443", "99999")
    values = (await check(house, whole(headless).encode())).json()["errors"]
    assert [one["field"] for one in values] == ["people", "scope.ports[0]"]
    many = (await check(house, b"people: []\n" + b"".join(b"a%d: 1\n" % n for n in range(90)))).json()["errors"]
    assert len(many) == MOST_TOLD


async def test_an_escalation_that_renewals_have_outlasted_is_refused_and_warned_of(
    house: House, database: Engine
) -> None:
    """Twenty renewals of customer-facing certificates took forty days each, longer than the 30 of its escalation."""
    with database.begin() as connection:
        for number in range(20):
            key = {"managed_id": "mc-1", "generation": 90 + number, "number": 1}
            case = {"cause": "lead-time", "stage": "verifying", "outcome": "verified", "order_key": ""}
            times = {"opened_at": NOW, "closed_at": NOW + timedelta(days=40)}
            connection.execute(sa.insert(tables.cases).values(**key, **case, **times))
            order = {
                "order_key": order_key("mc-1", 90 + number, 1, 1),
                "managed_id": "mc-1",
                "plan": {},
                "approved_by": "",
                "key_id": "k",
            }
            state = {"csr": b"", "state": "issued", "detail": "", "placed_at": NOW}
            connection.execute(sa.insert(tables.orders).values(**order, **state))
    text = POLICY + "profiles: [{name: year, validity: 365d}]\n"
    told = (await check(house, whole(text).encode())).json()
    assert [one["field"] for one in told["errors"]] == ["tiers[0].rungs"], told
    assert "95 in 100 renewals took up to 40 days" in told["errors"][0]["detail"]
    # A ladder that is not whole is told as such, and is no reason to fall.
    headless = (
        text
        + "tiers: [{tier: customer-facing, opens: 90d, issues: 60d, asks: true, rungs: [{lead: 30d, to: owner}]}]\n"
    )
    told = (await check(house, whole(headless).encode())).json()
    assert "no rung reaches the security head" in told["errors"][0]["detail"]
    warned = (await house.ask("GET", "/v1/certificates/mc-1/explain")).json()["warnings"]
    assert any("leaves 30 days, but 95 in 100 renewals" in one for one in warned), warned


async def test_a_policy_has_a_size_and_a_kind(house: House) -> None:
    assert is_problem(await check(house, b"#" * (LARGEST_POLICY_BYTES + 1)), 413)
    assert is_problem(await check(house, b"{}", "application/json"), 415)
