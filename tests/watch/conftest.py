"""A watcher over real parts that are all well, with ways out that can be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from activities.notifiers import Post
from activities.notifiers.alarms import routes_to
from domain.settings import Settings, WatchSettings
from domain.watching import Judged
from store.engine import create_engine
from tests.mail import Mailbox, mail_server
from tests.postgres_server import PostgresServer
from tests.servers import TEMPLATE, own_postgres
from tests.watch.world import POLICY, Clock, Heard, all_beat, http_server, unused_port
from watch import Watcher

EVERY, PATIENCE = timedelta(seconds=1), timedelta(seconds=8)


@dataclass
class World:
    """``watcher`` with everything around it; ``round`` makes one round, ``rounds`` enough of them to be told."""

    watcher: Watcher
    engine: Engine
    mailbox: Mailbox
    webhook: Heard
    api: Heard
    clock: Clock
    beating: bool = True
    running: int = 0

    async def round(self) -> Judged:
        if self.beating:
            all_beat(self.engine, self.running)
        judged = self.watcher.judge(await self.watcher.look())
        await self.watcher.send()
        # Far less than the minute beyond which a clock is wrong.
        self.clock.on(2)
        return judged

    async def rounds(self, number: int = 6) -> None:
        for _ in range(number):
            await self.round()


@pytest.fixture
def world(database: Engine, temporal_address: str, tmp_path: Path) -> Iterator[World]:
    yield from _made(database, temporal_address, tmp_path)


def _made(engine: Engine, temporal_address: str, folder: Path) -> Iterator[World]:
    (folder / "policy.yaml").write_text(POLICY)
    mailbox, clock, smtp = Mailbox(), Clock(), unused_port()
    with mail_server(mailbox, smtp), http_server() as webhook, http_server() as api:
        smtp_url = f"smtp://127.0.0.1:{smtp}"
        settings = Settings(
            engine.url.render_as_string(hide_password=False),
            temporal_address,
            str(folder),
            policy=str(folder / "policy.yaml"),
            smtp_url=smtp_url,
            watch_dir=str(folder / "watch"),
            api_url=api.url,
        )
        own = WatchSettings(smtp_url, (), webhook.url, "", api.url, (), EVERY, PATIENCE)
        watcher = Watcher(settings, own, {}, clock=clock)
        watcher.routes = routes_to(Post(smtp_url, "everleaf@telecom.example.com"), webhook.url, watcher.recipients)
        yield World(watcher, engine, mailbox, webhook, api, clock)


@pytest.fixture
def falling(temporal_address: str, tmp_path: Path) -> Iterator[tuple[World, PostgresServer]]:
    """A world whose database server is its own."""
    with own_postgres() as (server, cluster):
        engine = create_engine(cluster.url(TEMPLATE))
        for world in _made(engine, temporal_address, tmp_path):
            yield world, server
        engine.dispose()
