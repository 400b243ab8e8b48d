"""What people bring: comments, uploaded certificates, versions of the policy."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.errors import NotFound
from store import tables


@dataclass(frozen=True, slots=True)
class Comment:
    """``about``: an approval's or a case's id; ``by``: "person/<id>" or "token/<id>"."""

    managed_id: str
    about: str
    by: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A chain of DER certificates that somebody brought for an order, leaf first; not yet judged."""

    order_key: str
    chain: tuple[bytes, ...]
    by: str
    at: datetime


def add_comment(engine: Engine, comment_id: str, comment: Comment) -> None:
    """Keep ``comment``, once; its id is all that a workflow ever sees of it.  It counts beside no decision until
    ``say_comment``."""
    row = {"managed_id": comment.managed_id, "about": comment.about, "by": comment.by, "text": comment.text}
    first = insert(tables.comments).values(id=comment_id, **row, at=comment.at)
    with engine.begin() as connection:
        connection.execute(first.on_conflict_do_nothing(index_elements=["id"]))


def say_comment(engine: Engine, comment_id: str) -> None:
    """What it came with was taken, or may have been; nothing that happens later un-says it."""
    with engine.begin() as connection:
        told = sa.update(tables.comments).where(tables.comments.c.id == comment_id)
        connection.execute(told.values(said=True))


def comments_on(engine: Engine, managed_id: str) -> list[Comment]:
    """Oldest first; those alone whose decision was taken."""
    column = tables.comments.c
    query = sa.select(tables.comments).where(column.managed_id == managed_id, column.said)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(column.at, column.id)).all()
    return [Comment(row.managed_id, row.about, row.by, row.text, row.at) for row in rows]


def add_upload(engine: Engine, upload_id: str, upload: Upload) -> None:
    """Keep ``upload``, once.  Raises NotFound where there is no such order."""
    row = {"id": upload_id, "order_key": upload.order_key, "chain": list(upload.chain), "by": upload.by}
    with engine.begin() as connection:
        known = sa.select(tables.orders.c.order_key).where(tables.orders.c.order_key == upload.order_key)
        if connection.execute(known).scalar() is None:
            raise NotFound(f"There is no order {upload.order_key}; an approval's page names its order.")
        first = insert(tables.uploads).values(**row, at=upload.at)
        connection.execute(first.on_conflict_do_nothing(index_elements=["id"]))


def uploads_for(engine: Engine, order_key: str) -> list[Upload]:
    """Newest first: the last one brought is the one that is judged."""
    column = tables.uploads.c
    query = sa.select(tables.uploads).where(column.order_key == order_key).order_by(column.at.desc(), column.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [Upload(row.order_key, tuple(bytes(der) for der in row.chain), row.by, row.at) for row in rows]


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    version: str
    text: str


def keep_policy(engine: Engine, version: str, text: str, now: datetime) -> None:
    """Keep the text of a version, for histories name it for ever, and that it is in force from ``now`` on."""
    statement = insert(tables.policies).values(version=version, text=text, at=now, in_force_at=now)
    newest = sa.func.greatest(tables.policies.c.in_force_at, now)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["version"], set_={"in_force_at": newest}))


def last_policy(engine: Engine) -> KeptPolicy | None:
    """The one that was last in force: every text here was judged before a worker went by it."""
    column = tables.policies.c
    query = sa.select(column.version, column.text).order_by(column.in_force_at.desc(), column.version).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return KeptPolicy(row.version, row.text) if row else None


def policy_text(engine: Engine, version: str) -> str:
    """Raises NotFound."""
    column = tables.policies.c
    with engine.connect() as connection:
        found = connection.execute(sa.select(column.text).where(column.version == version)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"No policy {version!r} was ever in force; a history names it as policy_version.")
    return str(found)
