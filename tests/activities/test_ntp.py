"""The third witness of our clocks is asked of a real NTP server, chrony, which serves this machine's clock."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine
from temporalio.testing import WorkflowEnvironment

from activities.clocks import Witnessed
from activities.ntp import KEPT_SECONDS, TimeServer, asked
from cli import checkup
from cli.doctor import Patient
from cli.home import Home
from domain.clocks import DATABASE, TEMPORAL, TOLERANCE
from domain.errors import NotReady
from tests.launcher.waiting import until
from tests.needed import lacks
from tests.policies import whole

PEOPLE = "people: [{id: p-head, name: Head, email: head@example.in, role: security-head}]\n"


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        port: int = channel.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ "127.0.0.1:port" of a chrony that says what this machine's clock says, and never sets it (`-x`)."""
    chrony = (
        shutil.which("chronyd")
        or shutil.which("chronyd", path="/usr/sbin")
        or lacks("chronyd", "no NTP server is asked")
    )
    home, port = tmp_path_factory.mktemp("chrony"), free_udp_port()
    (home / "chrony.conf").write_text(
        f"local stratum 8\nport {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\n"
        f"bindcmdaddress /\npidfile {home}/pid\n"
    )
    # -U: it sets no clock, so it needs no root; -d stays in front.
    command = [chrony, "-d", "-x", "-U", "-u", "root", "-f", str(home / "chrony.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        found = f"127.0.0.1:{port}"
        until(lambda: answers(found))
        yield found
        running.terminate()


def answers(server: str) -> bool:
    try:
        asked(server)
    except NotReady:
        return False
    return True


def test_a_real_server_is_understood(server: str) -> None:
    before = datetime.now(UTC)
    said = asked(server)
    assert before - timedelta(seconds=1) <= said <= datetime.now(UTC) + timedelta(seconds=1)


def test_what_it_said_is_kept_by_a_clock_that_nobody_sets_and_not_for_ever(server: str) -> None:
    seconds = [0.0]
    third = TimeServer(lambda: server, lambda: seconds[0])
    third.ask()
    [(name, first)] = third.says().items()
    assert name == f"the NTP server {server}"
    seconds[0] = 60
    assert third.says() == {name: first + timedelta(minutes=1)}
    seconds[0] = KEPT_SECONDS + 1
    assert third.says() == {}


def test_a_server_that_is_gone_is_no_witness_and_stops_nothing(server: str) -> None:
    named = [server]
    third = TimeServer(lambda: named[0])
    third.ask()
    assert third.says()
    named[0] = f"127.0.0.1:{free_udp_port()}"
    third.ask()
    assert third.says() == {}
    with pytest.raises(NotReady, match="does not answer"):
        asked(named[0])
    named[0] = ""
    third.ask()
    assert third.says() == {}


def test_one_that_hangs_is_waited_for_in_vain_and_no_longer_than_it_may() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(NotReady, match="TimeoutError"):
            asked(f"127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.server
def test_a_machine_whose_parts_share_a_clock_is_stopped_by_the_server_that_differs(
    temporal: WorkflowEnvironment, database: Engine, server: str
) -> None:
    third = TimeServer(lambda: server)
    third.ask()
    now = datetime.now(UTC)
    right = Witnessed(database, lambda: datetime.now(UTC), third.says, (TEMPORAL, DATABASE))
    assert right.problem(now) == ""
    # Worker, Temporal and database are all of days before; only the server knows better.
    late = {name: at + timedelta(days=2, hours=1) for name, at in third.says().items()}
    wrong = Witnessed(database, lambda: datetime.now(UTC), lambda: late, (TEMPORAL, DATABASE))
    assert wrong.problem(now).startswith("clocks differ, and nobody can say which is wrong: the NTP server")
    assert wrong.problem(now).endswith("2 days ahead of this machine's clock")
    assert late[f"the NTP server {server}"] - now > TOLERANCE


def test_the_doctor_says_whether_there_is_a_third_witness(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    monkeypatch.setenv("EVERLEAF_POLICY", str(policy))
    patient = Patient(Home(tmp_path), True, {})
    for ntp, outcome in (("", "skipped"), (server, "good"), (f"127.0.0.1:{free_udp_port()}", "warned")):
        policy.write_text(whole(f"{PEOPLE}ntp: '{ntp}'\n"))
        assert checkup.third_witness(patient).outcome == outcome
