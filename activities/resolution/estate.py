"""What the store knows of what a discovery touched: the slots it looked at, their owners, and their owners' slots."""

from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from activities.resolution.seen import Leaf
from domain.adoption import Known, KnownManaged
from domain.certificate import Slot
from domain.tiers import Policy
from formats.x509 import trust_class_of
from store.batches import batches
from store.sightings.known import governed, holders_of, slots_at_urls, slots_owned_by
from store.sightings.looks import certificates_of
from store.sightings.rows import GovernedRow, SlotRow


class Estate:
    """Grows by what is asked of it; ``beat`` is called after every batch that was read."""

    def __init__(self, connection: Connection, beat: Callable[[], None]) -> None:
        self.connection, self._beat = connection, beat
        self.managed: dict[str, GovernedRow] = {}
        self.slots: dict[Slot, SlotRow] = {}

    def touch(self) -> None:
        """Say to PostgreSQL that we are there: it ends a transaction in which nobody asks for anything, and deciding
        over a hundred thousand places takes seconds, on a busy machine many."""
        self.connection.execute(sa.select(1))
        self._beat()

    def know_slots_at(self, urls: Iterable[str]) -> None:
        """The slots at ``urls`` that are governed, and their owners."""
        for batch in batches(sorted(set(urls))):
            rows = slots_at_urls(self.connection, batch)
            self.know({row.managed_id for row in rows})
            # What a retired one had belongs to nobody.
            self.slots |= {row.slot: row for row in rows if row.managed_id in self.managed}

    def know_holders_of(self, fingerprints: Iterable[str]) -> None:
        """Whoever ever had one of ``fingerprints``."""
        for batch in batches(sorted(fingerprints)):
            self.know(holders_of(self.connection, batch))

    def know(self, managed_ids: Iterable[str]) -> None:
        for batch in batches(sorted(set(managed_ids) - self.managed.keys())):
            self.managed |= {row.id: row for row in governed(self.connection, batch)}
            self._beat()

    def know_all_their_slots(self) -> None:
        """The other slots of everybody who is known."""
        for batch in batches(sorted(self.managed)):
            for row in slots_owned_by(self.connection, batch):
                self.slots.setdefault(row.slot, row)
            self._beat()

    def known(self, looked_at: Mapping[Slot, object]) -> Known:
        """For rule 10."""
        owners = {slot: row.managed_id for slot, row in self.slots.items() if slot in looked_at}
        managed = {
            row.id: KnownManaged(frozenset(row.fingerprints), frozenset(row.names)) for row in self.managed.values()
        }
        return Known(owners, managed)

    def leaves(self, fingerprints: Iterable[str], policy: Policy) -> dict[str, Leaf]:
        """Of certificates that no look of this discovery met; without those that cannot be read."""
        ders, facts = certificates_of(self.connection, fingerprints)
        return {print_: Leaf(one, trust_class_of(ders[print_], one, policy.issuers)) for print_, one in facts.items()}
