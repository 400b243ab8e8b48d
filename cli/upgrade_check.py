"""`everleaf upgrade --check`: what stands in the way of this release, said before anything is changed.

Run with the code of the new release against an installation of the old one.  To add an obstacle: write a function from
``Patient`` to ``Finding`` and put it into OBSTACLES.  What cannot be asked is in the way too.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError

from cli import database, doctor
from cli.database import CONNECT_SECONDS
from cli.doctor import Finding, Patient
from cli.running import database_url, surroundings
from cli.upgrading import BEFORE, PATIENCE_SECONDS, RUNNING, rules_of
from domain.errors import NotReady
from domain.lifecycle.rules import NEWEST, RULES
from domain.settings import parse
from domain.tiers import Role
from formats.payload_keys import parse_keys
from store.engine import conninfo
from store.migrate import is_newer, missing
from store.roles import LOGINS, OWNER
from workflows.client import connect_within
from workflows.replaying import first_difference
from workflows.sealing import KeyFile, keys_of

# A replay takes some 30 ms, and reading the history before it as long.
MOST_REPLAYED = 50
LONGEST = timedelta(seconds=120)
SHOWN = 3
# Migrations after which a token that names no person decides nothing.
TAKES_THE_RIGHT = {"0005"}

T = TypeVar("T")
HIDDEN = Finding("skipped", "this role of the database may not ask; `migrate` refuses what is newer by itself")


def schema(patient: Patient) -> Finding:
    """Forward only: what a newer release has made of the database no older one can read."""
    stands = _stands(patient)
    if stands is None:
        return HIDDEN
    if newer := is_newer(stands):
        return Finding("bad", newer, "Run that release or a newer one, or restore a backup of this one.")
    steps = len(missing(stands))
    return Finding("good", f"{steps} migrations to run" if steps else "is the one of this release")


def roles(patient: Patient) -> Finding:
    """Where processes have roles of their own, a new process needs its role before it starts."""
    with _connected(patient) as connection:
        found = {str(row[0]) for row in connection.execute("SELECT rolname FROM pg_roles")}
    if OWNER not in found:
        return Finding("good", "one role for all, which needs none of ours")
    absent = [role for role in LOGINS if role not in found]
    remedy = "Run deploy/secrets.sh again and then `everleaf migrate --roles DIR` as a superuser."
    return Finding("bad" if absent else "good", f"missing: {', '.join(absent)}" if absent else "all there", remedy)


def rule_sets(patient: Patient) -> Finding:
    """Whether this release can lead every life that runs."""

    async def look(client: Client) -> Counter[str]:
        return Counter([rules_of(run) async for run in client.list_workflows(RUNNING)])

    found = _ask(patient, look)
    told = ", ".join(f"{count} by {name}" for name, count in sorted(found.items())) or "no lifecycle runs"
    unknown = sorted(set(found) - set(RULES) - {BEFORE})
    if unknown:
        remedy = f"Run a release that has {', '.join(unknown)}: they were led by a newer one."
        return Finding("bad", f"{told}; this release has {', '.join(sorted(RULES))}", remedy)
    return Finding("good", f"{told}; `everleaf upgrade` brings them to {NEWEST}")


def histories(patient: Patient) -> Finding:
    """Whether what runs does under this code what it did: evenly spread over all, and at most ``MOST_REPLAYED``."""
    replayed, total, broken = _ask(patient, lambda client: _replay(client, _keys(patient)))
    told = f"{replayed} of {total} running lifecycles replay"
    if broken:
        shown = "; ".join(f"{managed} {why[:200]}" for managed, why in broken[:SHOWN])
        remedy = "Do not start workers of this release; report it with `everleaf history` of one of these."
        return Finding("bad", f"{len(broken)} of {replayed} do not replay: {shown}", remedy)
    return Finding("good", told)


def tokens(patient: Patient) -> Finding:
    """Who would decide nothing any more: a migration takes the right of whatever was made for a role alone."""
    stands = _stands(patient)
    if stands is None:
        return HIDDEN
    losing = not is_newer(stands) and bool(TAKES_THE_RIGHT & missing(stands))
    heads = [Role.SECURITY_HEAD.value]
    return doctor.nameless(database.nameless_deciders(database_url(patient.home), heads, machines=losing))


OBSTACLES: doctor.Checks = (
    ("schema", schema),
    ("database roles", roles),
    ("rule sets", rule_sets),
    ("histories", histories),
    ("policy", doctor.policy),
    ("tokens", tokens),
)


def _stands(patient: Patient) -> set[str] | None:
    """The migrations that the database has had; None where this role of it may not ask."""
    with _connected(patient) as connection:
        try:
            return {str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version")}
        except psycopg.errors.UndefinedTable:
            return set()
        except psycopg.errors.InsufficientPrivilege:
            return None


async def _replay(client: Client, keys: KeyFile | None) -> tuple[int, int, list[tuple[str, str]]]:
    """(how many were replayed, of how many, (workflow id, what differs) of those that differ)."""
    # Those of 0.1.0 are begun anew, whatever their histories say.
    runs = [run async for run in client.list_workflows(RUNNING) if rules_of(run) != BEFORE]
    runs.sort(key=lambda run: run.id)
    chosen = runs[:: max(1, -(-len(runs) // MOST_REPLAYED))]
    broken = []
    for run in chosen:
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        told = await first_difference(history, live=True, keys=keys)
        if told is not None:
            broken.append((run.id, told))
    return len(chosen), len(runs), broken


def _keys(patient: Patient) -> KeyFile | None:
    return keys_of(parse(surroundings(patient.home)), parse_keys)


def _ask(patient: Patient, question: Callable[[Client], Awaitable[T]]) -> T:
    """Raises NotReady where Temporal does not answer, or not within ``LONGEST``."""

    async def asked() -> T:
        client = await connect_within(parse(surroundings(patient.home)), _keys(patient), PATIENCE_SECONDS)
        async with asyncio.timeout(LONGEST.total_seconds()):
            return await question(client)

    try:
        return asyncio.run(asked())
    except TimeoutError as problem:
        raise NotReady(f"Temporal took longer than {LONGEST.seconds} s. Run it again when it is less busy") from problem
    except RPCError as problem:
        raise NotReady(f"Temporal does not answer ({problem.message}). Run it again") from problem


@contextmanager
def _connected(patient: Patient) -> Iterator[psycopg.Connection]:
    url = conninfo(database_url(patient.home))
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except psycopg.Error as problem:
        reason = str(problem).strip().splitlines()[-1]
        raise NotReady(f"the database does not answer: {reason}. Start it, or correct EVERLEAF_DATABASE_URL") from None
