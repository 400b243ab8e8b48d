"""A Temporal that asks who comes: mutual TLS and API keys, by files that are renewed while a worker runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from cli import engine
from domain.errors import BadInput, NotReady
from tests.launcher.waiting import LONG_SECONDS
from tests.needed import programs
from tests.workflows.front_end import NAME, FrontEnd, Issued, issued, prepared, serving, with_api_key
from workflows.client import connect, connect_within
from workflows.connection import follow_files

QUEUE = "guarded"


# This file imports what the sandbox forbids, and the workflow itself none of it.
@workflow.defn(sandboxed=False)
class Echo:
    @workflow.run
    async def run(self, word: str) -> str:
        return word


@dataclass(frozen=True)
class House:
    """``front``: how its Temporal is reached; ``ca``: whose certificates it takes."""

    front: FrontEnd
    ca: Issued
    temporal_address: str

    @contextmanager
    def serving(self, trusted: Issued | None = None, api_key: str = "") -> Iterator[None]:
        with serving(self.front, self.temporal_address, trusted=trusted, api_key=api_key):
            yield


@pytest.fixture
def house(tmp_path: Path, temporal: WorkflowEnvironment, temporal_address: str) -> House:
    programs("haproxy", consequence="no front end with mutual TLS was tried")
    server_ca, ca = issued("CA of the front end"), issued("CA of its clients")
    front = prepared(tmp_path, temporal.client.namespace, issued(NAME, server_ca), server_ca)
    front.hold(issued("everleaf", ca))
    return House(front, ca, temporal_address)


async def echoed(client: Client, word: str) -> str:
    work = client.execute_workflow(Echo.run, word, id=f"echo-{word}", task_queue=QUEUE)
    return await asyncio.wait_for(work, LONG_SECONDS)


async def test_work_goes_through_mutual_tls(house: House) -> None:
    with house.serving(trusted=house.ca):
        client = await connect(house.front.settings, None)
        async with Worker(client, task_queue=QUEUE, workflows=[Echo]):
            assert await echoed(client, "here") == "here"


async def test_a_renewed_certificate_is_used_without_a_restart(house: House) -> None:
    """The front end stops trusting the CA of before: whoever still held the old certificate would be cut off."""
    new_ca = issued("next CA of its clients")
    with house.serving(trusted=house.ca):
        client = await connect(house.front.settings, None)
        worker = Worker(client, task_queue=QUEUE, workflows=[Echo])
        running = asyncio.create_task(worker.run())
        assert await echoed(client, "before") == "before"

    with house.serving(trusted=new_ca):
        house.front.hold(issued("everleaf", new_ca))
        await follow_files(client, [worker])
        assert await echoed(client, "after") == "after"
        await worker.shutdown()
        await running


async def test_a_connect_reads_the_files_of_that_moment(house: House) -> None:
    with house.serving(trusted=house.ca):
        await connect_within(house.front.settings, None, 0)
        house.front.hold(issued("everleaf", issued("a stranger")))
        with pytest.raises(NotReady):
            await connect_within(house.front.settings, None, 0)
        house.front.hold(issued("everleaf", house.ca))
        client = await connect_within(house.front.settings, None, 0)
        assert await client.service_client.check_health(timeout=timedelta(seconds=LONG_SECONDS))


async def test_a_half_written_renewal_ends_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with house.serving(trusted=house.ca):
        client = await connect(house.front.settings, None)
        renewed = issued("everleaf", house.ca)
        # The certificate is there, its key is not yet.
        Path(house.front.settings.temporal_certificate).write_bytes(renewed.pem)
        with caplog.at_level(logging.ERROR):
            await follow_files(client)
        assert "InconsistentKeys" in caplog.text
        assert "BEGIN" not in caplog.text
        assert await client.service_client.check_health(timeout=timedelta(seconds=LONG_SECONDS))

        house.front.hold(renewed)
        await follow_files(client)
        assert await client.service_client.check_health(timeout=timedelta(seconds=LONG_SECONDS))


async def test_without_the_right_certificate_nobody_is_let_in_and_the_reason_names_the_file(house: House) -> None:
    stranger = issued("everleaf", issued("a stranger"))
    settings = house.front.settings
    with house.serving(trusted=house.ca):
        await connect_within(settings, None, 0)
        house.front.hold(stranger)
        with pytest.raises(NotReady, match=f"refuses our certificate.*{settings.temporal_certificate}"):
            await connect_within(settings, None, 0)
        none = replace(settings, temporal_certificate="", temporal_key="")
        with pytest.raises(NotReady, match=r"refuses our certificate.*EVERLEAF_TEMPORAL_CERTIFICATE \(not set\)"):
            await connect_within(none, None, 0)
        Path(settings.temporal_certificate).write_bytes(issued("everleaf", house.ca).pem)
        with pytest.raises(NotReady, match=r"our key is not that of our certificate.*EVERLEAF_TEMPORAL_KEY"):
            await connect_within(settings, None, 0)


async def test_a_front_end_that_is_not_the_one_we_mean_is_refused(house: House) -> None:
    settings = house.front.settings
    with house.serving(trusted=house.ca):
        elsewhere = house.front.write("elsewhere.pem", issued("another CA").pem)
        with pytest.raises(NotReady, match=f"none of the CAs that we trust.*{elsewhere}"):
            await connect_within(replace(settings, temporal_ca=elsewhere), None, 0)
        with pytest.raises(NotReady, match=r"of another name.*EVERLEAF_TEMPORAL_SERVER_NAME \(other.example\)"):
            await connect_within(replace(settings, temporal_server_name="other.example"), None, 0)
        plain = replace(settings, temporal_address=house.temporal_address)
        with pytest.raises(NotReady, match="speaks no TLS"):
            await connect_within(plain, None, 0)


async def test_an_api_key_is_read_from_its_file_and_renewed_without_a_restart(house: House) -> None:
    settings = with_api_key(house.front, "first-key")
    with house.serving(api_key="first-key"):
        client = await connect(settings, None)
        worker = Worker(client, task_queue=QUEUE, workflows=[Echo])
        running = asyncio.create_task(worker.run())
        assert await echoed(client, "before") == "before"

    with house.serving(api_key="second-key"):
        with pytest.raises(NotReady, match=f"does not know who we are.*{settings.temporal_api_key_file}") as refused:
            await connect_within(settings, None, 0)
        assert "first-key" not in str(refused.value)
        Path(settings.temporal_api_key_file).write_text("second-key\n")
        await follow_files(client, [worker])
        assert await echoed(client, "after") == "after"
        await worker.shutdown()
        await running


def test_up_and_doctor_ask_through_the_same_door(house: House) -> None:
    with house.serving(trusted=house.ca):
        engine.set_up(house.front.settings)
        assert engine.retention(house.front.settings) >= engine.LEAST_RETENTION
        assert engine.stores(house.front.settings) == {"sqlite"}
        house.front.hold(issued("everleaf", issued("a stranger")))
        with pytest.raises(NotReady, match="refuses our certificate"):
            engine.retention(house.front.settings)


@pytest.mark.parametrize(
    ("variable", "field", "content", "problem"),
    [
        ("EVERLEAF_TEMPORAL_CA", "temporal_ca", b"not PEM", "holds no PEM CERTIFICATE"),
        ("EVERLEAF_TEMPORAL_CERTIFICATE", "temporal_certificate", b"", "holds no PEM CERTIFICATE"),
        ("EVERLEAF_TEMPORAL_KEY", "temporal_key", b"-----BEGIN CERTIFICATE-----\n", "holds no PEM PRIVATE KEY"),
        ("EVERLEAF_TEMPORAL_API_KEY_FILE", "temporal_api_key_file", b"one\ntwo\n", "one line of visible characters"),
        ("EVERLEAF_TEMPORAL_API_KEY_FILE", "temporal_api_key_file", b"\n", "one line of visible characters"),
    ],
)
async def test_a_file_that_is_none_is_named(
    house: House, variable: str, field: str, content: bytes, problem: str
) -> None:
    changed: dict[str, Any] = {field: house.front.write("wrong", content)}
    wrong = replace(house.front.settings, **changed)
    with pytest.raises(BadInput, match=f"{variable}: .*{problem}"):
        await connect_within(wrong, None, 0)
    changed[field] = str(house.front.folder / "nowhere")
    with pytest.raises(BadInput, match=f"{variable}: .*cannot be read"):
        await connect_within(replace(wrong, **changed), None, 0)
