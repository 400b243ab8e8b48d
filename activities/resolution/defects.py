"""What is wrong with what one discovery saw, place by place."""

from collections.abc import Iterator, Mapping, Sequence

from activities.resolution.seen import Discovered
from activities.scope import FixedScope
from domain.certificate import Look, LookOutcome, Slot
from domain.classify import Placement, Seen, classify
from domain.contracts import MOST_PLACES
from domain.findings import Finding, Kind, Subject, findings_of
from store.sightings.rows import FindingRow, SlotRow


class Defects:
    """``before``: the slots as the store knew them; ``owned``: every slot of an owner, once this discovery is adopted;
    ``sharers``: how many other certificates have the key of a leaf."""

    def __init__(
        self,
        seen: Discovered,
        scope: FixedScope,
        before: Mapping[Slot, SlotRow],
        owned: Mapping[str, Sequence[Slot]],
        sharers: Mapping[str, int],
    ) -> None:
        self._seen, self._scope, self._before = seen, scope, before
        self._owned, self._sharers = owned, sharers
        self._known_urls = {slot.url for slot in before}
        self._placements: dict[tuple[str, str], Placement] = {}
        self._counted: set[str] = set()

    def at(self, slot: Slot, owner: str | None, is_narrowed: bool) -> Iterator[FindingRow]:
        """``owner``: whose the slot is now; ``is_narrowed``: it serves other names than its owner's."""
        look = self._seen.looks[slot]
        if look.leaf is None:
            yield from self._in_vain(slot, look)
            return
        for finding in self._of_leaf(slot, look, owner):
            yield FindingRow(look.leaf, slot.url, finding)
        if is_narrowed:
            told = "it serves fewer or other names than before; its owner must say which hold"
            yield FindingRow(look.leaf, slot.url, Finding(Kind.NAMES_CHANGED, told))
        places = len(self._owned.get(owner, ())) if owner is not None else 0
        if owner is not None and places > MOST_PLACES and owner not in self._counted:
            # Once, at the first place that was looked at: it says something of the certificate, not of the place.
            self._counted.add(owner)
            told = f"it is served at {places} places; those beyond the first {MOST_PLACES} are not deployed"
            yield FindingRow(look.leaf, slot.url, Finding(Kind.TOO_MANY_PLACES, told))

    def _in_vain(self, slot: Slot, look: Look) -> Iterator[FindingRow]:
        """A file that cannot be read, and every slot that was looked at and showed no certificate."""
        before = self._before.get(slot)
        if before is None and slot.url in self._known_urls:
            # Told of the slot that is known there.
            return
        detail = look.detail or "it showed no certificate"
        last = before.last_fingerprint if before is not None else ""
        is_file = slot.endpoint.scheme == "file"
        if look.outcome is LookOutcome.UNREADABLE or (is_file and look.outcome is LookOutcome.OUT_OF_SCOPE):
            yield FindingRow(last, slot.url, Finding(Kind.UNREADABLE, detail))
        if before is not None:
            yield FindingRow(last, slot.url, Finding(Kind.MISSED, f"{look.outcome.value}: {detail}"))

    def _of_leaf(self, slot: Slot, look: Look, owner: str | None) -> tuple[Finding, ...]:
        served = self._seen.served(look)
        if look.leaf is None or served is None:
            return (Finding(Kind.UNREADABLE, "its bytes are not readable X.509"),)
        leaf = self._seen.leaves[look.leaf]
        subject = Subject(
            certificate=leaf.facts,
            asked=self._asked(slot),
            trust_class=leaf.trust_class,
            placement=self._placement(slot, owner, look.leaf),
            path=served,
            sharers=self._sharers.get(look.leaf, 0),
            longest_private=self._seen.policy.longest_private,
        )
        # A file that is read here may be one that no server reads: its scanner says where.
        badly = slot.endpoint.scheme == "file" and bool(look.detail)
        found = (Finding(Kind.UNREADABLE, look.detail),) if badly else ()
        return (*found, *findings_of(subject, self._seen.now))

    def _placement(self, slot: Slot, owner: str | None, leaf: str) -> Placement:
        # One for all places of a certificate: each would read all of them, which is their square.
        key = (owner or slot.url, leaf)
        if key not in self._placements:
            facts = self._seen.leaves[leaf].facts
            places = self._owned.get(owner, (slot,)) if owner is not None else (slot,)
            self._placements[key] = classify(self._seen.policy, Seen.at(places, facts.names, facts.issuer))
        return self._placements[key]

    def _asked(self, slot: Slot) -> tuple[str, ...]:
        """The names that must be served there: its own, and those that the scope puts at this very address.

        A name that has a slot of its own at the same address is not asked of the answers without a name.
        """
        place = slot.endpoint
        if place.scheme != "tls" or place.sni:
            return (place.sni,) if place.sni else ()
        named = self._scope.names.get(place.host, ())
        own = self._seen.names_asked.get(place.host, set())
        return tuple(name for name in named if name not in own)
