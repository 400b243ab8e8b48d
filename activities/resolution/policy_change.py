"""Terms made anew where the policy is another one: for everything that is governed, wherever a discovery looks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from secrets import token_hex

from sqlalchemy.engine import Engine

from activities.resolution.estate import Estate
from activities.resolution.targets import Targets
from domain.certificate import Slot
from domain.contracts import Observation
from domain.tiers import Policy
from store.batches import batches
from store.sightings.adoptions import adopting, mark_checked, write, write_target_files
from store.sightings.known import Page, of_other_policies, terms_of_each
from store.sightings.rows import Changes, ManagedRow, SlotRow


def remake_terms(
    engine: Engine, discovery_id: str, rules: tuple[Policy, datetime], beat: Callable[[], None]
) -> set[str]:
    """Make the terms of every governed certificate anew that were made under another policy; gives whom it told.

    Page by page, each in a transaction of its own under the lock: a million of them would hold it for minutes.  A page
    has so many certificates, and so many slots, or the one certificate that alone has more of them.  What is
    done is marked, so a repetition goes on where the last one ended, and a policy that did not change costs a look
    into an index.  Those with a plan come first: they keep the files of their targets before anybody gets them who
    had none.
    """
    told: set[str] = set()
    for has_plan in (True, False):
        last = ("", "")
        while True:
            with adopting(engine, beat) as connection:
                page = of_other_policies(connection, rules[0].version, has_plan=has_plan, after=last)
                if page is None:
                    break
                told |= _remake(Estate(connection, beat), discovery_id, rules, page)
            last = page.last
            beat()
    return told


def _remake(estate: Estate, discovery_id: str, rules: tuple[Policy, datetime], page: Page) -> set[str]:
    (policy, now), connection = rules, estate.connection
    estate.know(row.id for row in page.governed)
    estate.know_all_their_slots()
    owned: dict[str, list[SlotRow]] = {row.id: [] for row in page.governed}
    for row in sorted(estate.slots.values(), key=lambda row: row.slot):
        owned[row.managed_id].append(row)
    targets = Targets(connection, policy)
    targets.prepare(estate.slots)
    estate.touch()
    leaves = estate.leaves({row.present for row in page.governed}, policy)
    before = terms_of_each(connection, (row.id for row in page.governed))
    rows: list[ManagedRow] = []
    notices: list[tuple[str, Observation]] = []
    # What is retired keeps its terms, and so does what cannot be read; it is not asked for again either.
    skipped = [*page.skipped, *(row.id for row in page.governed if row.present not in leaves)]
    for managed in (row for row in page.governed if row.present in leaves):
        slots: Sequence[Slot] = [row.slot for row in owned[managed.id]]
        terms = targets.terms(managed.id, leaves[managed.present].own_life, slots)
        rows.append(ManagedRow(managed.id, managed.fingerprints, managed.names, terms))
        if terms != before[managed.id]:
            # Fresh each time: a policy that changes again between two attempts is told under the same discovery again,
            # and what is marked under one policy is never told of it twice.
            notice_id = f"{discovery_id}.{managed.id}.policy.{token_hex(8)}"
            told = Observation(notice_id, "terms", now, terms)
            notices.append((managed.id, told))
    estate.touch()
    write(connection, discovery_id, Changes(managed=rows, notices=notices), now)
    mark_checked(connection, skipped, policy.version)
    # Slots come last and in their order, as in an adoption: whoever looks writes into the same rows, in that order too.
    for batch in batches(sorted(estate.slots.values(), key=lambda row: (row.slot.url, row.slot.algorithm))):
        write_target_files(connection, [targets.with_files(row) for row in batch])
        estate.touch()
    return {managed_id for managed_id, _ in notices}
