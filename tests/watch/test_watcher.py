"""The watcher over real parts: what it tells of each that is unwell, by which way, and how often."""

import asyncio
import os
import signal
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from activities.notifiers.peers import answer_peers
from domain.errors import BadInput
from domain.vitals import Kind, Place
from domain.watching import Inventory
from store.facts import record
from tests.activities.test_scan_tls import pair, quiet, serving
from tests.mail import mail_server
from tests.postgres_server import PostgresServer
from tests.store.test_facts import batch, event, snapshot
from tests.watch.conftest import World
from tests.watch.world import http_server, unused_port

pytestmark = pytest.mark.server


async def kinds(world: World) -> set[tuple[Kind, str]]:
    return {fault.key for fault in await world.watcher.look()}


async def test_nothing_is_said_while_all_is_well(world: World) -> None:
    await world.rounds(10)

    assert (world.mailbox.letters, world.webhook.posted) == ([], [])
    assert world.watcher.carried.memory.watched == ()


async def test_a_database_that_is_gone_is_one_alarm_by_both_ways_and_one_all_clear(
    falling: tuple[World, PostgresServer],
) -> None:
    world, server = falling
    await world.rounds()
    server.interrupt()
    world.beating = False

    await world.rounds(12)

    subjects = world.mailbox.subjects()
    assert len(subjects) == 1
    assert subjects[0].startswith("[Everleaf watch] database: it does not answer")
    assert str(world.mailbox.letters[0]["To"]) == "head@telecom.example.com"
    assert "everleaf status" in str(world.mailbox.letters[0].get_content())
    server.start()
    world.beating = True
    await world.rounds(12)
    assert [one.partition(":")[0] for one in world.mailbox.subjects()[1:]] == ["[Everleaf watch] all clear"]
    assert world.webhook.subjects() == world.mailbox.subjects()


async def test_a_database_that_is_stopped_in_the_middle_is_told_though_its_socket_accepts(
    falling: tuple[World, PostgresServer],
) -> None:
    world, server = falling
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        [found] = [one for one in await world.watcher.look() if one.kind is Kind.DATABASE]
    finally:
        os.kill(server.process.pid, signal.SIGCONT)

    assert found.says


async def test_an_overdue_lifecycle_is_told_by_name_in_the_same_round_and_cleared_once(world: World) -> None:
    late = snapshot(next_action_at=datetime.now(UTC) - timedelta(minutes=20))
    record(world.engine, batch(event(0), read_model=late), "0.3.0", datetime.now(UTC))
    world.running = 1

    await world.rounds(8)

    [subject] = world.mailbox.subjects()
    assert "a.example.in (mc-1)" in subject
    in_time = replace(late, next_action_at=datetime.now(UTC) + timedelta(days=1))
    record(world.engine, batch(event(1), read_model=in_time), "0.3.0", datetime.now(UTC))
    await world.rounds(8)
    [_, clear] = world.mailbox.subjects()
    assert "all clear" in clear


async def test_a_lifecycle_that_nobody_runs_is_missed(world: World) -> None:
    living = snapshot(next_action_at=datetime.now(UTC) + timedelta(days=1))
    record(world.engine, batch(event(0), read_model=living), "0.3.0", datetime.now(UTC))

    await world.rounds()

    [subject] = world.mailbox.subjects()
    assert "1 of 1 certificates that live have no running lifecycle" in subject


async def test_what_one_way_does_not_take_the_other_tells_and_it_is_owed_until_it_is_taken(world: World) -> None:
    world.api.status = 503
    world.mailbox.answer = "451 try again later"
    await world.rounds(7)
    assert world.webhook.subjects() == ["[Everleaf watch] api: it answers 503"]
    assert world.mailbox.letters == []
    assert {one.route for one in world.watcher.carried.owed} == {"mail"}

    world.mailbox.answer = "250 OK"
    await world.rounds(4)

    assert world.mailbox.subjects()[0] == world.webhook.subjects()[0]
    assert world.watcher.carried.owed == ()


async def test_a_mail_server_that_is_away_is_told_by_the_webhook_alone_and_once(world: World) -> None:
    port = unused_port()
    world.watcher.settings = replace(world.watcher.settings, smtp_url=f"smtp://127.0.0.1:{port}")

    await world.rounds(8)

    [subject] = world.webhook.subjects()
    assert subject.startswith("[Everleaf watch] mail: the mail server at 127.0.0.1")
    with mail_server(world.mailbox, port):
        await world.rounds(5)
    assert "all clear" in world.webhook.subjects()[-1]
    assert len(world.webhook.subjects()) == 2


async def test_a_policy_that_cannot_be_read_is_told_to_whom_it_named_before(world: World) -> None:
    await world.round()
    Path(world.watcher.settings.policy).write_text("people: [}")
    # Another process, which knows only what lies on the disk.
    world.watcher.policy = None

    await world.rounds(8)

    [letter] = world.mailbox.letters
    assert "policy file" in str(letter["Subject"])
    assert str(letter["To"]) == "head@telecom.example.com"


async def test_a_served_certificate_that_ends_before_its_record_is_told_and_silence_is_not(
    world: World, tmp_path: Path
) -> None:
    ends = datetime.now(UTC) + timedelta(days=30)
    file = pair(tmp_path, "a.example.in", ec.generate_private_key(ec.SECP256R1()), days=(ends - datetime.now(UTC)).days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    silent = Place(f"tls://127.0.0.1:{unused_port()}", "silent.in", ends + timedelta(days=300))
    async with serving(quiet, context) as port:
        served = Place(f"tls://127.0.0.1:{port}", "a.example.in", ends + timedelta(days=300))
        world.watcher.inventory = Inventory(datetime.now(UTC), (served, silent))
        await world.rounds(7)
        looked = {place.url: place for place in world.watcher.inventory.places}

    [subject] = world.mailbox.subjects()
    assert "nearer its end: a.example.in" in subject
    assert looked[silent.url].looked_at is not None
    assert looked[silent.url].seen_ends is None


async def test_our_own_certificate_near_its_end_is_told(world: World, tmp_path: Path) -> None:
    file = pair(tmp_path, "pages.in", ec.generate_private_key(ec.SECP256R1()), days=0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with serving(quiet, context) as port:
        world.watcher.own = replace(world.watcher.own, own=(f"127.0.0.1:{port}",))

        assert await kinds(world) >= {(Kind.OWN_CERTIFICATE, f"tls://127.0.0.1:{port}?sni=127.0.0.1")}


async def test_two_watchers_watch_each_other(world: World) -> None:
    lives = True
    port = unused_port()
    listening = await answer_peers(f"127.0.0.1:{port}", lambda: lives)
    world.watcher.peers = (f"http://127.0.0.1:{port}/",)
    await world.rounds(2)
    assert (Kind.PEER, world.watcher.peers[0]) not in await kinds(world)

    lives = False
    await world.rounds(6)
    assert "other watcher" in world.mailbox.subjects()[0]
    listening.close()
    assert (Kind.PEER, world.watcher.peers[0]) in await kinds(world)


async def test_who_asks_a_watcher_for_something_else_is_cut_off_and_it_goes_on_answering() -> None:
    port = unused_port()
    listening = await answer_peers(f"127.0.0.1:{port}", lambda: True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 100_000)
    assert await reader.read() == b""
    writer.close()

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    listening.close()
    with pytest.raises(BadInput, match="--listen"):
        await answer_peers("nowhere", lambda: True)


async def test_a_webhook_that_refuses_is_named_without_its_address(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with http_server() as other:
        world.webhook.status = 500
        world.api.status = 500
        await world.rounds(7)

    assert world.mailbox.letters
    assert "the webhook answers 500" in caplog.text
    assert world.webhook.url not in caplog.text
    assert other.posted == []
