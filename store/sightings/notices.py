"""What lifecycles are told: written with the change, sent afterwards, looked up by whoever was told."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.engine import Engine

from domain.contracts import Observation
from domain.errors import NotFound
from store import tables

OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)


def unsent(engine: Engine, most: int, *, after: str = "") -> list[tuple[str, str]]:
    """The first ``most`` (managed id, notice id) that Temporal has not acknowledged, in the order of their writing.

    So oldest first, and those of one certificate in the order in which it must hear them.  ``after``: a notice that
    was in the page before; without it, those that could not be sent would hide the ones behind them for ever.
    """
    c = tables.notices.c
    query = sa.select(c.managed_id, c.id).where(c.sent_at.is_(None)).order_by(c.number).limit(most)
    if after:
        query = query.where(c.number > sa.select(c.number).where(c.id == after).scalar_subquery())
    with engine.connect() as connection:
        return [(row.managed_id, row.id) for row in connection.execute(query)]


def mark_sent(engine: Engine, notice_ids: Sequence[str], at: datetime) -> None:
    """Only after the acknowledgement: a notice sent twice is harmless, a notice lost is not.

    What was marked before keeps its time.  ``notice_ids``: of one page of ``unsent`` at most.
    """
    c = tables.notices.c
    # Sorted, so that two workers that send the same page cannot lock each other out.
    unmarked = sa.and_(c.id == sa.any_(sa.literal(sorted(notice_ids), sa.ARRAY(sa.String))), c.sent_at.is_(None))
    with engine.begin() as connection:
        connection.execute(sa.update(tables.notices).where(unmarked).values(sent_at=at))


def notice_of(engine: Engine, managed_id: str, notice_id: str) -> Observation:
    """Raises NotFound, also where the notice is another's."""
    c = tables.notices.c
    with engine.connect() as connection:
        query = sa.select(c.observation).where(c.id == notice_id, c.managed_id == managed_id)
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound(f"{managed_id} has no notice {notice_id}")
    return OBSERVATION.validate_python(found)


def send_again(engine: Engine, managed_id: str) -> list[str]:
    """Mark as unsent what ``managed_id`` was told and has not recorded, behind the last notice that it did record.

    For a lifecycle that was ended: what it had heard and not recorded is lost with it.  Older ones it may merely have
    passed over, and they must not put old terms back.  Gives their ids, in the order in which they must be heard.
    """
    notice, event = tables.notices.c, tables.events.c
    heard = sa.exists().where(event.stream == managed_id, event.cause == sa.literal("notice/") + notice.id)
    last_heard = sa.select(sa.func.coalesce(sa.func.max(notice.number), 0)).where(
        notice.managed_id == managed_id, heard
    )
    lost = sa.and_(
        notice.managed_id == managed_id, notice.sent_at.is_not(None), notice.number > last_heard.scalar_subquery()
    )
    with engine.begin() as connection:
        marked = sa.update(tables.notices).where(lost).values(sent_at=None).returning(notice.number, notice.id)
        return [row.id for row in sorted(connection.execute(marked))]
