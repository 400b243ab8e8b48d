"""Child processes that die with their parent, and the ports they listen on."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from domain.errors import BadInput, NotReady

LARGEST_LOG_BYTES = 20_000_000

DeathSignal = Literal["INT", "KILL"]


def dying_with_parent(command: list[str], death: DeathSignal = "KILL") -> list[str]:
    """``command`` so that the kernel sends it ``death`` when its parent ends, however that ends.

    The kernel watches the parent *thread*: start children from the main thread alone.
    """
    if sys.platform != "linux":
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NotReady("setpriv is missing: install util-linux (Debian: apt-get install util-linux)")
    # Between fork and setpriv the parent may have gone already, and the kernel would never tell: look once more.
    guard = ["sh", "-c", '[ "$PPID" = "$0" ] || exit 1; exec "$@"', str(os.getpid())]
    return [setpriv, "--pdeathsig", death, "--", *guard, *command]


def in_own_user_namespace(command: list[str]) -> list[str]:
    """As root: ``command`` in a user namespace without a mapping, where it sees itself as nobody.

    PostgreSQL refuses to run as root.  Its files stay root's; no account is made and no mode is changed.
    """
    if os.geteuid() != 0:
        return command
    return ["unshare", "--user", "--", *command]


@dataclass
class Child:
    """One program that we start, watch and stop.

    ``answers``: a cheap question that makes it do something, within seconds; without one, being alive is enough.
    ``marks``: the files by which it says that it works; those of its last life say nothing of the next.
    ``waits_for``: what it says that it lacks, a neighbour that is away say; empty where it lacks nothing.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    answers: Callable[[], bool] | None = None
    waits_for: Callable[[], str] = lambda: ""
    marks: tuple[Path, ...] = ()
    death: DeathSignal = "KILL"
    stop_signal: signal.Signals = signal.SIGTERM
    own_user_namespace: bool = False
    patience_seconds: float = 35.0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for mark in self.marks:
            mark.unlink(missing_ok=True)
        command = dying_with_parent(self.command, self.death)
        if self.own_user_namespace:
            command = in_own_user_namespace(command)
        with open_log(self.log) as log:
            self.process = subprocess.Popen(
                command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C reaches the supervisor alone, which stops the parts in order.
                process_group=0,
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_working(self) -> bool:
        return self.is_alive() and (self.answers is None or self.answers())

    def stop(self) -> None:
        """Ask, wait, then kill; returns when it is gone."""
        self.ask_to_stop()
        self.wait_until_gone()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def wait_until_gone(self) -> None:
        process = self.process
        if process is None:
            return
        try:
            process.wait(self.patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def last_words(self) -> str:
        """The end of its log: why it died, as far as it said."""
        return tail(self.log)


def open_log(file: Path) -> IO[bytes]:
    """To append; mode 0600, for parts may say names and addresses.  One that has grown is set aside first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > LARGEST_LOG_BYTES:
        file.replace(file.with_name(file.name + ".1"))
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def tail(file: Path, lines: int = 3) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 4096))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-lines:])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*wanted: int) -> int:
    """The first of ``wanted`` that is free on 127.0.0.1, else any free one; claimed for as long as this process lives.

    Between the choice and the bind another installation on this machine could choose the same port, and its parts
    would answer in our name: that happened, to two that were started in the same second.  "Any" is below the range
    from which Linux takes the near end of outgoing connections (32768 and up), or one of those could take it meanwhile,
    and never one that this process already chose.
    """
    for port in wanted:
        if port and is_free(port) and _claim(port):
            return port
    while True:
        port = ANY_PORT.start + secrets.randbelow(len(ANY_PORT))
        if f"port-{port}" not in _claims and is_free(port) and _claim(port):
            return port


ANY_PORT = range(20_000, 32_768)


_claims: dict[str, socket.socket | None] = {}


def _claim(port: int) -> bool:
    return claim(f"port-{port}")


def claim(name: str) -> bool:
    """Whether no other Everleaf on this machine has claimed ``name``; ours for as long as this process lives.

    An abstract socket ends with its process, however that ends.
    """
    if name in _claims:
        return True
    if sys.platform != "linux":
        _claims[name] = None
        return True
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0everleaf-{name}")
    except OSError:
        held.close()
        return False
    _claims[name] = held
    return True


def demanded_port(variable: str, text: str) -> int:
    """The port that the user insists on.  Raises BadInput if it is none, or taken."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadInput(variable, f"{text!r} is not a port", "Write a number from 1 to 65535.")
    if not is_free(int(text)):
        raise BadInput(variable, f"port {text} is in use", "Stop what listens there, or unset it to take a free port.")
    return int(text)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
