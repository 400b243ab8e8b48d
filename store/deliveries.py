"""What people were told, and whether it reached them."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.contracts import Delivery, Message
from store import tables


def queue_delivery(engine: Engine, message: Message, channel: str, now: datetime) -> None:
    """Note that ``message`` is to be sent; a second time changes nothing."""
    row = {
        "message_id": message.id,
        "managed_id": message.managed_id,
        "person": message.person,
        "channel": channel,
        "level": message.level,
        "topic": message.topic,
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
