"""The stream of changes over a real socket: heard, resumed, begun anew, ended, and alive after a database's restart."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx2
import pytest
import sqlalchemy as sa
import uvicorn
from sqlalchemy.engine import Engine
from starlette.requests import ClientDisconnect
from starlette.types import Message

from api.feed import Feed
from api.routes import events
from cli.process import free_port
from domain.tiers import Role
from store import access
from store.changes import note_change
from store.reader.changes import XID, newest_place
from tests.api.conftest import House
from tests.launcher.waiting import LONG_SECONDS, until
from tests.postgres_server import PostgresServer


@dataclass
class Heard:
    """One event of a stream."""

    kind: str
    place: str
    data: str


@dataclass
class Stream:
    lines: AsyncIterator[str]

    async def next(self, *passing: str) -> Heard:
        """The next event that is none of ``passing``."""
        heard = Heard("", "", "")
        while True:
            line = await asyncio.wait_for(anext(self.lines), LONG_SECONDS)
            name, _, value = line.partition(": ")
            if name == "event":
                heard = Heard(value, "", "")
            elif name == "id":
                heard.place = value
            elif name == "data":
                heard.data = value
            elif not line and heard.kind and heard.kind not in passing:
                return heard

    async def ended(self) -> bool:
        """Whether nothing follows."""
        async for _ in self.lines:
            pass
        return True


@dataclass
class Site:
    base: str
    token: str
    engine: Engine

    @asynccontextmanager
    async def stream(self, last: str = "") -> AsyncIterator[Stream]:
        headers = {"authorization": f"Bearer {self.token}", **({"last-event-id": last} if last else {})}
        async with (
            httpx2.AsyncClient(base_url=self.base, timeout=LONG_SECONDS) as client,
            client.stream("GET", "/v1/events", headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Stream(answer.aiter_lines())

    async def change(self, subject: str) -> None:
        def write() -> None:
            with self.engine.begin() as connection:
                note_change(connection, "certificate", subject)

        await asyncio.to_thread(write)


def decided(engine: Engine) -> None:
    """Wait until a new stream begins behind what the house itself has changed: an older transaction holds that back."""
    with engine.connect() as connection:
        newest = connection.execute(sa.select(sa.func.max(XID))).scalar()
    until(lambda: newest is None or newest_place(engine).xid >= newest)


@asynccontextmanager
async def serving(house: House, engine: Engine) -> AsyncIterator[Site]:
    """The app of ``house`` over ``engine`` on a socket, with a feed."""
    feed, port = Feed(engine), free_port()
    house.app.state.parts = replace(house.app.state.parts, engine=engine, feed=feed)
    server = uvicorn.Server(uvicorn.Config(house.app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    feed.start()
    try:
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=20)) as client:
            await client.get(f"http://127.0.0.1:{port}/health/live")
        await asyncio.to_thread(decided, engine)
        yield Site(f"http://127.0.0.1:{port}", house.tokens["noc"], engine)
    finally:
        await asyncio.to_thread(feed.stop)
        server.should_exit = True
        await serving


async def test_a_change_is_heard_with_its_place(house: House, database: Engine) -> None:
    async with serving(house, database) as site, site.stream() as stream:
        begun = await stream.next()
        assert (begun.kind, bool(begun.place)) == ("alive", True)
        await site.change("mc-7")
        heard = await stream.next()
        assert heard.kind == "certificate"
        assert '"id": "mc-7"' in heard.data
        assert heard.place


async def test_a_stream_goes_on_behind_the_last_event_that_was_heard(house: House, database: Engine) -> None:
    async with serving(house, database) as site:
        async with site.stream() as stream:
            await stream.next()
            await site.change("heard")
            last = (await stream.next()).place
        await site.change("missed-1")
        await site.change("missed-2")
        async with site.stream(last) as stream:
            told = [await stream.next("alive") for _ in range(2)]
            await site.change("live")
            told.append(await stream.next("alive"))
    assert [one.data.split('"')[7] for one in told] == ["missed-1", "missed-2", "live"]
    assert len({one.place for one in told}) == 3


async def test_whoever_missed_what_is_not_kept_is_told_to_read_anew(house: House, database: Engine) -> None:
    async with serving(house, database) as site:
        await site.change("old")
        async with site.stream("1-1") as stream:
            assert (await stream.next("alive")).kind == "resync"
            assert (await stream.next("alive")).kind == "certificate"


async def test_a_place_of_a_database_that_was_put_back_begins_with_now(house: House, database: Engine) -> None:
    async with serving(house, database) as site, site.stream(f"{2**40}-1") as stream:
        assert (await stream.next("alive")).kind == "resync"
        await site.change("after")
        assert '"after"' in (await stream.next("alive")).data


async def test_a_stream_ends_with_its_token(house: House, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PROOF_SECONDS", 0.0)
    monkeypatch.setattr(events, "ALIVE_SECONDS", 0.2)
    token = access.create_token(database, name="short", role=Role.NOC)
    known = access.authenticate(database, token)
    assert known is not None
    async with serving(house, database) as site, replace(site, token=token).stream() as stream:
        assert (await stream.next()).kind == "alive"
        await asyncio.to_thread(access.revoke_token, database, known.id.removeprefix("token/"))
        assert (await stream.next("alive")).kind == "ended"
        assert await stream.ended()


async def test_news_go_on_through_a_restart_of_the_database(
    house: House, mortal: tuple[PostgresServer, Engine]
) -> None:
    cluster, engine = mortal
    token = access.create_token(engine, name="noc", role=Role.NOC)
    async with serving(house, engine) as site, replace(site, token=token).stream() as stream:
        await stream.next()
        await asyncio.to_thread(cluster.interrupt)
        await asyncio.to_thread(cluster.start)
        # Before the feed has its connection again: it goes on where it stopped.
        await site.change("after the restart")
        assert "after the restart" in (await stream.next("alive")).data


async def test_a_stream_that_cannot_be_told_on_ends_at_once_and_waits_for_no_collector() -> None:
    ended = []

    async def content() -> AsyncGenerator[str, None]:
        try:
            yield "retry: 3000\n\n"
        finally:
            ended.append(True)

    async def gone(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError

    async def silence() -> Message:
        return await asyncio.Future[Message]()

    kept = content()
    with pytest.raises(ClientDisconnect):
        await events.ClosedStream(kept)({"type": "http", "asgi": {"spec_version": "2.4"}}, silence, gone)

    assert ended == [True]
