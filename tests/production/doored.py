"""Temporal's UI behind a door of the compose file: the development server's own UI, and a workflow that waits."""

import asyncio
import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from cli.home import PROJECT
from cli.process import accepts, dying_with_parent, free_port
from tests.e2e.product import eventually
from tests.launcher.waiting import LONG_SECONDS, until
from tests.needed import programs
from tests.production.composed import Bare, resolved

Gave = TypeVar("Gave")

NAMESPACE = "everleaf"
DOORS = {"approvers-door": ":8233", "auditors-door": ":8234"}
ID = "certificate/mc-mluy5y4zkf"
QUEUE = "waiting"


# This file imports what the sandbox forbids, and the workflow itself none of it.
@workflow.defn(sandboxed=False)
class Waiter:
    """Ends only by force; remembers what was sent."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    def decide(self, word: Any) -> Any:
        self.heard.append(word)
        return word

    @workflow.signal
    def upgrade(self) -> None:
        self.heard.append("upgrade")

    @workflow.query
    def state(self) -> list[Any]:
        return self.heard


class Loop:
    """An event loop in a thread of its own, for what tests ask of Temporal while their requests block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Gave]) -> Gave:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LONG_SECONDS)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG_SECONDS)
        self._loop.close()


@contextmanager
def temporal(folder: Path) -> Iterator[tuple[int, int]]:
    """The development server with its UI: both ports."""
    port, ui = free_port(), free_port()
    command = [str(Path(sys.executable).parent / "temporal"), "server", "start-dev", "--ip", "127.0.0.1"]
    command += ["--port", str(port), "--ui-port", str(ui), "--namespace", NAMESPACE, "--log-level", "error"]
    with (folder / "temporal.log").open("wb") as log:
        started = subprocess.Popen(dying_with_parent([*command, "--ui-disable-news-fetch"]), stdout=log, stderr=log)
    try:
        until(lambda: accepts(port) and accepts(ui))
        yield port, ui
    finally:
        started.terminate()
        started.wait(LONG_SECONDS)


@dataclass
class Answer:
    status: int
    text: str
    headers: http.client.HTTPMessage


def send(port: int, line: str, headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (), body: str = "") -> Answer:
    """One request whose first line is ``line``, byte for byte: no client of ours tidies its path up.

    ``{here}`` in it is the host that is asked.
    """
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if body:
        pairs.append(("Content-Length", str(len(body))))
    here = f"127.0.0.1:{port}"
    line = line.replace("{here}", here)
    head = "".join(f"{name}: {value}\r\n" for name, value in (("Host", here), *pairs))
    with socket.create_connection(("127.0.0.1", port), 30) as wire:
        wire.sendall(f"{line.replace('{here}', here)}\r\n{head}\r\n{body}".encode())
        # A HEAD has no body to wait for.
        answer = http.client.HTTPResponse(wire, method=line.split()[0])
        answer.begin()
        return Answer(answer.status, answer.read().decode(errors="replace"), answer.msg)


def as_the_page_does(port: int) -> dict[str, str]:
    """The headers with which the UI's own page posts: its CSRF cookie, said again."""
    cookie = send(port, "GET / HTTP/1.1").headers["set-cookie"].partition(";")[0]
    token = cookie.partition("=")[2]
    return {"Cookie": cookie, "X-CSRF-Token": token, "Content-Type": "text/plain;charset=UTF-8"}


class Waiting:
    """A running ``Waiter`` under the id of a lifecycle."""

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop = loop
        self._client = loop.run(Client.connect(f"127.0.0.1:{port}", namespace=NAMESPACE))
        self._worker = loop.run(self._work())
        self.start(ID)

    async def _work(self) -> "asyncio.Task[None]":
        return asyncio.create_task(Worker(self._client, task_queue=QUEUE, workflows=[Waiter]).run())

    def start(self, workflow_id: str) -> None:
        self._loop.run(self._client.start_workflow(Waiter.run, id=workflow_id, task_queue=QUEUE))

    def status(self, workflow_id: str = ID) -> str:
        described = self._loop.run(self._client.get_workflow_handle(workflow_id).describe())
        assert described.status is not None
        return described.status.name

    def heard(self) -> list[Any]:
        return self._loop.run(self._client.get_workflow_handle(ID).query("state", result_type=list[Any]))

    def stop(self) -> None:
        async def end() -> None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

        self._loop.run(end())


class Entrance:
    """``ui``, ``approvers``, ``auditors``: ports."""

    def __init__(self, bare: Bare, ui: int, waiting: Waiting) -> None:
        self.bare, self.ui, self.waiting = bare, ui, waiting
        self.approvers, self.auditors = (int(bare.addresses[at].rpartition(":")[2]) for at in DOORS.values())


def reaches_temporal(ui: int) -> bool:
    """The UI pages before its server listens, and then takes its time to ask again."""
    return send(ui, f"GET /api/v1/namespaces/{NAMESPACE}/workflows HTTP/1.1").status == 200


@pytest.fixture(scope="module")
def entrance(temporal_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    programs("haproxy", "wget", consequence="the doors of the Temporal UIs were not tried")
    folder = tmp_path_factory.mktemp("doors")
    deploy = PROJECT / "deploy" / "temporal-ui"
    loop = Loop()
    with temporal(folder) as (port, ui):
        addresses = dict.fromkeys(("temporal-ui:8080", "temporal-ui-auditors:8080"), f"127.0.0.1:{ui}")
        for at in DOORS.values():
            mine = f"127.0.0.1:{free_port()}"
            addresses |= {at: mine, f"http://127.0.0.1{at}/healthz": f"http://{mine}/healthz"}
        bare = Bare(resolved(), folder, {str(deploy): deploy}, addresses)
        waiting = Waiting(loop, port)
        try:
            eventually(partial(reaches_temporal, ui), "the UI reaches its server")
            for name in DOORS:
                bare.start(name)
                eventually(partial(bare.is_healthy, name), f"{name} is healthy")
            yield Entrance(bare, ui, waiting)
        finally:
            bare.stop()
            waiting.stop()
    loop.stop()
