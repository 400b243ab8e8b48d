"""Judged chains, kept while what was said of them holds: the same chain is served in every discovery."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine

from domain.paths import Path
from store import tables
from store.batches import listed, put_rows

PATH = TypeAdapter(Path)


@dataclass(frozen=True, slots=True)
class JudgedChain:
    """``chain_sha256``: over its fingerprints as served; ``judged_by``: over everything that judged it but the time.

    ``path`` holds behind ``holds_from`` and before ``holds_until``, neither included: the dates of all certificates
    that it could hang on.  None: there is no such date.
    """

    chain_sha256: str
    judged_by: str
    holds_from: datetime | None
    holds_until: datetime | None
    path: Path

    def holds(self, at: datetime) -> bool:
        has_begun = self.holds_from is None or self.holds_from < at
        return has_begun and (self.holds_until is None or at < self.holds_until)


def judged_chains(connection: Connection, chains: Iterable[str], judged_by: str) -> dict[str, JudgedChain]:
    """What ``judged_by`` said of ``chains`` (their SHA-256), of one batch."""
    c, wanted = tables.judged_chains.c, listed("chain_sha256", chains)
    query = sa.select(tables.judged_chains).join(wanted, c.chain_sha256 == wanted.c.chain_sha256)
    return {
        row.chain_sha256: JudgedChain(
            row.chain_sha256, row.judged_by, row.holds_from, row.holds_until, PATH.validate_python(row.path)
        )
        for row in connection.execute(query.where(c.judged_by == judged_by))
    }


def keep_judged(engine: Engine, judged: Sequence[JudgedChain], now: datetime) -> None:
    """Keep what was judged, over what was said before; forget what holds no more."""
    rows = [
        {
            "chain_sha256": one.chain_sha256,
            "judged_by": one.judged_by,
            "holds_from": None if one.holds_from is None else one.holds_from.isoformat(),
            "holds_until": None if one.holds_until is None else one.holds_until.isoformat(),
            "path": PATH.dump_python(one.path, mode="json"),
        }
        for one in sorted(judged, key=lambda one: one.chain_sha256)
    ]
    statement = insert(tables.judged_chains)
    changed = {name: statement.excluded[name] for name in ("judged_by", "holds_from", "holds_until", "path")}
    with engine.begin() as connection:
        c = tables.judged_chains.c
        connection.execute(sa.delete(tables.judged_chains).where(c.holds_until < now))
        put_rows(connection, statement, rows, changed)
