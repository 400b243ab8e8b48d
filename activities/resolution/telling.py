"""What lifecycles are told of one discovery, with the terms that follow from it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.engine import Connection

from activities.resolution.estate import Estate
from activities.resolution.seen import Discovered, Leaf
from activities.resolution.targets import Targets
from domain.adoption import NewManaged
from domain.certificate import Life, Slot
from domain.contracts import MOST_FACTS, MOST_PLACES, Observation, SlotLook
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.rules import NEWEST, rule_set
from domain.paths import Reason
from store.batches import batches
from store.sightings.known import terms_of_each
from store.sightings.rows import Changes, GovernedRow, ManagedRow, SlotRow

# Terms and notices of so many certificates are made between two statements: 0.2 s of CPU, and five times that where
# others want the cores too.  PostgreSQL ends a transaction that idles for a minute.
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Settled:
    """Whose everything is once the discovery is adopted.

    ``rows``: the slots that were looked at and have an owner; ``owned``: every slot of an owner, sorted;
    ``fresh``: what is new; ``gained`` and ``lost``: the slots that came to a known owner, and that left one.
    """

    rows: dict[Slot, SlotRow] = field(default_factory=dict)
    owned: dict[str, list[Slot]] = field(default_factory=dict)
    fresh: Sequence[NewManaged] = ()
    gained: Mapping[str, Sequence[Slot]] = field(default_factory=dict)
    lost: Mapping[str, Sequence[Slot]] = field(default_factory=dict)


class Telling:
    """``discovery_id`` is part of every notice's id, so that a repetition tells nobody twice."""

    def __init__(
        self, connection: Connection, discovery_id: str, parts: tuple[Discovered, Estate, Settled], targets: Targets
    ) -> None:
        self._connection, self._discovery_id = connection, discovery_id
        self._seen, self._estate, self._settled = parts
        self._targets = targets

    def changes(self) -> Iterator[Changes]:
        """Those who are known first: they have the files of their targets already."""
        for batch in batches(sorted(self._estate.managed), AT_ONCE):
            yield self._of_known([self._estate.managed[managed_id] for managed_id in batch])
        for fresh in batches(self._settled.fresh, AT_ONCE):
            yield self._of_new(fresh)

    # --- new ones ---

    def _of_new(self, fresh: Sequence[NewManaged]) -> Changes:
        self._prepare([slot for change in fresh for slot in change.slots])
        rows: list[ManagedRow] = []
        notices: list[tuple[str, Observation]] = []
        for change in fresh:
            life = self._seen.life(change.fingerprint)
            own = self._seen.leaves[change.fingerprint].own_life
            terms = self._targets.terms(change.managed_id, own, change.slots)
            rows.append(ManagedRow(change.managed_id, (change.fingerprint,), life.names, terms))
            slots = change.slots[:MOST_PLACES]
            looks = tuple(self._slot_look(slot) for slot in slots)
            notice_id = self._notice_id(change.managed_id, "adopted")
            told = Observation(notice_id, "adopted", self._seen.now, terms, life, slots, looks)
            notices.append((change.managed_id, told))
        return Changes(new=rows, notices=notices)

    # --- known ones ---

    def _of_known(self, batch: Sequence[GovernedRow]) -> Changes:
        """What they hear: their slots when these changed, what is seen otherwise than before, their new terms."""
        notices = [(row.id, told) for row in batch if (told := self._sighted(row)) is not None]
        remade = {row.id: row for row in batch if self._is_moved(row.id) or self._is_old(row)}
        leaves = self._present_leaves(remade.values())
        self._prepare([slot for managed_id in remade for slot in self._settled.owned.get(managed_id, ())])
        rows: list[ManagedRow] = []
        behind = [row.id for row in batch if row.is_behind]
        before = terms_of_each(self._connection, {*remade, *behind}) if remade or behind else {}
        for row in batch:
            terms = before.get(row.id)
            if row.id in remade and row.present in leaves:
                slots = self._settled.owned.get(row.id, [])
                terms = self._targets.terms(row.id, leaves[row.present].own_life, slots)
            if terms is None or (terms == before[row.id] and not row.is_behind):
                continue
            rows.append(ManagedRow(row.id, row.fingerprints, row.names, terms))
            if terms != before[row.id]:
                told = Observation(self._notice_id(row.id, "terms"), "terms", self._seen.now, terms)
                notices.append((row.id, told))
        return Changes(managed=rows, notices=notices)

    def _is_moved(self, managed_id: str) -> bool:
        return managed_id in self._settled.gained or managed_id in self._settled.lost

    def _is_old(self, row: GovernedRow) -> bool:
        """Without a plan: what stood in its way, another owner of its target say, may have gone.  Terms of another
        policy have been made anew before (``policy_change``), but for what could not be read then."""
        return not row.has_plan or row.policy_version != self._seen.policy.version

    def _present_leaves(self, rows: Iterable[GovernedRow]) -> dict[str, Leaf]:
        present = {row.present for row in rows}
        met = {print_: leaf for print_ in present if (leaf := self._seen.leaves.get(print_)) is not None}
        missing = present - met.keys()
        return met | (self._estate.leaves(missing, self._seen.policy) if missing else {})

    def _sighted(self, row: GovernedRow) -> Observation | None:
        """Its slots and what is seen in them; of a slot that it lost too, for the place stays on its ladder until its
        owner answers, and who does not hear what is served there takes it for silent."""
        slots = self._settled.owned.get(row.id, [])[:MOST_PLACES]
        news = [slot for slot in slots if self._is_news(slot)]
        looked = [*self._settled.lost.get(row.id, ()), *news][:MOST_PLACES]
        is_moved = self._is_moved(row.id)
        if not is_moved and not looked:
            return None
        looks = tuple(self._slot_look(slot) for slot in looked)
        kind: Literal["slots", "looked"] = "slots" if is_moved else "looked"
        return Observation(
            notice_id=self._notice_id(row.id, kind),
            kind=kind,
            at=self._seen.now,
            slots=tuple(slots) if is_moved else (),
            looks=looks,
            candidates=self._candidates(row, looked),
        )

    def _is_news(self, slot: Slot) -> bool:
        now, before = self._settled.rows.get(slot), self._estate.slots.get(slot)
        return now is not None and (before is None or before.told != now.told)

    def _candidates(self, row: GovernedRow, slots: Iterable[Slot]) -> tuple[Life, ...]:
        """The facts of those that most places show first, as many as a notice holds."""
        shown = Counter(self._seen.looks[slot].leaf for slot in slots)
        found = [leaf for leaf in shown if leaf not in (None, row.present) and leaf in self._seen.leaves]
        by_places = sorted(filter(None, found), key=lambda leaf: (-shown[leaf], leaf))
        return lives_that_fit([self._seen.life(leaf) for leaf in by_places], MOST_FACTS, rule_set(NEWEST))

    # --- both ---

    def _prepare(self, slots: Iterable[Slot]) -> None:
        """With the files of the targets of ``slots``, which belong to a slot and not to whoever owns it."""
        slots = list(slots)
        self._targets.prepare(slots)
        rows = self._settled.rows
        for slot in slots:
            if slot in rows:
                rows[slot] = self._targets.with_files(rows[slot])

    def _slot_look(self, slot: Slot) -> SlotLook:
        look = self._seen.looks[slot]
        row = self._settled.rows.get(slot)
        found = tuple(row.found) if row is not None else None
        if look.leaf is None:
            return SlotLook(slot, look.at, look.outcome, found=found)
        served = self._seen.served(look)
        if served is None:
            flaw = f"{Reason.UNREADABLE}: its bytes are not readable X.509"
            return SlotLook(slot, look.at, look.outcome, look.leaf, chain_ok=False, flaw=flaw, found=found)
        return SlotLook(
            slot,
            look.at,
            look.outcome,
            look.leaf,
            chain_ok=not served.flaw,
            ends_at=served.ends_at,
            not_before=self._seen.leaves[look.leaf].facts.not_before,
            flaw=served.flaw,
            rooted=served.rooted,
            found=found,
        )

    def _notice_id(self, managed_id: str, kind: str) -> str:
        return f"{self._discovery_id}.{managed_id}.{kind}"
