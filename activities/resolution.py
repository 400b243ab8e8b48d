"""From the looks of one discovery to everything that its adoption writes; reads the store, writes nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from activities.scope import FixedScope
from activities.served import Served
from domain.adoption import Change, Changed, Joined, Known, KnownManaged, Moved, NewManaged, Sighting, adopt
from domain.certificate import Life, Look, LookOutcome, Slot
from domain.classify import Placement, Seen, classify
from domain.contracts import AdoptionReport, Observation, SlotLook, Terms
from domain.findings import Finding, Kind, Subject, findings_of, sharers_of
from domain.terms import expand_target, terms_for
from domain.tiers import Policy
from formats.x509 import trust_class_of
from store.sightings.adoptions import Adoption, FindingRow, ManagedRow, SlotRow, managed_of, slots_of
from store.sightings.looks import Discovery, certificates_of, looks_of


class Resolution:
    """One discovery against what is known, inside the adopting transaction."""

    def __init__(self, connection: Connection, discovery: Discovery, policy: Policy, now: datetime) -> None:
        self._discovery, self._policy, self._now = discovery, policy, now
        self._managed = managed_of(connection)
        self._slots = slots_of(connection, self._managed)
        self._looks = {Slot(look.url, look.algorithm): look for look in looks_of(connection, discovery.id)}
        self._looks = {slot: look for slot, look in self._looks.items() if not self._is_stale(slot, look)}
        self._before = dict(self._slots)
        self._known_urls = {slot.url for slot in self._slots}
        prints = {print_ for look in self._looks.values() for print_ in look.chain}
        prints |= {row.present for row in self._managed.values()}
        self._ders, self._facts = certificates_of(connection, prints)
        self._served = Served(policy, self._looks.values(), self._ders, self._facts)

    def adoption(self, new_id: Callable[[], str]) -> Adoption:
        """What to write.  ``new_id`` gives the ids of new managed certificates."""
        changes = adopt(self._sightings(), self._known(), _ids(new_id))
        self._settle_slots(changes)
        fresh = {change.managed_id: change for change in changes if isinstance(change, NewManaged)}
        moved = {c.managed_id for c in changes if isinstance(c, Joined | Moved)} - set(fresh)
        notices = self._notices(fresh, moved)
        told = {managed_id for managed_id, _ in notices} - set(fresh)
        report = AdoptionReport(
            discovery_id=self._discovery.id,
            new=len(fresh),
            joined=sum(isinstance(change, Joined) for change in changes),
            changed=len(told),
            missed=sum(self._is_missed(slot) for slot in self._before),
            notices=len(notices),
        )
        findings = self._findings(changes)
        rows = [self._managed[managed_id] for managed_id in sorted(self._managed)]
        slots = [self._slots[slot] for slot in sorted(self._slots) if slot in self._looks]
        return Adoption(self._discovery.id, rows, slots, notices, findings, report)

    # --- what was seen and what is known ---

    def _is_stale(self, slot: Slot, look: Look) -> bool:
        """A verification has looked since: what this discovery saw there is the past, and would read as drift."""
        return slot in self._slots and look.at < self._slots[slot].last_looked_at

    def _sightings(self) -> Iterator[Sighting]:
        for slot, look in self._looks.items():
            # Bytes that cannot be parsed have no names and no end: nothing to govern, but a finding.
            if look.leaf is not None and look.leaf in self._facts:
                yield Sighting(slot, look.at, look.leaf, self._facts[look.leaf].names)

    def _known(self) -> Known:
        managed = {
            row.id: KnownManaged(frozenset(row.fingerprints), frozenset(row.names)) for row in self._managed.values()
        }
        return Known({slot: row.managed_id for slot, row in self._slots.items()}, managed)

    # --- slots ---

    def _settle_slots(self, changes: Sequence[Change]) -> None:
        """The slots with their new owners and what was seen in them now; a moved slot is owned by its new one."""
        owners = {slot: row.managed_id for slot, row in self._slots.items()}
        for change in changes:
            if isinstance(change, Joined):
                owners[change.slot] = change.managed_id
            elif isinstance(change, NewManaged):
                owners.update(dict.fromkeys(change.slots, change.managed_id))
        for slot, look in self._looks.items():
            if slot in owners:
                self._slots[slot] = self._after(slot, look, owners[slot])

    def _after(self, slot: Slot, look: Look, owner: str) -> SlotRow:
        before = self._before.get(slot)
        if look.leaf is not None:
            chain = self._served.end(look), self._served.is_good(look, self._is_ours(look.leaf, owner))
            return SlotRow(slot, owner, look.outcome.value, look.leaf, look.at, look.at, 0, *chain)
        assert before is not None, "only a sighting makes a slot"
        outcome, misses = look.outcome.value, before.misses + 1
        return replace(before, managed_id=owner, last_outcome=outcome, last_looked_at=look.at, misses=misses)

    def _is_ours(self, leaf: str, owner: str) -> bool:
        """What begins to be governed is its own."""
        return owner not in self._managed or leaf in self._managed[owner].fingerprints

    def _is_missed(self, slot: Slot) -> bool:
        look = self._looks.get(slot)
        return look is not None and look.outcome is not LookOutcome.SEEN

    def _slots_by_owner(self) -> dict[str, tuple[Slot, ...]]:
        owned: dict[str, list[Slot]] = {}
        for slot in sorted(self._slots):
            owned.setdefault(self._slots[slot].managed_id, []).append(slot)
        return {managed_id: tuple(slots) for managed_id, slots in owned.items()}

    # --- what lifecycles are told ---

    def _notices(self, fresh: dict[str, NewManaged], moved: set[str]) -> list[tuple[str, Observation]]:
        owned = self._slots_by_owner()
        taken = self._targets_of(owned)
        notices: list[tuple[str, Observation]] = []
        for managed_id in self._managed:
            notices += self._told_again(managed_id, owned.get(managed_id, ()), managed_id in moved, taken)
        for managed_id, change in fresh.items():
            life = self._served.life(change.fingerprint)
            terms = self._terms(managed_id, self._served.own_life(change.fingerprint), change.slots, taken)
            self._managed[managed_id] = ManagedRow(managed_id, (change.fingerprint,), life.names, terms)
            looks = self._slot_looks(change.slots)
            told = Observation(
                self._notice_id(managed_id, "adopted"), "adopted", self._now, terms, life, change.slots, looks
            )
            notices.append((managed_id, told))
        return notices

    def _told_again(
        self, managed_id: str, slots: tuple[Slot, ...], is_moved: bool, taken: dict[str, str]
    ) -> list[tuple[str, Observation]]:
        """What a known one hears: its slots when they changed, what is seen otherwise than before, its new terms."""
        row = self._managed[managed_id]
        told: list[tuple[str, Observation]] = []
        news = tuple(slot for slot in slots if self._is_news(slot))
        if is_moved or news:
            kind = "slots" if is_moved else "looked"
            candidates = self._candidates(news, row.present)
            said = Observation(
                notice_id=self._notice_id(managed_id, kind),
                kind="slots" if is_moved else "looked",
                at=self._now,
                slots=slots if is_moved else (),
                looks=self._slot_looks(news),
                candidates=candidates,
            )
            told.append((managed_id, said))
        if row.present in self._facts and (is_moved or self._is_old(row)):
            terms = self._terms(managed_id, self._served.own_life(row.present), slots, taken)
            if terms != row.terms:
                self._managed[managed_id] = replace(row, terms=terms)
                said = Observation(self._notice_id(managed_id, "terms"), "terms", self._now, terms)
                told.append((managed_id, said))
        return told

    def _is_old(self, row: ManagedRow) -> bool:
        """Terms of another policy, of a release that would have renewed a CA certificate, or without a plan: what stood
        in its way, another owner of its target say, may have gone."""
        is_ca = self._facts[row.present].is_ca
        return is_ca or row.terms.plan is None or row.terms.policy_version != self._policy.version

    def _is_news(self, slot: Slot) -> bool:
        before = self._before.get(slot)
        return slot in self._looks and (before is None or before.told != self._slots[slot].told)

    def _slot_looks(self, slots: Iterable[Slot]) -> tuple[SlotLook, ...]:
        return tuple(self._slot_look(slot, self._looks[slot]) for slot in slots if slot in self._looks)

    def _slot_look(self, slot: Slot, look: Look) -> SlotLook:
        seen = SlotLook(slot, look.at, look.outcome, look.leaf or "")
        row = self._slots[slot]
        return seen if look.leaf is None else replace(seen, chain_ok=row.last_chain_ok, ends_at=row.last_ends_at)

    def _candidates(self, slots: Iterable[Slot], present: str) -> tuple[Life, ...]:
        leaves = {self._looks[slot].leaf for slot in slots} - {None, present}
        return tuple(self._served.life(leaf) for leaf in sorted(filter(None, leaves)) if leaf in self._facts)

    def _notice_id(self, managed_id: str, kind: str) -> str:
        return f"{self._discovery.id}.{managed_id}.{kind}"

    # --- lives, terms, targets ---

    def _placement(self, life: Life, slots: Sequence[Slot]) -> Placement:
        return classify(self._policy, Seen.at(slots, life.names, life.issuer))

    def _terms(self, managed_id: str, life: Life, slots: tuple[Slot, ...], taken: dict[str, str]) -> Terms:
        """Two managed certificates may not own one file: the first has it, the other is unroutable (rule 10)."""
        terms = terms_for(self._policy, self._placement(life, slots), life, slots)
        files = self._files(slots) if terms.plan is not None else {}
        for path, what in files.items():
            if (owner := taken.get(path, managed_id)) != managed_id:
                whose = " ".join((owner, *self._managed[owner].names[:1]))
                told = f"the {what} of its target, {path}, belongs to {whose} already: give each a target of its own"
                return replace(terms, plan=None, unroutable=told)
        taken.update(dict.fromkeys(files, managed_id))
        return terms

    def _targets_of(self, owned: dict[str, tuple[Slot, ...]]) -> dict[str, str]:
        taken: dict[str, str] = {}
        for row in self._managed.values():
            files = self._files(owned.get(row.id, ())) if row.terms.plan is not None else ()
            taken |= {path: row.id for path in files if path not in taken}
        return taken

    def _files(self, slots: Iterable[Slot]) -> dict[str, str]:
        targets = [target for slot in slots if (target := expand_target(self._policy, slot)) is not None]
        return {target.key: "key file" for target in targets} | {target.chain: "chain file" for target in targets}

    # --- findings ---

    def _findings(self, changes: Sequence[Change]) -> list[FindingRow]:
        sharers = sharers_of({print_: self._facts[print_].spki_sha256 for print_ in self._leaves() & set(self._facts)})
        narrowed = {c.slot for c in changes if isinstance(c, Changed) and c.how == "names"}
        owned = self._slots_by_owner()
        rows: list[FindingRow] = []
        for slot, look in self._looks.items():
            if look.leaf is None:
                rows += self._found_in_vain(slot, look)
                continue
            found = self._found_at(slot, look, sharers, owned)
            if slot in narrowed:
                told = "it serves fewer or other names than before; its owner must say which hold"
                found = (*found, Finding(Kind.NAMES_CHANGED, told))
            rows += [FindingRow(look.leaf, slot.url, finding) for finding in found]
        return rows

    def _found_in_vain(self, slot: Slot, look: Look) -> list[FindingRow]:
        """A file that cannot be read, and every slot that was looked at and showed no certificate."""
        detail = look.detail or "it showed no certificate"
        found: list[Finding] = []
        before = self._before.get(slot)
        if before is None and slot.url in self._known_urls:
            # Told of the slot that is known there.
            return []
        is_file = slot.endpoint.scheme == "file"
        if look.outcome is LookOutcome.UNREADABLE or (is_file and look.outcome is LookOutcome.OUT_OF_SCOPE):
            found.append(Finding(Kind.UNREADABLE, detail))
        if before is not None:
            found.append(Finding(Kind.MISSED, f"{look.outcome.value}: {detail}"))
        last = before.last_fingerprint if before is not None else ""
        return [FindingRow(last, slot.url, finding) for finding in found]

    def _found_at(
        self, slot: Slot, look: Look, sharers: dict[str, int], owned: dict[str, tuple[Slot, ...]]
    ) -> tuple[Finding, ...]:
        leaf = look.leaf
        if leaf is None or leaf not in self._facts:
            return (Finding(Kind.UNREADABLE, "its bytes are not readable X.509"),)
        facts = self._facts[leaf]
        slots = owned.get(self._slots[slot].managed_id, (slot,)) if slot in self._slots else (slot,)
        subject = Subject(
            certificate=facts,
            asked=self._asked(slot),
            trust_class=trust_class_of(self._ders[leaf], facts, self._policy.issuers),
            placement=classify(self._policy, Seen.at(slots, facts.names, facts.issuer)),
            path=self._served.path(look),
            sharers=sharers[leaf],
            longest_private=self._policy.longest_private,
        )
        found = findings_of(subject, self._now)
        if slot.endpoint.scheme == "file" and look.detail:
            # Read with more care than its server has: that will refuse it at its next start.
            return (*found, Finding(Kind.UNREADABLE, look.detail))
        return found

    def _leaves(self) -> set[str]:
        return {look.leaf for look in self._looks.values() if look.leaf is not None}

    def _asked(self, slot: Slot) -> tuple[str, ...]:
        """The names that must be served there: its own, and those that the scope puts at this very address.

        A name that has a slot of its own at the same address is not asked of the answers without a name.
        """
        place = slot.endpoint
        if place.scheme != "tls" or place.sni:
            return (place.sni,) if place.sni else ()
        own = {s.endpoint.sni for s in self._looks if s.endpoint.host == place.host}
        named = FixedScope.from_json(self._discovery.scope).names.get(place.host, ())
        return tuple(name for name in named if name not in own)


def _ids(new_id: Callable[[], str]) -> Iterator[str]:
    while True:
        yield new_id()
