"""Looks and findings of discoveries that are long over; what is shown of a place now stays, whatever its age."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from store import tables
from store.batches import delete_in_batches

DISCOVERY, SLOT = tables.discoveries.c, tables.slots.c
LOOK, FOUND = tables.looks.c, tables.findings.c


def forget_looks(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` looks of discoveries that ended before ``before``; gives how many.

    Not those that a place was looked at or seen by last: pages show the chain of them.
    """
    there = sa.and_(SLOT.url == LOOK.url, SLOT.algorithm == LOOK.algorithm)
    unshown = ~sa.exists().where(_is_newest(LOOK.discovery_id), there)
    done = 0
    for discovery_id in _ended(engine, before, sa.exists().where(LOOK.discovery_id == DISCOVERY.id, unshown)):
        old = sa.and_(LOOK.discovery_id == discovery_id, unshown)
        done += delete_in_batches(tables.looks, engine, old, most - done)
        if done >= most:
            break
    return done


def forget_findings(engine: Engine, before: datetime, most: int) -> int:
    """Drop at most ``most`` findings of discoveries that ended before ``before``; gives how many.

    Not those of the discovery that looked at, or saw, their place last: they hold until another one has.
    """
    unshown = ~sa.exists().where(_is_newest(FOUND.discovery_id), SLOT.url == FOUND.url)
    done = 0
    for discovery_id in _ended(engine, before, sa.exists().where(FOUND.discovery_id == DISCOVERY.id, unshown)):
        old = sa.and_(FOUND.discovery_id == discovery_id, unshown)
        done += delete_in_batches(tables.findings, engine, old, most - done)
        if done >= most:
            break
    return done


def _is_newest(discovery_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.or_(SLOT.looked_in == discovery_id, SLOT.judged_in == discovery_id)


def _ended(engine: Engine, before: datetime, has_more: sa.ColumnElement[bool]) -> list[str]:
    """Discoveries with something to forget, oldest first: after years most have nothing left.

    One that never ended is not old: its looks wait for their adoption.
    """
    query = sa.select(DISCOVERY.id).where(DISCOVERY.finished_at < before, has_more).order_by(DISCOVERY.finished_at)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())
