"""`up` with its watcher: each part is stopped in turn, and database and Temporal together; each is told, once."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest

from cli import status
from cli.home import PROJECT, Home, write_private
from tests.launcher.waiting import LONG_SECONDS, until
from tests.mail import Mailbox, mail_server
from tests.watch.world import unused_port

pytestmark = pytest.mark.e2e

EPISODES: tuple[tuple[tuple[str, ...], set[str]], ...] = (
    (("temporal", "api"), {"temporal", "api"}),
    (("postgres", "temporal"), {"database", "temporal"}),
    (
        ("worker-lifecycle", "worker-scan", "worker-issue"),
        {"lifecycle worker lifecycle", "worker scan", "worker issue", "worker deploy"},
    ),
)


class Installation:
    """One `up --no-demo` whose supervisor leaves what hangs alone, so that only the watcher can tell."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.home = Home(folder)
        self.home.prepare()
        ports = {name: unused_port() for name in ("temporal", "temporal_ui", "api")}
        write_private(self.home.ports_file, json.dumps(ports).encode())
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}
        self.environment = clean | environment
        self.command("up", "--no-demo", "--detach")

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words, "--data-dir", str(self.home.path)],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONG_SECONDS,
        )
        assert done.returncode == 0, done.stderr + self.home.up_log.read_text()
        return done.stdout

    def pid(self, name: str) -> int:
        [pid] = [part["pid"] for part in status.read(self.home).described()["parts"] if part["name"] == name]
        assert isinstance(pid, int)
        return pid

    def faults(self, *, told: bool) -> set[str]:
        """What `status` shows of the watcher: everything it sees, or what it has told."""
        found = status.read(self.home).described()["watcher"].get("faults", [{"kind": "?", "subject": "", "told": 0}])
        return {f"{one['kind']} {one['subject']}".strip() for one in found if one["told"] or not told}

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        pids = [self.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def installation(tmp_path: Path, mailbox: Mailbox) -> Iterator[Installation]:
    smtp = unused_port()
    with mail_server(mailbox, smtp):
        environment = {
            "EVERLEAF_WATCH_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
            "EVERLEAF_WATCH_MAIL_TO": "head@telecom.example.com",
            "EVERLEAF_WATCH_EVERY_SECONDS": "1",
            "EVERLEAF_WATCH_PATIENCE_SECONDS": "2",
            # What hangs is ended by nobody here.
            "EVERLEAF_HUNG_SECONDS": "86400",
        }
        installed = Installation(tmp_path / "home", environment)
        try:
            yield installed
        finally:
            installed.command("down")


def said(letters: list[EmailMessage], *, clear: bool) -> Counter[str]:
    """Each fault with how often it was told, or told to be over."""
    bodies = [str(one.get_content()) for one in letters if ("all clear" in str(one["Subject"])) is clear]
    return Counter(name for body in bodies for name in re.findall(r"^([a-z ]+): .*\nSince: ", body, re.MULTILINE))


def test_each_part_that_is_stopped_is_told_and_cleared_once_and_the_cause_alone(
    installation: Installation, mailbox: Mailbox
) -> None:

    def calm() -> bool:
        """Nothing is seen, and of what was told it was told that it is over."""
        told, over = (said(mailbox.letters, clear=clear) for clear in (False, True))
        return installation.faults(told=False) == set() and told == over

    def has_told(expected: set[str]) -> bool:
        """`status` shows it, and the letter, which goes out right behind, has come."""
        return expected <= installation.faults(told=True) and expected <= set(said(mailbox.letters, clear=False))

    def are_unwell(names: set[str]) -> bool:
        parts = status.read(installation.home).described()["parts"]
        return names <= {part["name"] for part in parts if part["state"] == "unwell"}

    # With such a short patience the start itself is told.
    until(calm)
    for parts, expected in EPISODES:
        mailbox.letters.clear()
        with installation.stopped(*parts):
            until(partial(has_told, expected))
            # The supervisor has asked the same parts, says so, and leaves them: its patience is a day.
            until(partial(are_unwell, set(parts)))
        until(calm)

        assert said(mailbox.letters, clear=False) == dict.fromkeys(expected, 1)
        assert said(mailbox.letters, clear=True) == dict.fromkeys(expected, 1)
