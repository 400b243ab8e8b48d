"""What a watcher asks and where it tells, beside its mail server: a webhook and the health of an API, real servers."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Engine

from cli.process import free_port
from domain.vitals import API, QUEUES
from domain.vitals import Engine as Counted
from store.heartbeats import Beat, beat
from tests.policies import whole

POLICY = whole("""
people:
  - {id: head, name: Head of IT security, email: head@telecom.example.com, role: security-head}
  - {id: ops, name: Operations, email: ops@telecom.example.com, role: operator}
owners: [{id: core, contact: ops}]
services: [{id: web, owner: core}]
rules: [{name: web, when: {hosts: [127.0.0.1/32]}, tier: internal, service: web}]
""")


@dataclass
class Clock:
    """The real one, and what was added to it."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def on(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class Heard:
    """A small server of HTTP: keeps what was posted and which paths were asked for; ``status`` is its answer."""

    posted: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def subjects(self) -> list[str]:
        return [one["subject"] for one in self.posted]


@contextmanager
def http_server() -> Iterator[Heard]:
    heard = Heard()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.asked.append(self.path)
            self._say()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if heard.status == 200:
                heard.posted.append(json.loads(body))
            self._say()

        def _say(self) -> None:
            self.send_response(heard.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    heard.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


def all_beat(engine: Engine, running: int = 0, ended: tuple[str, ...] = ()) -> None:
    """As every process of an installation that is well."""
    now = datetime.now(UTC)
    for serves in (*((queue,) for queue in QUEUES), (API,)):
        beat(engine, Beat(serves, "here", now, now, now, Counted(running, ended) if serves == QUEUES[:1] else None))


def unused_port() -> int:
    return free_port()
