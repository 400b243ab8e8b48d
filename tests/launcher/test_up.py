"""`up --no-demo` as a user starts it: it comes up, dies without a trace, and continues."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.home import PROJECT, Home, write_private
from cli.process import free_port
from tests.launcher.waiting import LONG_SECONDS, has_ended, until

pytestmark = pytest.mark.e2e


class Installation:
    """One data directory and the commands on it."""

    def __init__(self, directory: Path) -> None:
        self.home = Home(directory)
        self.home.prepare()
        # Another installation may hold the usual ports of this machine.
        ports = {name: free_port() for name in ("temporal", "temporal_ui", "api")}
        write_private(self.home.ports_file, json.dumps(ports).encode())
        self.up: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(self.home.path)]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
        return subprocess.run(
            self.command(*arguments),
            cwd=PROJECT,
            env=clean | environment,
            capture_output=True,
            text=True,
            timeout=LONG_SECONDS,
        )

    def start(self) -> None:
        with self.home.up_log.open("ab") as log:
            self.up = subprocess.Popen(self.command("up", "--no-demo"), cwd=PROJECT, stdout=log, stderr=log)

    def status(self, *arguments: str) -> dict[str, Any]:
        done = self.run("status", "--output", "json", *arguments)
        assert done.returncode == 0, done.stderr + self.home.up_log.read_text()
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def ready(self) -> dict[str, Any]:
        return self.status("--wait", "ready", "--timeout", str(LONG_SECONDS))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "home")
    yield installation
    installation.run("down")
    if installation.up is not None and installation.up.poll() is None:
        installation.up.kill()
        installation.up.wait(LONG_SECONDS)


def test_nothing_survives_a_kill_and_the_second_start_continues(installation: Installation) -> None:
    installation.start()
    first = installation.ready()
    token = installation.home.token_file.read_bytes()
    assert installation.up is not None

    installation.up.send_signal(signal.SIGKILL)
    installation.up.wait(LONG_SECONDS)

    assert all(has_ended(part["pid"]) for part in first["parts"])
    assert installation.status()["state"] == "stopped"
    installation.start()
    second = installation.ready()
    assert second["urls"] == first["urls"]
    assert installation.home.token_file.read_bytes() == token
    assert {part["state"] for part in second["parts"]} == {"ready"}


def test_down_stops_every_part_and_reset_removes_everything(installation: Installation) -> None:
    assert installation.run("up", "--no-demo", "--detach").returncode == 0
    parts = installation.status()["parts"]

    assert installation.run("down").returncode == 0
    assert all(has_ended(part["pid"]) for part in parts)
    assert installation.run("reset", "--yes").returncode == 0
    assert not installation.home.path.exists()


def test_the_doctor_finds_a_running_installation_well(installation: Installation) -> None:
    installation.start()
    installation.ready()

    done = installation.run("doctor", "--output", "json")

    assert done.returncode == 0, done.stdout
    outcomes = {finding["name"]: finding["outcome"] for finding in json.loads(done.stdout)}
    # This one has no mail server, which is said and stops nothing, and its policy names no time server.
    others = {name: one for name, one in outcomes.items() if one != "good"}
    assert others == {"mail route": "warned", "third witness": "skipped"}


def test_killed_servers_and_one_that_hangs_are_started_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLEAF_HUNG_SECONDS", "1")
    installation.start()
    pids = {part["name"]: part["pid"] for part in installation.ready()["parts"]}
    killed = {"postgres", "temporal", "worker-scan"}

    for name in killed:
        os.kill(pids[name], signal.SIGKILL)
    # Its port still accepts.
    os.kill(pids["api"], signal.SIGSTOP)

    def all_are_back() -> bool:
        parts = installation.status()["parts"]
        return all(part["state"] == "ready" and part["restarts"] for part in parts if part["name"] in {*killed, "api"})

    until(all_are_back)


def test_a_second_up_in_the_same_directory_is_refused(installation: Installation) -> None:
    installation.start()
    installation.ready()

    done = installation.run("up", "--no-demo")

    assert done.returncode == 1
    assert "already running" in done.stderr
    assert installation.status()["state"] == "ready"


def test_without_a_database_up_says_so_in_one_sentence(installation: Installation) -> None:
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"

    done = installation.run("up", "--no-demo", EVERLEAF_DATABASE_URL=nowhere)

    assert done.returncode == 1
    assert "EVERLEAF_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_demanded_port_in_use_is_refused_with_the_remedy(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = installation.run("up", "--no-demo", EVERLEAF_API_PORT=str(taken.getsockname()[1]))

    assert done.returncode == 1
    assert "is in use" in done.stderr


def test_an_unparsable_policy_is_refused_with_its_line_before_anything_starts(installation: Installation) -> None:
    installation.home.policy.write_text("people: []\nrules: [}\n")

    done = installation.run("up", "--no-demo")

    assert done.returncode == 1
    assert "policy.yaml:2: policy: is not YAML" in done.stderr
    assert not (installation.home.path / "postgres").exists()


def test_a_start_after_a_bad_edit_goes_on_by_the_last_good_policy_and_says_so(installation: Installation) -> None:
    installation.start()
    installation.ready()
    assert installation.run("down").returncode == 0
    whole = installation.home.policy.read_text()
    installation.home.policy.write_text(whole[: len(whole) // 2])

    installation.start()
    installation.ready()

    assert "policy refused: the last good one" in installation.home.up_log.read_text()
    told = json.loads(installation.run("doctor", "--output", "json").stdout)
    policy = next(one for one in told if one["name"] == "policy")
    assert (policy["outcome"], "was cut" in policy["detail"]) == ("bad", True)


def test_wrong_usage_ends_with_2(installation: Installation) -> None:
    assert installation.run("status", "--output", "yaml").returncode == 2
