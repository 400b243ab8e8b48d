"""One discovery resolved: read and judge, then, under the lock, decide and write."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy.engine import Engine

from activities.resolution.identity import Resolution
from activities.resolution.policy_change import remake_terms
from activities.resolution.seen import read
from domain.contracts import AdoptionReport
from domain.errors import NotReady
from domain.tiers import Policy
from store.sightings.adoptions import adopting, finish, write
from store.sightings.looks import digest_of_looks, discovery_of, find

REPORT = TypeAdapter(AdoptionReport)


@dataclass(frozen=True, slots=True)
class Given:
    """``now``: by which paths and dates are judged; ``new_id``: a fresh random managed id."""

    engine: Engine
    discovery_id: str
    policy: Policy
    now: datetime
    new_id: Callable[[], str]


def resolve(given: Given, beat: Callable[[], None]) -> AdoptionReport:
    """Adopt a scanned discovery and commit its notices; one that is adopted already is not resolved again.

    ``beat`` is called after every batch.  ``changed`` and ``notices`` of the report count those too that were told of a
    new policy, wherever they are.

    Rule 10 asks for one transaction under one lock; it does not ask that signatures are checked in it.  What is read
    before the lock is what nobody changes: the looks of a scanned discovery, and certificates.  A page that is scanned
    once more at this very moment changes the digest: then nothing is written, and Temporal tries again.
    """
    rules, engine = (given.policy, given.now), given.engine
    if (done := find(engine, given.discovery_id)).state == "adopted":
        return REPORT.validate_python(done.report)
    told = remake_terms(engine, given.discovery_id, rules, beat)
    seen = read(engine, given.discovery_id, rules, beat)
    with adopting(engine, beat) as connection:
        discovery = discovery_of(connection, given.discovery_id)
        if discovery.state == "adopted":
            return REPORT.validate_python(discovery.report)
        if digest_of_looks(connection, given.discovery_id) != seen.digest:
            raise NotReady(f"a page of discovery {given.discovery_id} was scanned again meanwhile: adopt it once more")
        resolution = Resolution(connection, seen, discovery, beat)
        for changes in resolution.changes(given.new_id):
            write(connection, given.discovery_id, changes, given.now)
            beat()
        report = resolution.report
        # Each once, though it heard of its terms and of its places.
        report = replace(report, changed=len(told | resolution.told), notices=report.notices + len(told))
        finish(connection, report, given.now)
        return report
