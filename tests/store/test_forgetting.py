"""What is forgotten, and what never is: the newest look at each place, and what it found there."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.certificate import Look, LookOutcome
from domain.contracts import Delivery, Message
from domain.tiers import Role
from store import access, deliveries, reader, tables
from store.access import forget_keys, forget_security_events, forget_sessions
from store.batches import delete_in_batches
from store.changes import forget_changes, note_change
from store.sightings.forgetting import forget_findings, forget_looks
from store.sightings.looks import Discovery, begin, save_page

pytestmark = pytest.mark.server

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LEAF, CA = "aa" * 32, "cc" * 32
ALIVE, SILENT, GONE = "tls://10.0.0.1:443", "tls://10.0.0.2:443", "tls://10.0.0.3:443"
ALL = 1_000_000


def discovered(engine: Engine, name: str, ended: datetime | None, outcomes: dict[str, LookOutcome]) -> None:
    """A discovery with its looks, and a finding for each place that it saw."""
    begin(engine, Discovery(name, "s", {}, 1, len(outcomes)), ended or NOW)
    chains = {LookOutcome.SEEN: (LEAF, CA)}
    looks = [Look(url, "ecdsa", NOW, one, chains.get(one, ())) for url, one in outcomes.items()]
    save_page(engine, (name, 0), looks, [])
    with engine.begin() as connection:
        for url, one in outcomes.items():
            if one is LookOutcome.SEEN:
                row = {"discovery_id": name, "fingerprint": LEAF, "url": url, "kind": "weak-key", "severity": "minor"}
                connection.execute(sa.insert(tables.findings).values(**row, detail=""))
        changed = sa.update(tables.discoveries).where(tables.discoveries.c.id == name)
        connection.execute(changed.values(finished_at=ended, state="adopted" if ended else "scanned"))


@pytest.fixture
def estate(database: Engine) -> Engine:
    """Old discoveries and a new one: ALIVE is seen by all, SILENT was last seen by the second, GONE has no slot."""
    seen, silent = LookOutcome.SEEN, LookOutcome.UNREACHABLE
    discovered(database, "d1", NOW - 200 * DAY, {ALIVE: seen, SILENT: seen, GONE: seen})
    discovered(database, "d2", NOW - 150 * DAY, {ALIVE: seen, SILENT: seen})
    discovered(database, "d3", NOW - 120 * DAY, {ALIVE: seen, SILENT: silent})
    discovered(database, "d4", NOW - 10 * DAY, {ALIVE: seen})
    discovered(database, "open", None, {ALIVE: seen})
    with database.begin() as connection:
        made = {"id": "mc-1", "discovery_id": "d1", "fingerprints": [LEAF], "names": ["n"], "terms": {}}
        connection.execute(sa.insert(tables.managed).values(**made, adopted_at=NOW))
        for url, looked, judged in ((ALIVE, "d4", "d4"), (SILENT, "d3", "d2")):
            row = {"url": url, "algorithm": "ecdsa", "managed_id": "mc-1", "last_outcome": "seen"}
            row |= {"last_fingerprint": LEAF, "looked_in": looked, "judged_in": judged}
            connection.execute(sa.insert(tables.slots).values(**row, last_looked_at=NOW))
    return database


def left(engine: Engine, table: sa.Table) -> set[tuple[str, str]]:
    with engine.connect() as connection:
        return {(row[0], row[1]) for row in connection.execute(sa.select(table.c.discovery_id, table.c.url))}


def test_old_looks_go_and_those_that_a_place_stands_on_stay(estate: Engine) -> None:
    assert forget_looks(estate, NOW - 90 * DAY, ALL) == 5

    assert left(estate, tables.looks) == {
        ("d2", SILENT),  # it was seen there last: its chain is shown
        ("d3", SILENT),  # it was looked at last
        ("d4", ALIVE),
        ("open", ALIVE),
    }
    assert [one["fingerprint"] for one in reader.chain_seen(estate, "mc-1", LEAF)] == [LEAF, CA]
    assert forget_looks(estate, NOW - 90 * DAY, ALL) == 0


def test_however_old_everything_is_what_is_shown_now_stays(estate: Engine) -> None:
    later = NOW + 3650 * DAY
    forget_looks(estate, later, ALL)
    forget_findings(estate, later, ALL)
    assert left(estate, tables.looks) == {("d2", SILENT), ("d3", SILENT), ("d4", ALIVE), ("open", ALIVE)}
    assert left(estate, tables.findings) == {("d2", SILENT), ("d4", ALIVE), ("open", ALIVE)}


def test_old_findings_go_and_those_that_still_hold_stay(estate: Engine) -> None:
    assert forget_findings(estate, NOW - 90 * DAY, ALL) == 5
    assert left(estate, tables.findings) == {("d2", SILENT), ("d4", ALIVE), ("open", ALIVE)}


def test_no_more_goes_than_was_asked_for(estate: Engine) -> None:
    assert [forget_looks(estate, NOW - 90 * DAY, 3) for _ in range(3)] == [3, 2, 0]


def test_a_batch_is_a_transaction_and_batches_come_to_the_whole(database: Engine) -> None:
    with database.begin() as connection:
        for number in range(25):
            note_change(connection, "certificate", f"mc-{number}")
    assert delete_in_batches(tables.changes, database, tables.changes.c.subject != "mc-7", 20, size=6) == 20
    assert delete_in_batches(tables.changes, database, tables.changes.c.subject != "mc-7", 20, size=6) == 4
    with database.connect() as connection:
        assert connection.execute(sa.select(tables.changes.c.subject)).scalars().all() == ["mc-7"]


def test_a_letter_that_still_waits_is_never_forgotten(database: Engine) -> None:
    for number in ("1", "2", "3"):
        message = Message(f"m-{number}", "mc-1", "p", "owner", "ask", NOW)
        deliveries.queue_delivery(database, message, "email", NOW - 900 * DAY)
    deliveries.finish_deliveries(database, ["m-1"], "email", (Delivery("delivered"), NOW - 500 * DAY))
    deliveries.finish_deliveries(database, ["m-2"], "email", (Delivery("delivered"), NOW - 300 * DAY))

    assert deliveries.forget_deliveries(database, NOW - 400 * DAY, ALL) == 1

    with database.connect() as connection:
        assert set(connection.execute(sa.select(tables.deliveries.c.message_id)).scalars()) == {"m-2", "m-3"}


def test_sessions_links_keys_and_security_events_end_by_their_own_time(database: Engine) -> None:
    link = access.create_login_link(database, Role.NOC)
    assert access.log_in(database, link)
    access.claim_key(database, "r-1", "meant", NOW - 40 * DAY)
    access.claim_key(database, "r-2", "meant", NOW)
    today = datetime.now(UTC)

    assert forget_keys(database, NOW - 30 * DAY, ALL) == 1
    # The session and its link end hours from now: they are kept until then, and for their age.
    assert forget_sessions(database, today, ALL) == 0
    assert forget_sessions(database, today + 2 * DAY, ALL) == 2
    assert forget_security_events(database, today - DAY, ALL) == 0
    # The link that was made, and the login with it.
    assert forget_security_events(database, today + DAY, ALL) == 2
    assert forget_changes(database, today + DAY, ALL) == 0
