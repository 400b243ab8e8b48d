"""Rule 10: the looks of one finished discovery against what is known -> new, joined, moved, changed.

Pure: the same looks in any order, in any sharding and with any repetition give the same managed set; and so does the
part of what is known that the looks touch, so that adoption costs what changed and not what is known.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from domain.certificate import Slot
from domain.findings import covers


@dataclass(frozen=True, slots=True)
class Sighting:
    """A look that saw a certificate.  ``names``: of the leaf, as exact text; a wildcard never matches its instances."""

    slot: Slot
    at: datetime
    fingerprint: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownManaged:
    """``fingerprints``: all that ever belonged to it, its orders' among them; ``names``: of its present certificate."""

    fingerprints: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds before the discovery is adopted, as far as the looks touch it.

    ``slots``: the owners of the slots that were looked at; ``managed``: those owners, and whoever holds one of the
    ``unsettled`` fingerprints.  More than that changes nothing.
    """

    slots: Mapping[Slot, str] = field(default_factory=dict)
    managed: Mapping[str, KnownManaged] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewManaged:
    """A new managed certificate, even if its names equal another's."""

    managed_id: str
    fingerprint: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """A slot that nobody had serves a certificate of ``managed_id``."""

    managed_id: str
    slot: Slot
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Moved:
    """``slot`` left ``managed_id``: what it serves now has no name in common with it, and is no stranger there."""

    managed_id: str
    slot: Slot
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A slot of ``managed_id`` serves a leaf that is not one of its own.

    ``successor``: equal or wider names, so rule 9 judges it.  ``names``: narrower or partly overlapping, so nothing
    is deployed until the owner says which names hold.  ``stranger``: no name in common, nor the name that was asked
    for there, so it is a wrong name in a place of ours.
    """

    managed_id: str
    slot: Slot
    fingerprint: str
    how: Literal["successor", "names", "stranger"]


Change = NewManaged | Joined | Moved | Changed


def adopt(sightings: Iterable[Sighting], known: Known, new_ids: Iterator[str]) -> tuple[Change, ...]:
    """What the looks of one discovery come to, in three passes.

    ``new_ids``: as many fresh ids as there may be new certificates; they are taken in the order of fingerprints.
    """
    latest = _latest(sightings)
    at_home, homeless = _known_slots(latest, known)
    joined, rest = _known_fingerprints(homeless, at_home, known)
    return (*at_home, *joined, *_new(rest, new_ids))


def unsettled(sightings: Iterable[Sighting], known: Known) -> frozenset[str]:
    """The fingerprints of which ``known`` must have every holder: those seen where their slot's owner lacks them.

    ``known``: with the slots that were looked at, and their owners.
    """
    return frozenset(
        sighting.fingerprint
        for sighting in sightings
        if (owner := known.slots.get(sighting.slot)) is None
        or sighting.fingerprint not in known.managed[owner].fingerprints
    )


def _latest(sightings: Iterable[Sighting]) -> dict[Slot, Sighting]:
    """One sighting per slot: the last one, ties by fingerprint, so that repetition and order do not count."""
    latest: dict[Slot, Sighting] = {}
    # Plain text sorts ten times as fast as slots do, and there may be 100,000.
    for sighting in sorted(sightings, key=lambda s: (s.slot.url, s.slot.algorithm, s.at, s.fingerprint)):
        latest[sighting.slot] = sighting
    return latest


def _known_slots(latest: Mapping[Slot, Sighting], known: Known) -> tuple[list[Change], list[Sighting]]:
    """First pass: another leaf in a known slot, judged by its names against what was there."""
    changes: list[Change] = []
    homeless: list[Sighting] = []
    for slot, sighting in latest.items():
        managed_id = known.slots.get(slot)
        if managed_id is None:
            homeless.append(sighting)
            continue
        mine = known.managed[managed_id]
        if sighting.fingerprint in mine.fingerprints:
            continue
        names = frozenset(sighting.names)
        if names >= mine.names:
            changes.append(Changed(managed_id, slot, sighting.fingerprint, "successor"))
        elif names & mine.names:
            changes.append(Changed(managed_id, slot, sighting.fingerprint, "names"))
        elif _is_wrong_name(sighting):
            # Never a move: a default host that answers for a name of ours would take the place off our ladder.
            changes.append(Changed(managed_id, slot, sighting.fingerprint, "stranger"))
        else:
            changes.append(Moved(managed_id, slot, sighting.fingerprint))
            homeless.append(sighting)
    return changes, homeless


def _is_wrong_name(sighting: Sighting) -> bool:
    asked = sighting.slot.endpoint.sni
    return bool(asked) and not covers(sighting.names, asked)


def _known_fingerprints(
    homeless: Iterable[Sighting], at_home: Iterable[Change], known: Known
) -> tuple[list[Change], list[Sighting]]:
    """Second pass: a known fingerprint belongs to its managed certificate and brings its slot along.

    A leaf that the first pass gave to exactly one managed certificate is that one's here too: else the same
    certificate would be governed twice, once as its successor and once as new.  A stranger is nobody's successor.
    """
    owners = _owners(at_home, known)
    joined: list[Change] = []
    rest: list[Sighting] = []
    for sighting in homeless:
        owner = owners.get(sighting.fingerprint)
        if owner is None:
            rest.append(sighting)
        else:
            joined.append(Joined(owner, sighting.slot, sighting.fingerprint))
    return joined, rest


def _owners(at_home: Iterable[Change], known: Known) -> dict[str, str]:
    claims: dict[str, set[str]] = {}
    for change in at_home:
        if isinstance(change, Changed) and change.how != "stranger":
            claims.setdefault(change.fingerprint, set()).add(change.managed_id)
    owners = {print_: next(iter(ids)) for print_, ids in claims.items() if len(ids) == 1}
    # Where several hold one fingerprint (a wildcard that succeeded two), the smallest id has it, whatever the order.
    for managed_id in sorted(known.managed, reverse=True):
        owners.update(dict.fromkeys(known.managed[managed_id].fingerprints, managed_id))
    return owners


def _new(rest: Iterable[Sighting], new_ids: Iterator[str]) -> list[Change]:
    """Third pass: one new managed certificate per fingerprint, with every slot that serves it."""
    places: dict[str, list[Slot]] = {}
    for sighting in rest:
        places.setdefault(sighting.fingerprint, []).append(sighting.slot)
    return [NewManaged(next(new_ids), print_, tuple(sorted(places[print_]))) for print_ in sorted(places)]
