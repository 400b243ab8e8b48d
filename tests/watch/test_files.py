"""The watcher's memory: whole or told, never silently another."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.notifiers.watch_files import Files
from cli.home import PROJECT
from domain.errors import BadInput, NotReady
from domain.settings import WatchSettings, parse, parse_watch
from domain.vitals import Fault, Kind, Place
from domain.watching import Carried, Inventory, Memory, Owed, Watched
from formats.watch_memory import read_carried, read_inventory, read_status, write_carried, write_inventory
from tests.launcher.waiting import LONG_SECONDS
from tests.watch.conftest import World
from tests.watch.world import http_server, unused_port
from watch import Rounds

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
FAULT = Fault(Kind.TEMPORAL, "", "is silent", "start it")
CARRIED = Carried(
    Memory((Watched(FAULT, NOW, NOW),), ((Kind.TEMPORAL, NOW),)), (Owed("mail", "k", "s", "b", NOW),), True
)
INVENTORY = Inventory(NOW, (Place("tls://10.0.0.1:443", "a.in", NOW, NOW, None),), ("head@example.in",))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "watch")
    with files.held():
        files.keep("memory.json", write_carried(CARRIED))
        files.keep("inventory.json", write_inventory(INVENTORY))
    return files


def test_what_was_kept_comes_back_and_is_private(files: Files) -> None:
    assert files.open() == (CARRIED, INVENTORY)
    assert files.lost == ""
    assert {file.stat().st_mode & 0o777 for file in files.folder.glob("*.json")} == {0o600}


@pytest.mark.parametrize("name", ["memory.json", "inventory.json"])
def test_what_is_cut_or_gone_is_named_and_begun_anew(files: Files, name: str) -> None:
    file = files.folder / name
    file.write_bytes(file.read_bytes()[:-7])
    cut = files.open()
    assert name in files.lost
    assert cut != (CARRIED, INVENTORY)

    file.unlink()
    files.open()
    assert files.lost == f"{name} is not there any more"


def test_a_first_start_has_lost_nothing(tmp_path: Path) -> None:
    files = Files(tmp_path / "watch")
    with files.held():
        assert files.open() == (Carried(), None)
        assert files.lost == ""
        with pytest.raises(NotReady, match="EVERLEAF_WATCH_DIR"), Files(files.folder).held():
            pass


def test_an_instant_without_a_zone_is_damage() -> None:
    told = json.loads(write_inventory(INVENTORY))
    told["taken_at"] = "2026-11-30T12:00:00"

    with pytest.raises(BadInput, match="zone"):
        read_inventory(json.dumps(told).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_stands_in_the_file_it_is_read_or_refused(data: bytes) -> None:
    for read in (read_carried, read_inventory, read_status):
        # Anything else that it raised would end the watcher at its start.
        with contextlib.suppress(BadInput):
            read(data)


@pytest.mark.server
async def test_a_damaged_memory_is_told_at_once_and_the_rounds_are_kept(world: World, files: Files) -> None:
    (files.folder / "memory.json").write_text("{}}")
    world.watcher.carried, world.watcher.inventory = files.open()
    world.watcher.lost = files.lost

    await world.round()

    assert "watcher's memory: memory.json" in world.mailbox.subjects()[0]
    await world.rounds(4)
    assert len(world.mailbox.letters) == 2
    assert "all clear" in world.mailbox.subjects()[1]


@pytest.mark.server
async def test_each_round_is_kept_shown_and_told_to_a_monitor_elsewhere(world: World, files: Files) -> None:
    stopped = asyncio.Event()
    with http_server() as monitor:
        world.watcher.own = WatchSettings(ping=f"{monitor.url}/ping/abc", api=world.api.url)
        running = asyncio.create_task(Rounds(world.watcher, files).run(stopped))
        while not monitor.asked:  # noqa: ASYNC110  # a thread makes it true
            await asyncio.sleep(0.05)
        stopped.set()
        await running

    status = read_status((files.folder / "status.json").read_bytes())
    assert monitor.asked == ["/ping/abc"]
    assert set(status.routes) == {"mail", "webhook"}
    assert not status.is_late(datetime.now(UTC))
    assert status.is_late(datetime.now(UTC) + timedelta(minutes=5))


def environment(world: World, **more: str) -> dict[str, str]:
    settings = world.watcher.settings
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
    return plain | {
        "EVERLEAF_HOME": settings.home,
        "EVERLEAF_DATABASE_URL": settings.database_url,
        "EVERLEAF_TEMPORAL_ADDRESS": settings.temporal_address,
        "EVERLEAF_POLICY": settings.policy,
        "EVERLEAF_API_URL": world.api.url,
        "EVERLEAF_SMTP_URL": settings.smtp_url,
        **more,
    }


def run_once(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "watch.py", "--once"]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONG_SECONDS)


@pytest.mark.server
async def test_once_prints_what_it_finds_tells_nobody_and_ends_with_1(world: World) -> None:
    await world.round()
    well = await asyncio.to_thread(run_once, environment(world))
    assert (well.returncode, well.stdout) == (0, "All is well.\n"), well.stderr

    nowhere = f"127.0.0.1:{unused_port()}"
    ill = await asyncio.to_thread(run_once, environment(world, EVERLEAF_TEMPORAL_ADDRESS=nowhere))

    assert ill.returncode == 1
    assert ill.stdout.startswith(f"temporal: it does not answer at {nowhere}")
    assert world.mailbox.letters == []


def test_a_setting_that_cannot_be_is_refused_by_name() -> None:
    plain = {"EVERLEAF_HOME": "/h", "EVERLEAF_DATABASE_URL": "postgresql:///x", "EVERLEAF_TEMPORAL_ADDRESS": "t:1"}
    own = parse_watch(plain, parse(plain))
    assert (own.every, own.patience) == (timedelta(seconds=60), timedelta(seconds=600))
    for name, value in {
        "EVERLEAF_WATCH_EVERY_SECONDS": "0",
        "EVERLEAF_WATCH_PATIENCE_SECONDS": "ten",
        "EVERLEAF_WATCH_OWN": "pages.example.in",
    }.items():
        with pytest.raises(BadInput, match=name):
            parse_watch(plain | {name: value}, parse(plain))
