"""How long one comparison of inventory and engine takes: when all is well, when 1 % is missing, when all is missing.

    .venv/bin/python -m benchmarks.reconciling --certificates 10000

The certificates are rows in a PostgreSQL of its own, their lifecycles workflows of the right id and type on a
development server of its own: nobody works on them, for a comparison asks what runs and not what it does.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.reconciling import RUNNING, ReconcilingActivities, ReconcilingParts
from benchmarks.rows import DISCOVERIES, FILL, MANAGED
from domain.comparison import Compare
from domain.names import LIFECYCLE_WORKFLOW, certificate_workflow
from store.batches import batches
from store.engine import create_engine
from tests.servers import TEMPLATE, new_namespace, own_postgres, start_temporal
from workflows.lifecycle import Start

# As the product makes ids, spread over the letters: a comparison goes by their prefixes.
SPREAD = FILL.replace("'mc-' || lpad(i::text, 8, '0')", "'mc-' || left(translate(md5(i::text), '0189', 'ghij'), 16)")
AT_ONCE = 50
ONE_PERCENT = 100


@dataclass(frozen=True)
class Sides:
    engine: Engine
    client: Client

    def ids(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT id FROM managed ORDER BY id")).scalars())

    async def begin(self, managed_ids: Sequence[str]) -> None:
        async def begun(managed_id: str) -> None:
            await self.client.start_workflow(
                LIFECYCLE_WORKFLOW, Start(managed_id), id=certificate_workflow(managed_id), task_queue="nobody"
            )

        for batch in batches(managed_ids, AT_ONCE):
            await asyncio.gather(*map(begun, batch))
        await self.counted(len(managed_ids))

    async def end(self, managed_ids: Sequence[str], left: int) -> None:
        for batch in batches(managed_ids, AT_ONCE):
            handles = [self.client.get_workflow_handle(certificate_workflow(one)) for one in batch]
            await asyncio.gather(*(handle.terminate("a benchmark") for handle in handles))
        await self.counted(left)

    async def counted(self, running: int) -> None:
        """Until Temporal's lists have caught up: they lag."""
        while (await self.client.count_workflows(RUNNING)).count != running:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.2)

    async def compare(self, missing: int) -> float:
        """Seconds of one whole comparison, page by page as the workflow asks for them; it must find ``missing``."""
        activities = ReconcilingActivities(ReconcilingParts(self.engine, self.client, lambda: datetime.now(UTC)))
        began, found, after = time.monotonic(), 0, ""
        while True:
            page = await ActivityEnvironment().run(activities.compare, Compare(after))
            found, after = found + len(page.pairs), page.after
            if not after:
                break
        took = time.monotonic() - began
        assert found == missing, f"{found} differ, {missing} should"
        return took


async def measure(engine: Engine, address: str, count: int) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(SPREAD), {"count": count})
        for statement in (DISCOVERIES, MANAGED, "ANALYZE"):
            connection.execute(sa.text(statement))
    print(f"{count:,} certificates, load average {os.getloadavg()[0]:.1f}", flush=True)
    lost = Sides(engine, await new_namespace(address, "lost"))
    ids = lost.ids()
    print(f"  all missing: {await lost.compare(count):.1f} s", flush=True)
    whole = Sides(engine, await new_namespace(address, "whole"))
    began = time.monotonic()
    await whole.begin(ids)
    print(f"  ({count:,} lifecycles begun in {time.monotonic() - began:.0f} s)", flush=True)
    times = sorted([await whole.compare(0) for _ in range(3)])
    print(f"  all well: {times[1]:.1f} s (of three; {times[0]:.1f} to {times[2]:.1f})", flush=True)
    ended = ids[::ONE_PERCENT]
    await whole.end(ended, count - len(ended))
    print(f"  1 % missing ({len(ended)}): {await whole.compare(len(ended)):.1f} s", flush=True)
    print(f"  load average {os.getloadavg()[0]:.1f} at the end", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--certificates", type=int, default=10_000)
    asked = parser.parse_args()
    with (
        own_postgres() as (_, cluster),
        tempfile.TemporaryDirectory(prefix="evl-tp-", dir="/tmp", ignore_cleanup_errors=True) as folder,
    ):
        temporal, address = start_temporal(Path(folder))
        engine = create_engine(cluster.url(TEMPLATE))
        try:
            asyncio.run(measure(engine, address, asked.certificates))
        finally:
            engine.dispose()
            temporal.terminate()
            temporal.wait()


if __name__ == "__main__":
    main()
