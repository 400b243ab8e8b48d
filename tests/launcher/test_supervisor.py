"""The supervisor with small programs as its parts."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.home import Home, write_private
from cli.parts import Surroundings, api, watcher, workers
from cli.ports import choose
from cli.process import Child, free_port
from cli.supervisor import Supervisor
from domain.errors import BadInput, NotReady
from tests.launcher.waiting import LONG_SECONDS, has_ended, until

PARENT = """
import sys, time
from pathlib import Path
from cli.parts import Surroundings, api, workers
from cli.ports import choose
from cli.process import Child, free_port
import os
child = Child("sleeper", ["sleep", "600"], os.environ, Path(sys.argv[1]) / "log")
child.start()
print(child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def heard() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, heard: list[tuple[str, str]]) -> Iterator[Supervisor]:
    home = Home(tmp_path / "home")
    home.prepare()
    supervisor = Supervisor(home, lambda part, state, _: heard.append((part, state)))
    yield supervisor
    supervisor.stop()


def sleeper(supervisor: Supervisor, name: str) -> Child:
    return Child(name, ["sleep", "600"], os.environ, supervisor.home.log(name))


def test_a_part_that_is_killed_is_started_again_and_counted(supervisor: Supervisor) -> None:
    supervisor.start(sleeper(supervisor, "one"))
    part = supervisor.parts[0]
    assert part.child is not None
    assert part.child.process is not None
    part.child.process.kill()
    part.child.process.wait(LONG_SECONDS)

    supervisor.watch()
    assert supervisor.home.read_run()["state"] == "degraded"

    def is_back() -> bool:
        supervisor.watch()
        return part.state == "ready"

    until(is_back)
    assert part.restarts == 1
    assert supervisor.home.read_run()["state"] == "ready"


def test_a_part_that_ends_while_starting_says_its_last_words(supervisor: Supervisor) -> None:
    wrong = Child("wrong", ["sh", "-c", "echo no such policy; exit 3"], os.environ, supervisor.home.log("wrong"))

    with pytest.raises(NotReady, match="no such policy"):
        supervisor.start(wrong)


def test_parts_are_stopped_in_reverse_order(supervisor: Supervisor, heard: list[tuple[str, str]]) -> None:
    supervisor.start(sleeper(supervisor, "first"))
    supervisor.start(sleeper(supervisor, "second"))

    supervisor.stop()

    stopped = [part for part, state in heard if state == "stopped"]
    assert stopped == ["second", "first"]
    assert supervisor.home.read_run()["state"] == "stopped"


def test_a_child_does_not_survive_the_kill_of_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())

    parent.send_signal(signal.SIGKILL)
    parent.wait(LONG_SECONDS)

    assert has_ended(pid)


def test_a_second_supervisor_is_refused_while_the_first_holds_the_directory(supervisor: Supervisor) -> None:
    with supervisor.home.held():
        assert supervisor.home.is_held()
        with pytest.raises(NotReady, match="another everleaf is starting"), supervisor.home.held():
            pass
    assert not supervisor.home.is_held()


def test_keys_are_made_once_and_are_private(supervisor: Supervisor) -> None:
    home = supervisor.home
    home.make_keys()
    before = home.ca_kek.read_bytes()

    home.make_keys()

    assert home.ca_kek.read_bytes() == before != home.leaf_kek.read_bytes()
    assert {file.stat().st_mode & 0o777 for file in (home.ca_kek, home.leaf_kek)} == {0o600}
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "token", b"one")
    write_private(tmp_path / "token", b"two")

    assert [file.name for file in tmp_path.iterdir()] == ["token"]
    assert (tmp_path / "token").read_bytes() == b"two"


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match="--data-dir"):
        Home(tmp_path / "file").prepare()


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.home.LEAST_FREE_BYTES", 10**18)
    home = Home(tmp_path / "home")

    with pytest.raises(NotReady, match="as good as full"):
        home.prepare()

    assert not list(home.path.iterdir())


def test_each_worker_is_told_only_the_keys_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLEAF_CA_KEK", "/elsewhere/ca.kek")
    surroundings = Surroundings(Home(tmp_path), "postgresql://", "127.0.0.1:1", "default", 1, "", "policy.yaml")

    told = {
        child.name: {name for name in child.environment if name.endswith("_KEK")}
        for child in (*workers(surroundings), api(surroundings), watcher(surroundings))
    }

    assert told == {
        "worker-lifecycle": {"EVERLEAF_LEAF_KEK"},
        "worker-scan": set(),
        "worker-issue": {"EVERLEAF_CA_KEK"},
        "api": set(),
        "watcher": set(),
    }


def test_free_ports_are_kept_and_taken_ones_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.ports.PATIENCE_SECONDS", 0.0)
    home = Home(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        kept, lost = free_port(), taken.getsockname()[1]
        write_private(home.ports_file, json.dumps({"temporal": lost, "temporal_ui": kept}).encode())

        ports = choose(home)

    assert ports.temporal_ui == kept
    assert ports.temporal != lost
    assert choose(home) == ports
