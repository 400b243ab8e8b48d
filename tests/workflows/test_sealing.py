"""Payloads that Temporal cannot read: encrypted under the newest key of a file, read under any of it."""

import logging
import os
from base64 import b64encode
from pathlib import Path
from random import Random

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.errors import BadInput, NotReady
from domain.settings import Settings
from formats.payload_keys import parse_keys
from tests.house.sources import ROOT
from workflows.client import connect
from workflows.codec import Compression
from workflows.replaying import first_difference, read_history
from workflows.sealing import ENCRYPTED, KEY_ID, KeyFile, Sealing, keys_of, opened

SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'{"managed_id":"mc-1"}')
LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"mc-1 " * 40_000 + b'"')
SECRET = "a-word-that-nobody-else-writes"


def line(key_id: str) -> str:
    return f"{key_id} {b64encode(Random(key_id).randbytes(32)).decode()}\n"


def write(file: Path, *ids: str) -> None:
    """Each time at another instant, however coarse the clock of the file system."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text("".join(map(line, ids)))
    os.utime(file, ns=(before + 1, before + 1))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "payload.keys"
    write(made, "one")
    return made


def keys(file: Path) -> KeyFile:
    return KeyFile(str(file), parse_keys)


async def test_every_payload_is_encrypted_and_comes_back_whole(file: Path) -> None:
    sealing = Sealing(keys(file))

    small, large = await sealing.encode([SMALL, LARGE])

    assert {one.metadata["encoding"] for one in (small, large)} == {ENCRYPTED}
    assert {one.metadata[KEY_ID] for one in (small, large)} == {b"one"}
    assert b"mc-1" not in small.SerializeToString() + large.SerializeToString()
    # Compressed before: what is encrypted does not shrink any more.
    assert len(large.data) < len(LARGE.data) / 10
    assert await sealing.decode([small, large]) == [SMALL, LARGE]


async def test_the_same_payload_never_looks_the_same_twice(file: Path) -> None:
    one, other = await Sealing(keys(file)).encode([SMALL, SMALL])
    assert one.data != other.data


async def test_what_was_written_before_encryption_is_still_read(file: Path) -> None:
    before = await Compression().encode([SMALL, LARGE])
    assert await Sealing(keys(file)).decode(before) == [SMALL, LARGE]


async def test_a_rotation_needs_no_restart_on_either_side(file: Path) -> None:
    """A key may be put there first as one that only decrypts, for hosts whose files are not one."""
    writer, reader = Sealing(keys(file)), Sealing(keys(file))
    [old] = await writer.encode([SMALL])

    write(file, "one", "two")
    [new] = await writer.encode([SMALL])

    assert new.metadata[KEY_ID] == b"two"
    assert await reader.decode([old, new]) == [SMALL, SMALL]


async def test_a_key_that_is_not_there_is_named_and_its_return_is_enough(file: Path) -> None:
    [sealed] = await Sealing(keys(file)).encode([SMALL])
    write(file, "two")
    reader = Sealing(keys(file))
    with pytest.raises(NotReady, match=f"key 'one'.*EVERLEAF_PAYLOAD_KEYS.*{file}.*line back"):
        await reader.decode([sealed])

    write(file, "one", "two")

    assert await reader.decode([sealed]) == [SMALL]


async def test_without_any_keys_the_reader_is_told_which_it_lacks(file: Path) -> None:
    [sealed] = await Sealing(keys(file)).encode([SMALL])
    with pytest.raises(NotReady, match=r"key 'one'.*EVERLEAF_PAYLOAD_KEYS is not set"):
        opened(sealed, None)


async def test_what_was_changed_on_its_way_is_refused(file: Path) -> None:
    ring = keys(file)
    [sealed] = await Sealing(ring).encode([SMALL])
    short = Payload(metadata=sealed.metadata, data=sealed.data[:7])
    changed = Payload(metadata=sealed.metadata, data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))
    for wrong in (short, changed):
        with pytest.raises(BadInput, match="does not open under the key 'one'"):
            opened(wrong, ring)


async def test_a_file_that_is_half_written_leaves_the_keys_of_before(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealing = Sealing(keys(file))
    before = file.stat().st_mtime_ns
    file.write_text("one \n")
    os.utime(file, ns=(before + 1, before + 1))
    with caplog.at_level(logging.ERROR):
        first = await sealing.encode([SMALL])
        assert await sealing.decode(first + await sealing.encode([SMALL])) == [SMALL, SMALL]
    assert caplog.text.count("the payload keys of before stay in use") == 1


def test_a_file_that_is_not_there_ends_the_start_with_its_name(tmp_path: Path) -> None:
    nowhere = Settings(database_url="", temporal_address="", home="", payload_keys=str(tmp_path / "none"))
    with pytest.raises(BadInput, match=f"EVERLEAF_PAYLOAD_KEYS: {tmp_path}/none cannot be read"):
        keys_of(nowhere, parse_keys)


# This file imports what the sandbox forbids, and the workflow itself none of it.
@workflow.defn(sandboxed=False)
class Secretive:
    """Has a secret in everything that a payload can be of."""

    def __init__(self) -> None:
        self.heard = ""

    @workflow.run
    async def run(self, word: str) -> str:
        workflow.set_current_details(word)
        await workflow.wait_condition(lambda: bool(self.heard))
        raise ApplicationError(f"{word} {self.heard}", word)

    @workflow.update
    def tell(self, word: str) -> str:
        self.heard = word
        return word


async def test_temporal_holds_nothing_that_it_could_read(
    temporal: WorkflowEnvironment, temporal_address: str, file: Path
) -> None:
    settings = Settings("", temporal_address, "", namespace=temporal.client.namespace, payload_keys=str(file))
    client = await connect(settings, keys_of(settings, parse_keys))
    async with Worker(client, task_queue="secret", workflows=[Secretive]):
        handle = await client.start_workflow(
            Secretive.run, SECRET, id="secretive", task_queue="secret", memo={"m": SECRET}, static_summary=SECRET
        )
        assert await handle.execute_update(Secretive.tell, SECRET) == SECRET
        write(file, "one", "two")
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, ApplicationError)
        assert failed.value.cause.message == f"{SECRET} {SECRET}"
        assert await (await handle.describe()).memo_value("m") == SECRET

    kept = (await handle.fetch_history()).to_json()
    assert len(read_history(kept).events) > 4
    assert SECRET not in kept
    # What is in base64 there, and not encrypted, would be found here.
    raw = [payload.data for payload in _payloads(await _raw_history(temporal.client, "secretive"))]
    assert len(raw) >= 4
    assert not any(SECRET.encode() in data for data in raw)


async def _raw_history(client: Client, workflow_id: str) -> object:
    """Through a client without keys: as the server has it."""
    return [event async for event in client.get_workflow_handle(workflow_id).fetch_history_events()]


def _payloads(value: object) -> list[Payload]:
    """Every payload anywhere in messages of Temporal."""
    if isinstance(value, Payload):
        return [value]
    if isinstance(value, list):
        return [payload for one in value for payload in _payloads(one)]
    found: list[Payload] = []
    for field, inner in getattr(value, "ListFields", list)():
        if field.message_type is None:
            continue
        is_map = field.message_type.GetOptions().map_entry
        parts = list(inner.values()) if is_map else list(inner) if field.is_repeated else [inner]
        found += _payloads([part for part in parts if hasattr(part, "ListFields")])
    return found


async def test_a_client_without_the_key_is_told_so(
    temporal: WorkflowEnvironment, temporal_address: str, file: Path
) -> None:
    settings = Settings("", temporal_address, "", namespace=temporal.client.namespace, payload_keys=str(file))
    client = await connect(settings, keys_of(settings, parse_keys))
    await client.start_workflow("Nobody", SECRET, id="memo", task_queue="nobody", memo={"m": SECRET})
    write(file, "two")
    other = await connect(settings, keys_of(settings, parse_keys))
    with pytest.raises(NotReady, match="key 'one'"):
        await (await other.get_workflow_handle("memo").describe()).memo_value("m")


async def test_an_encrypted_history_replays_with_its_keys_and_says_which_it_lacks(file: Path) -> None:
    stored = sorted((ROOT / "tests" / "replay" / "0.2.0" / "Courier").glob("*.json"))[0]
    plain = read_history(stored.read_text(), "courier/p-1/email")
    ring = keys(file)
    for payload in _payloads(list(plain.events)):
        [encrypted] = await Sealing(ring).encode([payload])
        payload.CopyFrom(encrypted)

    assert await first_difference(plain, keys=ring) is None
    write(file, "two")
    with pytest.raises(NotReady, match="the key 'one'"):
        await first_difference(plain, keys=keys(file))
