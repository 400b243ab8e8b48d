"""`everleaf replay` on a real history, and `everleaf upgrade` on a real server with visibility."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console
from temporalio.testing import WorkflowEnvironment
from typer.testing import CliRunner

from cli import replaying
from cli.api_client import Api
from cli.main import app
from cli.upgrading import tell_all
from domain.names import LIFECYCLE_QUEUE, certificate_workflow
from domain.tiers import Tier
from tests.domain.simulation import World
from tests.workflows.conftest import Theatre
from tests.workflows.conftest import env as env
from tests.workflows.conftest import theatre as theatre
from workflows.converter import DATA_CONVERTER
from workflows.lifecycle import CertificateLifecycle, Start


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


async def test_upgrade_signals_every_lifecycle_once(temporal_binary: Path) -> None:
    made = await WorkflowEnvironment.start_local(
        data_converter=DATA_CONVERTER,
        dev_server_existing_path=str(temporal_binary),
    )
    async with made:
        for number in range(5):
            await made.client.start_workflow(
                CertificateLifecycle.run,
                Start(f"mc-{number}"),
                id=certificate_workflow(f"mc-{number}"),
                task_queue=LIFECYCLE_QUEUE,
            )
        await all_listed(made, 5)
        assert await tell_all(made.client, 2, 0.0) == 5
        history = await made.client.get_workflow_handle(certificate_workflow("mc-3")).fetch_history()
        signals = [
            event.workflow_execution_signaled_event_attributes.signal_name
            for event in history.events
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert signals == ["upgrade"]


async def all_listed(made: WorkflowEnvironment, count: int) -> None:
    """Visibility follows the start by some milliseconds."""
    for _ in range(1200):
        if (await made.client.count_workflows('ExecutionStatus = "Running"')).count == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not every lifecycle is listed")
