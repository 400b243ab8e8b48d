"""Who owns which file of a deployment target, and the terms that follow from that (DESIGN rule 10)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from domain.certificate import Life, Slot
from domain.classify import Seen, classify
from domain.contracts import MOST_PLACES, Terms
from domain.terms import Target, expand_target, terms_for
from domain.tiers import Policy
from store.batches import batches
from store.sightings.known import file_owners
from store.sightings.rows import SlotRow


class Targets:
    """``owner_of``: whose a slot is once this discovery is adopted; None where the discovery says nothing of it.
    ``has_plan``: whether a managed certificate had one before; of a new one, False until its terms are made."""

    def __init__(
        self,
        connection: Connection,
        policy: Policy,
        owner_of: Callable[[Slot], str | None] = lambda slot: None,
        has_plan: Callable[[str], bool] = lambda managed_id: True,
    ) -> None:
        self._connection, self._policy = connection, policy
        self._owner_of, self._has_plan = owner_of, has_plan
        # File -> whose it is, and that one's first name.
        self._taken: dict[str, tuple[str, str]] = {}
        self._of_slot: dict[Slot, Target | None] = {}

    def prepare(self, slots: Iterable[Slot]) -> None:
        """Read who has the files of ``slots``: before their terms are made.  What was prepared before is forgotten."""
        self._of_slot = {slot: expand_target(self._policy, slot) for slot in slots}
        files = {file for slot in self._of_slot for file in self.files(slot) if file} - self._taken.keys()
        for batch in batches(sorted(files)):
            for found in file_owners(self._connection, batch, self._policy.version):
                now = self._owner_of(found.slot) or found.managed_id
                if now == found.managed_id or self._has_plan(now):
                    self._taken.setdefault(found.path, (now, found.name if now == found.managed_id else ""))

    def files(self, slot: Slot) -> tuple[str | None, str | None]:
        """Key file and chain file of a prepared slot."""
        target = self._of_slot[slot]
        return (None, None) if target is None else (target.key, target.chain)

    def with_files(self, row: SlotRow) -> SlotRow:
        key, chain = self.files(row.slot)
        return replace(row, target_key=key, target_chain=chain)

    def terms(self, managed_id: str, life: Life, slots: Sequence[Slot]) -> Terms:
        """Of the certificate of ``life`` at ``slots``, prepared ones: of the first MOST_PLACES, the rest is watched
        by nobody.

        Two managed certificates may not own one file: the first has it, the other is unroutable.
        """
        slots = slots[:MOST_PLACES]
        placement = classify(self._policy, Seen.at(slots, life.names, life.issuer))
        terms = terms_for(self._policy, placement, life, slots)
        if terms.plan is None:
            return terms
        files = self._words(slots)
        for path, what in files.items():
            owner, name = self._taken.get(path, (managed_id, ""))
            if owner != managed_id:
                whose = " ".join(filter(None, (owner, name)))
                told = f"the {what} of its target, {path}, belongs to {whose} already: give each a target of its own"
                return replace(terms, plan=None, unroutable=told)
        self._taken.update(dict.fromkeys(files, (managed_id, next(iter(life.names), ""))))
        return terms

    def _words(self, slots: Iterable[Slot]) -> dict[str, str]:
        targets = [target for slot in slots if (target := self._of_slot[slot]) is not None]
        return {target.key: "key file" for target in targets} | {target.chain: "chain file" for target in targets}
