"""The third witness of our clocks: the NTP server that the policy names (``domain.clocks``)."""

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from domain.errors import BadInput, NotReady
from formats.sntp import NONCE_BYTES, answered, question

log = logging.getLogger(__name__)

PORT = 123
TIMEOUT_SECONDS = 2
# It is asked every minute: one that has missed two answers is no witness.
KEPT_SECONDS = 150
LONGEST_ANSWER = 1024


@dataclass(frozen=True, slots=True)
class _Said:
    """``at``: seconds of a clock that nobody sets, when the server said ``what``."""

    name: str
    what: datetime
    at: float


class TimeServer:
    """Asked once a minute and kept, so that no step waits for it.  One that fails is no witness, and stops nothing."""

    def __init__(self, server: Callable[[], str], seconds: Callable[[], float] = time.monotonic) -> None:
        """``server``: as the policy names it at the moment, empty where it names none."""
        self._server, self._seconds = server, seconds
        self._said: _Said | None = None

    def ask(self) -> None:
        server = self._server()
        try:
            # Kept beside a clock that nobody sets: a step of this machine's must not carry its witness along.
            self._said = _Said(f"the NTP server {server}", asked(server), self._seconds()) if server else None
        except NotReady as problem:
            log.warning("no third witness of the clock: %s", problem)
            self._said = None

    def says(self) -> dict[str, datetime]:
        """Its name and what it says now; nothing where it has not answered lately."""
        said = self._said
        age = self._seconds() - said.at if said is not None else 0
        return {said.name: said.what + timedelta(seconds=age)} if said is not None and age <= KEPT_SECONDS else {}


def asked(server: str) -> datetime:
    """What ``server`` ("host", "host:port", "[address]:port") says now; within 2 s of its address.  Raises NotReady."""
    parts = urlsplit(f"//{server}")
    nonce = os.urandom(NONCE_BYTES)
    try:
        family, kind, _, _, address = socket.getaddrinfo(parts.hostname, parts.port or PORT, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as channel:
            channel.settimeout(TIMEOUT_SECONDS)
            # Connected: only from there does an answer come, and a closed port is said at once.
            channel.connect(address)
            before = time.monotonic()
            channel.send(question(nonce))
            packet = channel.recv(LONGEST_ANSWER)
            took = time.monotonic() - before
        return answered(packet, nonce) + timedelta(seconds=took / 2)
    except (OSError, ValueError) as problem:
        # ValueError: no name or port that could be asked.
        raise NotReady(f"the NTP server {server} does not answer: {type(problem).__name__}") from problem
    except BadInput as problem:
        raise NotReady(f"the NTP server {server}: {problem}") from problem
