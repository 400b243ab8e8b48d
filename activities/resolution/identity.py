"""Whose everything is that one discovery saw (DESIGN rule 10), and all that follows from it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from activities.resolution.defects import Defects
from activities.resolution.estate import Estate
from activities.resolution.seen import Discovered
from activities.resolution.targets import Targets
from activities.resolution.telling import Settled, Telling
from activities.scope import FixedScope
from domain.adoption import Change, Changed, Joined, Moved, NewManaged, Sighting, adopt, unsettled
from domain.certificate import Look, LookOutcome, Slot
from domain.contracts import AdoptionReport
from store.batches import batches
from store.sightings.known import served_with_keys
from store.sightings.looks import Discovery
from store.sightings.rows import Changes, FindingRow, SlotRow

Beat = Callable[[], None]

# Sorting them into lists is quick.
OWNERS_AT_ONCE = 20_000


class Resolution:
    """One discovery against what is known, inside the adopting transaction.

    Reads what the looks touch and no more: the slots at their places, the owners of these with all their slots, whoever
    holds a fingerprint that is new to its place, who owns the files of their targets, who shares a key with them.
    """

    def __init__(self, connection: Connection, seen: Discovered, discovery: Discovery, beat: Beat) -> None:
        self._connection, self._seen, self._discovery = connection, seen, discovery
        self._estate = Estate(connection, beat)
        self._settled = Settled()
        self.report = AdoptionReport(discovery.id)
        self.told: set[str] = set()

    def changes(self, new_id: Callable[[], str]) -> Iterator[Changes]:
        """What to write, batch by batch; each must be written before the next is asked for, for statements must never
        be far apart: PostgreSQL ends a transaction that idles.  ``new_id`` gives the ids of new ones.

        Slots come last: others write what they saw into the same rows, and wait for whoever holds them.
        """
        found = self._resolved(new_id)
        self._settled = self._settle(found)
        targets = Targets(self._connection, self._seen.policy, self._owner_of, self._had_plan)
        parts = (self._seen, self._estate, self._settled)
        # Before lifecycles are told: what is wrong with a place is told with what was seen there.
        yield from self._defects(found)
        notices = 0
        for part in Telling(self._connection, self._discovery.id, parts, targets).changes():
            yield part
            notices += len(part.notices)
            self.told |= {managed_id for managed_id, said in part.notices if said.kind != "adopted"}
        self.report = AdoptionReport(
            discovery_id=self._discovery.id,
            new=len(self._settled.fresh),
            joined=sum(isinstance(change, Joined) for change in found),
            changed=len(self.told),
            missed=sum(self._is_missed(slot, look) for slot, look in self._seen.looks.items()),
            notices=notices,
        )
        for batch in batches(sorted(self._settled.rows, key=_place)):
            yield Changes(slots=[self._settled.rows[slot] for slot in batch])

    def _resolved(self, new_id: Callable[[], str]) -> Sequence[Change]:
        seen, estate = self._seen, self._estate
        estate.know_slots_at(slot.url for slot in seen.looks)
        # A verification has looked since: what this discovery saw there is the past, and would read as drift.
        seen.drop(
            [s for s, look in seen.looks.items() if s in estate.slots and look.at < estate.slots[s].last_looked_at]
        )
        # Bytes that cannot be parsed have no names and no end: nothing to govern, but a finding.
        sightings = [
            Sighting(slot, look.at, look.leaf, seen.leaves[look.leaf].facts.names)
            for slot, look in seen.looks.items()
            if look.leaf is not None and look.leaf in seen.leaves
        ]
        estate.touch()
        estate.know_holders_of(unsettled(sightings, estate.known(seen.looks)))
        known = estate.known(seen.looks)
        estate.touch()
        found = adopt(sightings, known, _ids(new_id))
        estate.touch()
        seen.find_paths()
        estate.touch()
        estate.know_all_their_slots()
        return found

    # --- slots ---

    def _settle(self, found: Sequence[Change]) -> Settled:
        """The slots with their new owners and what was seen in them now; a moved slot is owned by its new one."""
        owners = {slot: row.managed_id for slot, row in self._estate.slots.items()}
        gained: dict[str, list[Slot]] = {}
        lost: dict[str, list[Slot]] = {}
        fresh = [change for change in found if isinstance(change, NewManaged)]
        for change in found:
            if isinstance(change, Joined):
                owners[change.slot] = change.managed_id
                gained.setdefault(change.managed_id, []).append(change.slot)
            elif isinstance(change, NewManaged):
                owners.update(dict.fromkeys(change.slots, change.managed_id))
            elif isinstance(change, Moved):
                lost.setdefault(change.managed_id, []).append(change.slot)
        self._estate.touch()
        rows: dict[Slot, SlotRow] = {}
        for batch in batches(self._seen.looks.items()):
            rows |= {slot: self._after(slot, look, owners[slot]) for slot, look in batch if slot in owners}
            self._estate.touch()
        owned: dict[str, list[Slot]] = {}
        for slots in batches(sorted(owners, key=_place), OWNERS_AT_ONCE):
            for slot in slots:
                owned.setdefault(owners[slot], []).append(slot)
            self._estate.touch()
        return Settled(rows, owned, fresh, gained, lost)

    def _after(self, slot: Slot, look: Look, owner: str) -> SlotRow:
        before = self._estate.slots.get(slot)
        if look.leaf is None:
            assert before is not None, "only a sighting makes a slot"
            outcome, misses = look.outcome.value, before.misses + 1
            return replace(before, managed_id=owner, last_outcome=outcome, last_looked_at=look.at, misses=misses)
        served = self._seen.served(look)
        path: tuple[datetime | None, bool, str, bool]
        if served is None:
            path = (None, False, "", False)
        else:
            path = (served.ends_at, served.is_good, served.flaw, served.rooted)
        now = SlotRow(slot, owner, look.outcome.value, look.leaf, look.at, look.at, 0, *path)
        # The files of its target are its own, whoever owns it.
        return now if before is None else replace(now, target_key=before.target_key, target_chain=before.target_chain)

    def _owner_of(self, slot: Slot) -> str | None:
        row = self._settled.rows.get(slot) or self._estate.slots.get(slot)
        return row.managed_id if row is not None else None

    def _had_plan(self, managed_id: str) -> bool:
        known = self._estate.managed.get(managed_id)
        return known is not None and known.has_plan

    def _is_missed(self, slot: Slot, look: Look) -> bool:
        return slot in self._estate.slots and look.outcome is not LookOutcome.SEEN

    # --- what is wrong ---

    def _defects(self, found: Sequence[Change]) -> Iterator[Changes]:
        settled, looks = self._settled, self._seen.looks
        narrowed = {change.slot for change in found if isinstance(change, Changed) and change.how == "names"}
        scope = FixedScope.from_json(self._discovery.scope)
        defects = Defects(self._seen, scope, self._estate.slots, settled.owned, self._sharers())
        for batch in batches(sorted(looks, key=_place)):
            rows: list[FindingRow] = []
            for slot in batch:
                row = settled.rows.get(slot)
                here = list(defects.at(slot, row.managed_id if row is not None else None, slot in narrowed))
                rows += here
                if row is not None:
                    kinds = {one.finding.kind.value for one in here if one.fingerprint == row.last_fingerprint}
                    settled.rows[slot] = replace(row, found=tuple(sorted(kinds | self._unheard(slot, row))))
            # Where nothing is wrong nothing is written, and thousands of places were thought over.
            self._estate.touch()
            yield Changes(findings=_once(rows))

    def _unheard(self, slot: Slot, row: SlotRow) -> set[str]:
        """What was found before at a place that is silent now: silence closes nothing.  Of the certificate that was
        seen there last, and of no other one."""
        if self._seen.looks[slot].leaf is not None or row.found_of != row.last_fingerprint:
            return set()
        return set(row.found)

    def _sharers(self) -> Counter[str]:
        """Of every leaf seen now: how many other certificates have its key, here or where nobody looked this time."""
        keys = {print_: leaf.facts.spki_sha256 for print_, leaf in self._seen.leaves.items() if leaf.facts.spki_sha256}
        holders: dict[str, set[str]] = {}
        self._estate.touch()
        for print_ in {look.leaf for look in self._seen.looks.values() if look.leaf in keys}:
            assert print_ is not None, "only what is in keys"
            holders.setdefault(keys[print_], set()).add(print_)
        for batch in batches(sorted(holders)):
            for key, print_, slot in served_with_keys(self._connection, batch):
                look = self._seen.looks.get(slot)
                # What was replaced there by now serves no more; a place that is silent may serve it again.
                if look is None or look.leaf is None:
                    holders[key].add(print_)
        return Counter({print_: len(holders[key]) - 1 for print_, key in keys.items() if key in holders})


def _place(slot: Slot) -> tuple[str, str]:
    """The order of slots, as plain text: ten times as fast for a hundred thousand."""
    return slot.url, slot.algorithm


def _once(rows: Sequence[FindingRow]) -> list[FindingRow]:
    """One of each certificate, place and kind: two slots of one place may say the same."""
    return list({(row.fingerprint, row.url, row.finding.kind): row for row in rows}.values())


def _ids(new_id: Callable[[], str]) -> Iterator[str]:
    while True:
        yield new_id()
