"""Orders that nobody follows, and comparisons that are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import Slot
from domain.contracts import EventRecord, Reconciled, RecordBatch
from store import tables
from store.facts import record
from store.orders import Order, issue_order, place_order
from store.reader.reconciliations import differing_since, held_since, last_applied, orders_adrift
from store.reconciliations import KEPT, note
from tests.activities.conftest import PLAN, govern

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "mc-1.1.1.1"


def adrift(database: Engine, at: datetime) -> list[tuple[str, str]]:
    with database.connect() as connection:
        return [(one.managed_id, one.why) for one in orders_adrift(connection, at, 10)]


def case(database: Engine, order_key: str, closed_at: datetime | None = None) -> None:
    row = {"managed_id": "mc-1", "generation": 1, "number": 1, "cause": "due", "stage": "ordering", "outcome": ""}
    with database.begin() as connection:
        connection.execute(sa.delete(tables.cases))
        values = {**row, "order_key": order_key, "opened_at": NOW, "closed_at": closed_at}
        connection.execute(sa.insert(tables.cases).values(**values))


def ordered(database: Engine) -> None:
    govern(database, "mc-1", Slot("tls://127.0.0.1:443", "ecdsa"))
    place_order(database, Order(KEY, "mc-1", PLAN, "policy", "k-1", b"csr"), NOW)


def test_an_order_is_followed_by_its_open_case_and_by_nothing_else(database: Engine) -> None:
    ordered(database)
    assert adrift(database, NOW) == []
    late = NOW + timedelta(minutes=16)
    assert adrift(database, late) == [("mc-1", f"no case follows its order {KEY}")]
    case(database, KEY)
    assert adrift(database, late) == []
    case(database, KEY, closed_at=NOW)
    assert adrift(database, late) == [("mc-1", f"no case follows its order {KEY}")]


def test_what_its_lifecycle_has_closed_or_put_in_use_is_not_adrift(database: Engine) -> None:
    ordered(database)
    late = NOW + timedelta(hours=1)
    facts = {"order_key": KEY, "reason": "retired", "revoke": True}
    closed = EventRecord(0, "order_closed", NOW, "Retire", 1, 1, "everleaf", facts)
    record(database, RecordBatch("mc-1", "run", (closed,)), "test", NOW)
    assert adrift(database, late) == []
    other = "mc-1.2.1.1"
    place_order(database, Order(other, "mc-1", PLAN, "policy", "k-2", b"csr"), NOW)
    issued = issue_order(database, other, (b"der",), NOW)
    assert adrift(database, late) == [("mc-1", f"no case follows its order {other}")]
    life = {"managed_id": "mc-1", "generation": 3, "fingerprint": issued.fingerprint, "issuer": "x"}
    times = dict.fromkeys(("not_before", "not_after", "began_at"), NOW)
    with database.begin() as connection:
        connection.execute(sa.insert(tables.lives).values(**life, **times))
    assert adrift(database, late) == []


def test_a_case_whose_order_the_store_has_forgotten_is_adrift(database: Engine) -> None:
    govern(database, "mc-1", Slot("tls://127.0.0.1:443", "ecdsa"))
    case(database, KEY)
    assert adrift(database, NOW + timedelta(hours=1)) == [("mc-1", f"the store does not hold its order {KEY}")]


def compared(at: datetime, name: str, **more: object) -> Reconciled:
    return replace(Reconciled(name, "workflow", "run", at, True, 1, 1), **more)  # type: ignore[arg-type]  # any field


def test_comparisons_are_kept_for_a_month_and_the_newest_for_ever(database: Engine) -> None:
    note(database, compared(NOW, "r-1"), NOW)
    note(database, compared(NOW, "r-1", held_since=NOW), NOW)
    assert held_since(database) is None, "a repetition changes nothing"
    much_later = NOW + 3 * KEPT
    note(database, compared(much_later, "question", applied=False, held_since=NOW), much_later)
    with database.connect() as connection:
        last = last_applied(connection)
    assert last is not None
    assert last["id"] == "r-1"
    note(database, compared(much_later, "r-2", held_since=NOW), much_later + timedelta(minutes=5))
    assert held_since(database) == NOW
    assert differing_since(database, NOW, 5) == []
