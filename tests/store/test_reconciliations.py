"""Orders that nobody follows, and comparisons that are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import Slot
from domain.comparison import DifferenceRow, LostRevocation, Reconciled
from domain.contracts import EventRecord, RecordBatch
from store import tables
from store.facts import record
from store.orders import Order, issue_order, place_order
from store.reader.reconciliations import (
    differing_since,
    held_since,
    last_applied,
    lost_orders,
    of_no_pair,
    orders_adrift,
    revoked_orders,
    seen_before,
)
from store.reconciliations import KEPT, note, note_seen
from tests.activities.conftest import PLAN, govern

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "mc-1.1.1.1"


def adrift(database: Engine, at: datetime) -> list[tuple[str, str]]:
    with database.connect() as connection:
        return [(one, why) for one, whys in orders_adrift(connection, at, "", 10).items() for why in whys]


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
    facts = {"order_key": KEY, "reason": "retired", "revoke": True, "fingerprint": "ff"}
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


def age(database: Engine, by: timedelta) -> None:
    """As if everything that is kept had been noted ``by`` earlier."""
    c = tables.reconciliations.c
    with database.begin() as connection:
        connection.execute(sa.update(tables.reconciliations).values(noted_at=c.noted_at - by))


def kept(database: Engine) -> list[str]:
    c = tables.reconciliations.c
    with database.connect() as connection:
        return list(connection.execute(sa.select(c.id).order_by(c.number)).scalars())


def test_comparisons_are_kept_for_a_month_and_the_newest_for_ever(database: Engine) -> None:
    note(database, compared(NOW, "r-0"))
    note(database, compared(NOW, "r-1"))
    note(database, compared(NOW, "r-1", held_since=NOW))
    assert held_since(database) is None, "a repetition changes nothing"
    age(database, 3 * KEPT)
    note(database, compared(NOW, "question", applied=False, held_since=NOW))
    assert kept(database) == ["r-1", "question"]
    with database.connect() as connection:
        last = last_applied(connection)
    assert last is not None
    assert last["id"] == "r-1"
    note(database, compared(NOW, "r-2", held_since=NOW))
    assert kept(database) == ["question", "r-2"]
    assert held_since(database) == NOW
    assert differing_since(database, NOW, 5) == []


def test_what_found_a_gap_is_kept_for_ever_with_who_asked(database: Engine) -> None:
    note(database, compared(NOW, "r-1", counts=(("gap", 1),), by="person/p-head", release=True))
    age(database, 300 * KEPT)
    note(database, compared(NOW, "r-2"))
    note(database, compared(NOW, "r-3"))
    c = tables.reconciliations.c
    with database.connect() as connection:
        rows = connection.execute(sa.select(c.id, c.asked_by).order_by(c.number)).all()
    assert [tuple(row) for row in rows] == [("r-1", "person/p-head"), ("r-2", ""), ("r-3", "")]


def test_the_newest_is_the_one_noted_last_whatever_a_clock_said(database: Engine) -> None:
    note(database, compared(NOW, "r-1"))
    age(database, timedelta(days=-100))
    note(database, compared(NOW, "r-2", held_since=NOW))
    assert held_since(database) == NOW


def test_a_hold_goes_on_until_a_release_that_has_seen_it(database: Engine) -> None:
    note(database, compared(NOW, "r-1", held_since=NOW))
    later = NOW + timedelta(minutes=5)
    # This one had read the store before the hold.
    note(database, compared(later, "r-2"))
    assert held_since(database) == NOW
    note(database, compared(later, "r-3", applied=False, release=True))
    assert held_since(database) == NOW
    note(database, compared(NOW - timedelta(seconds=1), "r-4", release=True))
    assert held_since(database) == NOW, "it began before the hold"
    note(database, compared(later, "r-5", release=True))
    assert held_since(database) is None


def test_what_was_seen_is_known_to_the_next_comparison_and_to_none_behind_it(database: Engine) -> None:
    stuck, gap = (DifferenceRow(kind, "mc-1", "", "why", True) for kind in ("stuck", "gap"))
    held = DifferenceRow("held", "", "", "", True)
    note_seen(database, "r-1", [replace(stuck, told=False), gap, gap, held])
    note_seen(database, "r-1", [replace(stuck, told=False)])
    note(database, compared(NOW, "r-1"))
    with database.connect() as connection:
        assert sorted(seen_before(connection, ["mc-1", "mc-2"])) == [("gap", "mc-1", True), ("stuck", "mc-1", False)]
        assert of_no_pair(connection, 9) == [("held", "", True), ("gap", "mc-1", True)]
    note(database, compared(NOW, "question", applied=False))
    note_seen(database, "r-2", [stuck])
    note(database, compared(NOW, "r-2"))
    with database.connect() as connection:
        assert seen_before(connection, ["mc-1"]) == [("stuck", "mc-1", True)]
        assert of_no_pair(connection, 9) == []


def issued(seq: int, key: str) -> EventRecord:
    facts = {"order_key": key, "life": {"fingerprint": key, "serial": "0a", "issuer": "CN=Ours"}}
    return EventRecord(seq, "certificate_issued", NOW, "x", 1, 1, "everleaf", facts)


def test_orders_that_were_forgotten_come_in_pages_that_lose_none(database: Engine) -> None:
    ordered(database)
    keys = [f"mc-1.{number}.1.1" for number in (3, 1, 2)]
    events = tuple(issued(seq, key) for seq, key in enumerate([*keys, KEY]))
    record(database, RecordBatch("mc-1", "run", events), "test", NOW)
    with database.connect() as connection:
        first = lost_orders(connection, "", 2)
        second = lost_orders(connection, first[-1].order_key, 2)
    assert [one.order_key for one in (*first, *second)] == ["mc-1.2.1.1", "mc-1.3.1.1"]


def test_what_was_revoked_comes_with_why_and_when_once_each(database: Engine) -> None:
    ordered(database)
    facts = {"order_key": KEY, "reason": "retired", "revoke": True, "fingerprint": "ff"}
    closed = EventRecord(0, "order_closed", NOW, "Retire", 1, 1, "everleaf", facts)
    tried = EventRecord(1, "order_revoked", NOW, "x", 1, 1, "everleaf", {"order_key": "mc-1.9.9.9", "done": False})
    at = NOW + timedelta(minutes=1)
    done = [
        EventRecord(seq, "order_revoked", at, "x", 1, 1, "everleaf", {"order_key": KEY, "done": True}) for seq in (2, 3)
    ]
    record(database, RecordBatch("mc-1", "run", (closed, tried, *done)), "test", NOW)
    with database.connect() as connection:
        assert revoked_orders(connection, "", 9) == [LostRevocation(KEY, "cessationOfOperation", at, "ff")]
        assert revoked_orders(connection, KEY, 9) == []
    life = {"order_key": KEY, "life": {"fingerprint": "ff", "serial": "0a", "issuer": "CN=Ours"}}
    used = EventRecord(4, "certificate_issued", at, "x", 1, 1, "everleaf", life)
    record(database, RecordBatch("mc-1", "run", (used,)), "test", NOW)
    with database.connect() as connection:
        [found] = revoked_orders(connection, "", 9)
    assert found == LostRevocation(KEY, "cessationOfOperation", at, "ff", "0a", "CN=Ours")
