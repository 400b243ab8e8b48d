"""What `everleaf doctor` asks of an installation beside its parts: is everything attended, and would people hear?

To add a check: write a function from ``Patient`` to ``Finding`` and put it into CHECKS.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from activities.ntp import asked
from cli import database, doctor
from cli.doctor import Finding, Patient
from domain.certificate import TrustClass
from domain.clocks import wrong_clock
from domain.errors import BadPolicy, NotReady
from domain.reconciling import MENDED, STALE_AFTER
from domain.tiers import Policy
from formats.policy import parse_policy
from store import tables
from store.engine import create_engine
from store.reader.reconciliations import last_reconciliation

T = TypeVar("T")
HIDDEN = Finding("skipped", "this role of the database may not read it; ask where the lifecycle worker runs")


def lifecycles(patient: Patient) -> Finding:
    """Inventory against engine, as they were compared last; the workers do it every five minutes."""
    if not patient.database_url:
        return doctor.NOT_RUNNING
    row = _read(patient, last_reconciliation)
    if isinstance(row, Finding):
        return row
    if row is None:
        return Finding("skipped", "inventory and engine were not compared yet; a lifecycle worker does it at its start")
    told = f"{row['living']} certificates, {row['running']} lifecycles at {row['noted_at']:%d %b %H:%M} UTC"
    if row["held_since"] is not None:
        remedy = "Read `everleaf reconcile --dry-run`, then `everleaf reconcile --apply`."
        return Finding("bad", f"{told}; the database was put back, our CAs sign nothing", remedy)
    if datetime.now(UTC) - row["noted_at"] > STALE_AFTER:
        return Finding("bad", f"{told}; not compared since", "See whether a lifecycle worker runs, and its log.")
    counts = dict(row["counts"])
    if not counts:
        return Finding("good", told)
    differs = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    waits = set(counts) - set(MENDED)
    return Finding("bad" if waits else "warned", f"{told}; {differs}", "`everleaf reconcile --dry-run` names them.")


def workers_clocks(patient: Patient) -> Finding:
    """Each worker's and the API's clock, by their heartbeats, with the database's and ours."""
    if not patient.database_url:
        return doctor.NOT_RUNNING
    rows = _read(patient, _ahead)
    if isinstance(rows, Finding):
        return rows
    ours, theirs = datetime.now(UTC), database.clock(patient.database_url)
    witnesses = {"the database": theirs}
    witnesses |= {whose: theirs + ahead for whose, ahead in rows}
    problem = wrong_clock(ours, witnesses)
    remedy = "Let NTP set the clocks of all machines; meanwhile nothing is signed, deployed or verified."
    return Finding("bad" if problem else "good", problem or f"{len(witnesses) + 1} agree within a minute", remedy)


def third_witness(patient: Patient) -> Finding:
    policy = _policy(patient)
    if policy is None:
        return Finding("skipped", "there is no policy that could be read")
    if not policy.ntp:
        return Finding("skipped", "the policy names no time server (`ntp`): parts on one machine share its clock")
    try:
        said = asked(policy.ntp)
    except NotReady as problem:
        remedy = "Open UDP to it, or name another; meanwhile clocks have Temporal and the database as witnesses."
        return Finding("warned", f"there is none: {problem}", remedy)
    differs = wrong_clock(datetime.now(UTC), {f"the NTP server {policy.ntp}": said})
    remedy = "Let NTP set this machine's clock; meanwhile nothing is signed, deployed or verified."
    return Finding("bad" if differs else "good", differs or f"{policy.ntp} agrees within a minute", remedy)


def mail_route(patient: Patient) -> Finding:
    if patient.setting("EVERLEAF_SMTP_URL"):
        return Finding("good", "EVERLEAF_SMTP_URL is set")
    if not patient.is_running:
        return doctor.NOT_RUNNING
    remedy = "Set EVERLEAF_SMTP_URL; until then what nobody can be told counts as unanswered, and climbs."
    return Finding("warned", "there is none: nobody is asked, and no rung is heard", remedy)


def roots(patient: Patient) -> Finding:
    """By which a path is judged whole, and a stranger's CA told from ours."""
    policy = _policy(patient)
    if policy is None:
        return Finding("skipped", "there is no policy that could be read")
    private = [one for one in policy.issuers if one.trust_class is TrustClass.PRIVATE and one.kind != "private-ca"]
    bare = [one.name for one in private if not one.roots]
    remedy = "Name them in the policy: `roots`, and `roots` of each issuer (docs/policy.md)."
    if not policy.roots and bare:
        told = (
            f"the policy names no roots, and {', '.join(bare)} none: successors are held against the present CA alone"
        )
        return Finding("warned", told, remedy)
    return Finding("good", f"{len(policy.roots)} in the policy")


CHECKS: doctor.Checks = (
    ("lifecycles", lifecycles),
    ("workers' clocks", workers_clocks),
    ("third witness", third_witness),
    ("mail route", mail_route),
    ("roots", roots),
)


def _policy(patient: Patient) -> Policy | None:
    file = Path(patient.setting("EVERLEAF_POLICY") or patient.home.policy)
    try:
        return parse_policy(file.read_bytes(), str(file))
    except (BadPolicy, OSError):
        # What is wrong with it is said by the check that is about it.
        return None


def _ahead(engine: Engine) -> list[tuple[str, timedelta]]:
    """(whose, by how much it was ahead of the database when it last wrote)."""
    column = tables.heartbeats.c
    query = sa.select(column.serves, column.host, (column.said_at - column.written_at).label("ahead"))
    with engine.connect() as connection:
        return [(f"{','.join(row.serves)} on {row.host}", row.ahead) for row in connection.execute(query)]


def _read(patient: Patient, question: Callable[[Engine], T]) -> T | Finding:
    """What the store answers.  Raises NotReady where it does not; a role that may not ask is told so."""
    engine = create_engine(patient.database_url)
    try:
        return question(engine)
    except ProgrammingError as problem:
        if isinstance(problem.orig, psycopg.errors.InsufficientPrivilege):
            return HIDDEN
        if isinstance(problem.orig, psycopg.errors.UndefinedTable):
            return Finding("bad", "the database is of an older release", "everleaf migrate")
        raise
    except OperationalError as problem:
        raise NotReady("the database does not answer. Start it, or correct EVERLEAF_DATABASE_URL") from problem
    finally:
        engine.dispose()
