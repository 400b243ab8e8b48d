"""What our CAs signed and revoked, and their lists; written by the issue worker alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine, Row

from domain.errors import NotFound
from store import tables


@dataclass(frozen=True, slots=True)
class Authority:
    """``certificate``: DER; ``wrapped_key``: under ca.kek with the name as associated data; ``parent`` empty: root."""

    name: str
    parent: str
    certificate: bytes
    wrapped_key: bytes


@dataclass(frozen=True, slots=True)
class Issued:
    """One order at our CA.  ``tbs``: the intent; ``der``: the one certificate that may leave, empty until signed."""

    order_key: str
    ca: str
    serial: str
    csr_sha256: str
    tbs: bytes
    der: bytes = b""
    revoked_at: datetime | None = None
    revocation_reason: str = ""


def keep_authority(engine: Engine, authority: Authority, now: datetime) -> Authority:
    """Keep ``authority``, unless one of that name is there: then that one counts."""
    row = {
        "name": authority.name,
        "parent": authority.parent,
        "certificate": authority.certificate,
        "wrapped_key": authority.wrapped_key,
        "made_at": now,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.ca_authorities).values(**row).on_conflict_do_nothing())
    kept = find_authority(engine, authority.name)
    assert kept is not None
    return kept


def _authority(row: Row[tuple[object, ...]]) -> Authority:
    return Authority(row.name, row.parent, bytes(row.certificate), bytes(row.wrapped_key))


def find_authority(engine: Engine, name: str) -> Authority | None:
    with engine.connect() as connection:
        query = sa.select(tables.ca_authorities).where(tables.ca_authorities.c.name == name)
        row = connection.execute(query).one_or_none()
    return _authority(row) if row else None


def authorities(engine: Engine) -> list[Authority]:
    """All, by name."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(tables.ca_authorities).order_by(tables.ca_authorities.c.name)).all()
    return [_authority(row) for row in rows]


def _issued(row: Row[tuple[object, ...]]) -> Issued:
    return Issued(
        order_key=row.order_key,
        ca=row.ca,
        serial=row.serial,
        csr_sha256=row.csr_sha256,
        tbs=bytes(row.tbs),
        der=bytes(row.der or b""),
        revoked_at=row.revoked_at,
        revocation_reason=row.revocation_reason,
    )


def find_issued(engine: Engine, order_key: str) -> Issued | None:
    with engine.connect() as connection:
        query = sa.select(tables.ca_issued).where(tables.ca_issued.c.order_key == order_key)
        row = connection.execute(query).one_or_none()
    return _issued(row) if row else None


def issued_of(engine: Engine, order_key: str) -> Issued:
    """Raises NotFound."""
    found = find_issued(engine, order_key)
    if found is None:
        raise NotFound(f"Our CA knows no order {order_key}.")
    return found


def _next_number(connection: Connection, name: str) -> sa.ScalarSelect[int]:
    """Of what the CA ``name`` signs; its row stays locked until the transaction ends, so that no number is left out."""
    authority, column = tables.ca_authorities.c, tables.ca_issued.c
    connection.execute(sa.select(authority.name).where(authority.name == name).with_for_update()).scalar_one()
    query = sa.select(sa.func.coalesce(sa.func.max(column.number), 0) + 1).where(column.ca == name)
    return query.scalar_subquery()


def intend(engine: Engine, intent: Issued, now: datetime) -> Issued:
    """Commit ``intent`` with the next gap-free number of its CA, or give the order's earlier one."""
    with engine.begin() as connection:
        row = {
            "order_key": intent.order_key,
            "ca": intent.ca,
            "serial": intent.serial,
            "number": _next_number(connection, intent.ca),
            "csr_sha256": intent.csr_sha256,
            "tbs": intent.tbs,
            "intended_at": now,
        }
        statement = insert(tables.ca_issued).values(**row).on_conflict_do_nothing(index_elements=["order_key"])
        connection.execute(statement)
    return issued_of(engine, intent.order_key)


def release(engine: Engine, order_key: str, der: bytes, now: datetime) -> Issued:
    """Store ``der`` as the order's one certificate; whoever comes second reads what the first stored."""
    column = tables.ca_issued.c
    unsigned = sa.and_(column.order_key == order_key, column.der.is_(None), column.revoked_at.is_(None))
    with engine.begin() as connection:
        connection.execute(sa.update(tables.ca_issued).where(unsigned).values(der=der, signed_at=now))
    return issued_of(engine, order_key)


def find_serial(engine: Engine, ca: str, serial: str) -> Issued | None:
    column = tables.ca_issued.c
    query = sa.select(tables.ca_issued).where(column.ca == ca, column.serial == serial)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return _issued(row) if row else None


FORGOTTEN = "forgotten."


def regain(engine: Engine, issued: Issued, signed_at: datetime | None, now: datetime) -> None:
    """Write what was signed and forgotten, as the store was put back since; an order that is there stays as it is.

    What was found by its certificate before anybody knew of its order gets that order's key.  ``signed_at`` None: its
    bytes are lost, and its serial is all that is known.
    """
    column = tables.ca_issued.c
    same = sa.and_(column.ca == issued.ca, column.serial == issued.serial, column.order_key.startswith(FORGOTTEN))
    with engine.begin() as connection:
        number = _next_number(connection, issued.ca)
        if connection.execute(sa.update(tables.ca_issued).where(same).values(order_key=issued.order_key)).rowcount:
            return
        row = {
            "order_key": issued.order_key,
            "ca": issued.ca,
            "serial": issued.serial,
            "number": number,
            "csr_sha256": issued.csr_sha256,
            "tbs": issued.tbs,
            "der": issued.der or None,
            "intended_at": now,
            "signed_at": signed_at,
        }
        connection.execute(insert(tables.ca_issued).values(**row).on_conflict_do_nothing())


def unremembered(
    engine: Engine, subjects: Sequence[str], now: datetime, after: str, most: int
) -> list[tuple[str, bytes]]:
    """(fingerprint, DER) of certificates that a look has met, from the one behind ``after`` on, that do not end before
    ``now``, whose issuer is one of ``subjects`` and whose serial is none that was intended.

    Whether one of our CAs signed them its key must say."""
    seen, issued, authority = tables.certificates.c, tables.ca_issued.c, tables.ca_authorities.c
    serial = sa.func.ltrim(sa.func.lower(seen.facts["serial"].astext), "0")
    known = sa.exists().where(sa.func.ltrim(issued.serial, "0") == serial)
    ours = sa.exists().where(authority.certificate == seen.der)
    query = sa.select(seen.fingerprint, seen.der).where(
        seen.facts["issuer"].astext.in_(subjects),
        seen.fingerprint > after,
        seen.not_after > now,
        sa.not_(known),
        sa.not_(ours),
    )
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(seen.fingerprint).limit(most))
        return [(row.fingerprint, bytes(row.der)) for row in rows]


def revoke(engine: Engine, order_key: str, reason: str, now: datetime) -> Issued:
    """Mark the order's certificate revoked; the first time and reason stay."""
    column = tables.ca_issued.c
    living = sa.and_(column.order_key == order_key, column.revoked_at.is_(None))
    with engine.begin() as connection:
        connection.execute(sa.update(tables.ca_issued).where(living).values(revoked_at=now, revocation_reason=reason))
    return issued_of(engine, order_key)


def revoked_by(engine: Engine, ca: str) -> list[Issued]:
    """Whatever of ``ca`` was revoked, by serial.

    Also what is not known to be signed: a store that was put back to between intent and signature holds the intent
    alone, and one serial too many on a list harms nobody.
    """
    column = tables.ca_issued.c
    query = sa.select(tables.ca_issued).where(column.ca == ca, column.revoked_at.is_not(None))
    with engine.connect() as connection:
        return [_issued(row) for row in connection.execute(query.order_by(column.serial))]


def next_crl_number(engine: Engine, ca: str, now: datetime) -> int:
    """A number that no list of ``ca`` ever had, also where the store was put back to before its last lists.

    RFC 5280 5.2.3 asks for rising numbers and allows gaps, so seconds since 1970 serve: no store has to remember them.
    """
    column = tables.ca_authorities.c
    number = sa.func.greatest(column.crl_number + 1, int(now.timestamp()))
    counted = sa.update(tables.ca_authorities).where(column.name == ca).values(crl_number=number)
    with engine.begin() as connection:
        return int(connection.execute(counted.returning(column.crl_number)).scalar_one())


def keep_crl(engine: Engine, ca: str, number: int, made: tuple[bytes, datetime]) -> None:
    der, now = made
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.ca_crls).values(ca=ca, number=number, der=der, made_at=now))


def newest_crl(engine: Engine, ca: str) -> bytes | None:
    column = tables.ca_crls.c
    with engine.connect() as connection:
        query = sa.select(column.der).where(column.ca == ca).order_by(column.number.desc()).limit(1)
        der = connection.execute(query).scalar()
    return bytes(der) if der is not None else None
