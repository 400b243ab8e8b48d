"""People as the policy names them; the only place where a name and an address stand beside an id."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from domain.tiers import Person, Role
from store import tables


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody whose word was proven.  ``id``: "person/<id>" or "token/<id>"; a person's token acts as the person.

    ``may_decide``: approve and reject.  Four eyes are people: see ``decides``.
    """

    id: str
    role: Role
    may_decide: bool
    name: str = ""

    @property
    def person(self) -> str:
        """The person's id, or empty for a machine."""
        kind, _, name = self.id.partition("/")
        return name if kind == "person" else ""


# The roles of which a person approves and rejects.
DECIDING = frozenset({Role.SECURITY_HEAD})
NAME_ONE = "Make a token with `everleaf token create --person ID`, or with --may-decide for a machine."


def decides(role: Role, person: str, may_decide: bool) -> bool:
    """Whether who holds ``role`` as ``person`` (empty: nobody by name) may approve; ``may_decide``: a machine that may.

    A role that nobody stands behind approves nothing: it could be the second pair of eyes of whoever asked.
    """
    return may_decide or (role in DECIDING and bool(person))


def sync_people(engine: Engine, people: Iterable[Person]) -> None:
    """Make the table say what the policy says: who left it can no longer act."""
    rows = [{"id": one.id, "name": one.name, "email": one.email, "role": one.role.value} for one in people]
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.people).where(tables.people.c.id.not_in([row["id"] for row in rows])))
        for row in rows:
            statement = insert(tables.people).values(**row, since=sa.func.now())
            changed = {key: value for key, value in row.items() if key != "id"}
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))


def everybody(engine: Engine) -> list[Person]:
    """Whom the policy names, by id."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(tables.people).order_by(tables.people.c.id))
        return [Person(row.id, row.name, row.email, Role(row.role)) for row in rows]


def person(engine: Engine, person_id: str) -> Person | None:
    with engine.connect() as connection:
        row = connection.execute(sa.select(tables.people).where(tables.people.c.id == person_id)).one_or_none()
    return Person(row.id, row.name, row.email, Role(row.role)) if row else None


def head_of(engine: Engine, role: Role) -> Person | None:
    """The first person of ``role`` by id: whom a login link of that role stands for."""
    query = sa.select(tables.people).where(tables.people.c.role == role.value).order_by(tables.people.c.id).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return Person(row.id, row.name, row.email, Role(row.role)) if row else None


def people_of(engine: Engine, role: Role) -> list[Person]:
    """Everybody of ``role``, by id."""
    query = sa.select(tables.people).where(tables.people.c.role == role.value).order_by(tables.people.c.id)
    with engine.connect() as connection:
        return [Person(row.id, row.name, row.email, Role(row.role)) for row in connection.execute(query)]
