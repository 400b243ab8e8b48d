"""`everleaf replay` on a real history, and `everleaf upgrade` on a real server with visibility."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from typer.testing import CliRunner

from cli import replaying
from cli.api_client import Api
from cli.main import app
from cli.upgrading import all_changes, change_all
from domain.lifecycle.rules import NEWEST
from domain.names import LIFECYCLE_QUEUE, certificate_workflow
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Theatre
from tests.workflows.conftest import env as env
from tests.workflows.conftest import theatre as theatre
from workflows.converter import DATA_CONVERTER
from workflows.lifecycle import CertificateLifecycle, Start
from workflows.messenger import Messenger
from workflows.search import RULES


async def test_replay_of_a_file_is_good_or_names_the_first_event(theatre: Theatre, tmp_path: Path) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=timedelta(days=304)))
    await stage.pass_time(timedelta(days=3))
    run = stage.activities.archived[0].run_id
    history = await theatre.env.client.get_workflow_handle(stage.handle.id, run_id=run).fetch_history()
    file = tmp_path / "g1.json"
    file.write_text(history.to_json())
    told = await asyncio.to_thread(CliRunner().invoke, app, ["replay", str(file), "--workflow-id", stage.handle.id])
    assert told.exit_code == 0, told.output
    assert "the same commands with the same inputs" in told.output

    living = await theatre.env.client.get_workflow_handle(stage.handle.id).fetch_history()
    file.write_text(living.to_json())
    cut = await asyncio.to_thread(CliRunner().invoke, app, ["replay", str(file), "--workflow-id", stage.handle.id])
    assert cut.exit_code == 1
    assert "cut short" in " ".join(cut.output.split())


class Archive(Api):
    """Answers like the API over two runs of one certificate; a fake: nothing is asked over HTTP."""

    texts: ClassVar[dict[str, str]] = {}

    def get(self, path: str, **filters: Any) -> dict[str, Any]:
        runs = [{"generation": 1, "run_id": url, "url": url, "live": url == "living"} for url in self.texts]
        return {"workflow_id": "certificate/mc-1", "runs": runs}

    def text(self, path: str) -> str:
        return self.texts[path]


async def test_every_run_of_a_certificate_is_replayed(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    stage = await theatre.stage(World(tier=Tier.INTERNAL, age=timedelta(days=304)))
    await stage.pass_time(timedelta(days=3))
    client = theatre.env.client
    run = stage.activities.archived[0].run_id
    ended = await client.get_workflow_handle(stage.handle.id, run_id=run).fetch_history()
    living = await client.get_workflow_handle(stage.handle.id).fetch_history()
    api = Archive("http://127.0.0.1:1", "evl_x")
    api.texts.update(ended=ended.to_json(), living=living.to_json())
    histories = replaying.from_api(api, "mc-1", None)
    assert await asyncio.to_thread(replaying.run, histories, Console()) is False
    assert capsys.readouterr().out.count("the same commands") == 2


async def test_upgrade_says_and_does_for_each_lifecycle_what_its_rules_need(temporal: WorkflowEnvironment) -> None:
    async with temporal as made:
        for number, rules in enumerate((None, "0.1.5", NEWEST, "0.1.5", None)):
            given = TypedSearchAttributes([SearchAttributePair(RULES, rules)] if rules else [])
            await made.client.start_workflow(
                CertificateLifecycle.run,
                Start(f"mc-{number}"),
                id=certificate_workflow(f"mc-{number}"),
                task_queue=LIFECYCLE_QUEUE,
                search_attributes=given,
            )
        await all_listed(made, 5)
        wanted = {change.managed_id: change for change in await all_changes(made.client)}
        anew, continues = "begun anew from the store", "continues as new"
        assert {name: (change.rules, change.to, change.how) for name, change in wanted.items()} == {
            "mc-0": ("0.1.0", NEWEST, anew),
            "mc-1": ("0.1.5", NEWEST, continues),
            "mc-3": ("0.1.5", NEWEST, continues),
            "mc-4": ("0.1.0", NEWEST, anew),
        }
        assert not any(change.busy for change in wanted.values())
        # Saying it has done nothing.
        assert [await events_of(made, number) for number in range(5)] == [["started"]] * 5

        assert await change_all(made.client, Messenger(made.client), 2, 0.0) == 4
        assert [await events_of(made, number) for number in range(5)] == [
            ["started with its state"],
            ["started", "upgrade"],
            ["started"],
            ["started", "upgrade"],
            ["started with its state"],
        ]


async def events_of(made: WorkflowEnvironment, number: int) -> list[str]:
    """How the present run of a lifecycle began, and the signals that it got."""
    found = []
    async for event in made.client.get_workflow_handle(certificate_workflow(f"mc-{number}")).fetch_history_events():
        if event.HasField("workflow_execution_started_event_attributes"):
            given = event.workflow_execution_started_event_attributes.input.payloads[0]
            start = DATA_CONVERTER.payload_converter.from_payload(given, Start)
            found.append("started with its state" if start.state is not None else "started")
        if event.HasField("workflow_execution_signaled_event_attributes"):
            found.append(event.workflow_execution_signaled_event_attributes.signal_name)
    return found


async def all_listed(made: WorkflowEnvironment, count: int) -> None:
    """Visibility follows the start by some milliseconds."""
    for _ in range(1200):
        if (await made.client.count_workflows('ExecutionStatus = "Running"')).count == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not every lifecycle is listed")
