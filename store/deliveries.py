"""What people were told, and whether it reached them."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.contracts import Delivery, Message
from store import tables
from store.batches import delete_in_batches

MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def queue_delivery(engine: Engine, message: Message, channel: str, now: datetime) -> None:
    """Note that ``message`` is to be sent; a second time changes nothing."""
    row = {
        "message_id": message.id,
        "managed_id": message.managed_id,
        "person": message.person,
        "channel": channel,
        "level": message.level,
        "topic": message.topic,
        "message": MESSAGE.dump_python(message, mode="json"),
        "state": "queued",
        "queued_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.deliveries).values(**row).on_conflict_do_nothing())


def unfinished(engine: Engine, message_ids: list[str], channel: str) -> set[str]:
    """Which of ``message_ids`` still wait to be sent over ``channel``."""
    column = tables.deliveries.c
    query = sa.select(column.message_id).where(column.message_id.in_(message_ids), column.channel == channel)
    with engine.connect() as connection:
        done = set(connection.execute(query.where(column.state != "queued")).scalars())
    return set(message_ids) - done


def finish_deliveries(engine: Engine, message_ids: list[str], channel: str, outcome: tuple[Delivery, datetime]) -> None:
    """Note how the sending of ``message_ids`` ended."""
    delivery, now = outcome
    column = tables.deliveries.c
    with engine.begin() as connection:
        ended = sa.update(tables.deliveries).where(column.message_id.in_(message_ids), column.channel == channel)
        ended = ended.where(column.state == "queued")
        connection.execute(ended.values(state=delivery.state, detail=delivery.detail, finished_at=now))


def waiting(engine: Engine, channel: str, before: datetime, most: int) -> list[tuple[Message, datetime]]:
    """Messages that were queued before ``before`` and of which nobody has said what became of them, oldest first."""
    column = tables.deliveries.c
    query = sa.select(column.message, column.queued_at).where(column.state == "queued", column.channel == channel)
    query = query.where(column.queued_at < before, column.message.is_not(None)).order_by(column.queued_at).limit(most)
    with engine.connect() as connection:
        return [(MESSAGE.validate_python(row.message), row.queued_at) for row in connection.execute(query)]


def forget_deliveries(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` that ended before ``before``; what still waits stays.  Gives how many."""
    return delete_in_batches(tables.deliveries, engine, tables.deliveries.c.finished_at < before, most)
