"""What the doctor says of an installation beside its parts, on a real database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cli import checkup
from cli.doctor import Patient
from cli.home import Home
from domain.comparison import Reconciled
from store import tables
from tests.noting import note_at
from tests.policies import whole

pytestmark = pytest.mark.server
NOW = datetime.now(UTC)


@pytest.fixture
def patient(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.setenv("EVERLEAF_DATABASE_URL", database_url)
    monkeypatch.delenv("EVERLEAF_SMTP_URL", raising=False)
    monkeypatch.delenv("EVERLEAF_POLICY", raising=False)
    return Patient(Home(tmp_path), True, {})


def compared(engine: Engine, *counts: tuple[str, int], at: datetime | None = None, held: bool = False) -> None:
    now = at or datetime.now(UTC)
    row = Reconciled(
        id="one",
        workflow_id="reconciliation/one",
        run_id="run",
        began_at=now,
        applied=True,
        living=3,
        running=2,
        counts=counts,
        held_since=now if held else None,
    )
    note_at(engine, row, now)


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [((), "good"), ((("begun-again", 1),), "warned"), ((("begun-again", 1), ("stuck", 2)), "bad")],
)
def test_it_says_how_inventory_and_engine_compared(
    database: Engine, patient: Patient, counts: tuple[tuple[str, int], ...], outcome: str
) -> None:
    assert checkup.lifecycles(patient).outcome == "skipped"

    compared(database, *counts)

    found = checkup.lifecycles(patient)
    assert found.outcome == outcome
    assert found.detail.startswith("3 certificates, 2 lifecycles")
    assert all(f"{count} {kind}" in found.detail for kind, count in counts)


def test_a_comparison_of_long_ago_and_a_store_that_was_put_back_are_bad(database: Engine, patient: Patient) -> None:
    compared(database, at=NOW - timedelta(hours=1))
    assert "not compared since" in checkup.lifecycles(patient).detail

    with database.begin() as connection:
        connection.execute(sa.delete(tables.reconciliations))
    compared(database, held=True)
    found = checkup.lifecycles(patient)
    assert found.outcome == "bad" and "sign nothing" in found.detail


def test_a_worker_whose_clock_is_wrong_is_named(database: Engine, patient: Patient) -> None:
    assert checkup.workers_clocks(patient).outcome == "good"

    with database.begin() as connection:
        wrong = {"serves": ["scan"], "host": "far-away", "said_at": NOW + timedelta(days=3), "written_at": NOW}
        connection.execute(sa.insert(tables.heartbeats).values(wrong))

    found = checkup.workers_clocks(patient)
    assert found.outcome == "bad"
    assert "scan on far-away is 3 days ahead" in found.detail


def test_no_mail_route_is_warned_of(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkup.mail_route(patient).outcome == "warned"

    monkeypatch.setenv("EVERLEAF_SMTP_URL", "smtp://127.0.0.1:25")
    assert checkup.mail_route(patient).outcome == "good"


def test_a_policy_without_roots_whose_issuer_names_none_is_warned_of(patient: Patient) -> None:
    people = "people: [{id: p-head, name: Head, email: head@example.in, role: security-head}]\n"
    issuer = people + "issuers: [{name: supplier, kind: manual, trust_class: private, recognise: [x]}]\n"
    patient.home.policy.write_text(whole(issuer))

    found = checkup.roots(patient)

    assert found.outcome == "warned" and "supplier" in found.detail
    patient.home.policy.write_text(whole(people))
    assert checkup.roots(patient).outcome == "good"
