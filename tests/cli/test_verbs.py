"""The commands that ask the API, over a real HTTP socket, as a person and as a script use them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy.engine import Engine
from typer.testing import CliRunner, Result

from api.gateway import DiscoveryRun
from cli.main import app
from domain.errors import NotFound, NotReady, Refused
from domain.lifecycle.commands import DueMoments
from domain.tiers import Person, Role, Tier
from store import access
from tests.api.conftest import WorldGateway, open_house
from tests.domain.simulation import World
from tests.launcher.waiting import LONG_SECONDS, until


class Site:
    """The API at a free port; ``run`` calls one command with the token of a role."""

    def __init__(self, url: str, gateway: WorldGateway, tokens: dict[str, str], home: Path) -> None:
        self.url = url
        self.gateway = gateway
        self.tokens = tokens
        self.home = home

    def run(self, *arguments: str, who: str = "security-head") -> Result:
        environment = {
            "EVERLEAF_API_URL": self.url,
            "EVERLEAF_TOKEN": self.tokens.get(who, who),
            "EVERLEAF_HOME": str(self.home),
            "COLUMNS": "200",
        }
        return CliRunner().invoke(app, list(arguments), env=environment)

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.output)


@pytest.fixture
def site(database: Engine, tmp_path: Path) -> Iterator[Site]:
    world = World(tier=Tier.CUSTOMER_FACING, age=timedelta(days=280))
    world.adopt()
    world.run_until(world.now + timedelta(minutes=1))
    api, gateway, tokens = open_house(database, world)
    gateway.record()
    server = uvicorn.Server(uvicorn.Config(api, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Site(f"http://127.0.0.1:{port}", gateway, tokens, tmp_path)
    finally:
        server.should_exit = True
        thread.join(LONG_SECONDS)


def test_certificates_are_listed_for_people_and_for_scripts(site: Site) -> None:
    listed = site.run("certificates", "--tier", "customer-facing")
    assert listed.exit_code == 0
    assert "pay.example.in +1" in listed.output
    assert [item["id"] for item in site.json("certificates")["items"]] == ["mc-1"]
    assert site.json("certificates", "--owner", "nobody") == {"items": [], "more": False}


def test_one_certificate_is_shown_explained_and_told_from_the_beginning(site: Site) -> None:
    assert "tls://127.40.0.2:443" in site.run("certificate", "mc-1").output
    assert "the renewal case opens" in site.run("certificate", "mc-1", "--explain").output
    events = site.json("certificate", "mc-1", "--timeline")["items"]
    assert [event["seq"] for event in events] == list(range(len(site.gateway.world.happened)))


def test_an_approval_is_decided_by_its_own_id_or_its_certificates(site: Site) -> None:
    assert site.run("approve", "mc-1", "--reject", "--comment", "not now").exit_code == 0
    assert site.gateway.world.count("rejected") == 1
    assert isinstance(site.run("approve", "mc-1.1.1").exception, Refused)
    approved = site.run("approve", "mc-1.1.1", "--overrule")
    assert approved.exit_code == 0
    assert "approve: pay.example.in +1 by internal-ca" in approved.output
    again = site.run("approve", "mc-1.1.1")
    assert isinstance(again.exception, Refused)
    assert "approved" in str(again.exception)


def test_a_question_is_answered_with_one_of_its_words(site: Site) -> None:
    world = site.gateway.world
    first, *rest = world.state.places
    silent = replace(first, silent=3, silent_since=world.now - timedelta(days=8))
    world.state = replace(world.state, places=(silent, *rest))
    world.tell(DueMoments())
    site.gateway.record()
    assert "retired or moved or broken" in str(site.run("answer", "mc-1", "unseen", "gone").exception)
    assert "operator may not retire" in str(site.run("answer", "mc-1", "unseen", "retired", who="operator").exception)
    done = site.run("answer", "mc-1", "unseen", "broken", who="operator")
    assert done.exit_code == 0, done.exception
    assert "unseen: broken. answered" in done.output
    assert world.asked() == ["repair"]


def test_a_token_is_bound_to_a_person_of_its_role(
    database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.SECURITY_HEAD)])
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", database_url)
    create = ["token", "create", "--name", "laptop", "--person"]
    made = CliRunner().invoke(app, [*create, "asha", "--role", "security-head"])
    actor = access.authenticate(database, made.output.strip())
    assert actor is not None
    assert actor.id == "person/asha"
    wrong_role = CliRunner().invoke(app, [*create, "asha", "--role", "operator"])
    assert "asha is security-head in the policy, not operator" in str(wrong_role.exception)
    nobody = CliRunner().invoke(app, [*create, "ravi", "--role", "security-head"])
    assert "ravi is nobody in the policy" in str(nobody.exception)


def test_who_may_not_is_told_so(site: Site) -> None:
    refused = site.run("approve", "mc-1", who="auditor")
    assert isinstance(refused.exception, Refused)
    assert "auditor may not" in str(refused.exception)
    stranger = site.run("certificates", who="evl_wrong")
    assert "everleaf token create" in str(stranger.exception)


def test_wrong_input_is_said_with_its_remedy(site: Site) -> None:
    wrong = site.run("certificates", "--sort", "colour")
    assert "sort: 'colour' is not a sort" in str(wrong.exception)
    assert isinstance(site.run("certificate", "mc-9").exception, NotFound)
    assert site.run("approve", "mc-1", "--reject", "--hold").exit_code == 2


def test_a_discovery_is_started_and_waited_for(site: Site) -> None:
    assert site.run("discover").exit_code == 0
    assert len(site.gateway.asked) == 1

    def end_it(*_: object) -> None:
        for known in site.gateway.discoveries:
            site.gateway.discoveries[known] = DiscoveryRun("failed", "nobody is there")

    threading.Timer(0.5, end_it).start()
    failed = site.run("discover", "--wait", "--timeout", str(LONG_SECONDS))
    assert failed.exit_code == 1
    assert "nobody is there" in failed.output


def test_nothing_to_ask_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERLEAF_API_URL", raising=False)
    nothing = CliRunner().invoke(app, ["certificates", "--data-dir", str(tmp_path)])
    assert isinstance(nothing.exception, NotReady)
    assert "everleaf up" in str(nothing.exception)
    silent = CliRunner().invoke(app, ["certificates", "--url", "http://127.0.0.1:1", "--token", "evl_x"])
    assert isinstance(silent.exception, NotReady)


def test_the_local_token_is_never_sent_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVERLEAF_TOKEN", raising=False)
    (tmp_path / "token").write_text("evl_local\n")
    sent = CliRunner().invoke(app, ["certificates", "--url", "http://ca.example.in", "--data-dir", str(tmp_path)])
    assert isinstance(sent.exception, NotReady)
    assert "there is no token" in str(sent.exception)


def test_a_history_is_written_and_what_is_none_is_refused(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "g1.json"
    assert site.run("history", "mc-1", "--generation", "1", "--output-file", str(file)).exit_code == 0
    assert json.loads(file.read_text())["workflow_id"] == "certificate/mc-1"
    empty = site.run("replay", str(file))
    assert empty.exit_code == 1
    file.write_text("nonsense")
    assert "is not a history" in str(site.run("replay", str(file)).exception)
