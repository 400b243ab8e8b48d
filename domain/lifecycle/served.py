"""What is served: everything that follows from the places alone (DESIGN rules 1, 4 and 9).

A place keeps what was seen there until it was seen otherwise.  Whose it is, E, what has drifted, what is foreign, which
place is unseen: none of it is stored, all of it is read here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from domain.certificate import Life, Slot, lacks_names
from domain.findings import covers
from domain.lifecycle.ladder import scaled
from domain.lifecycle.state import LifecycleState, Place, SeenLife

Whose = Literal["present", "issued", "earlier", "stranger"]
# How a place proves what it holds.  A file is read back and a client is believed on its first use: no handshake shows
# them, so neither is ever called silent.
Proof = Literal["handshake", "read-back", "first-use"]


@dataclass(frozen=True, slots=True)
class Served:
    """One certificate at our places.  ``ends_at``: the earliest end of all paths on which it is served, at ``place``.

    ``place`` None: the present certificate, which no place shows.  ``count``: how many places show it.
    """

    fingerprint: str
    whose: Whose
    not_before: datetime
    ends_at: datetime
    place: Slot | None
    count: int

    @property
    def length(self) -> timedelta:
        """L = E - not_before of the same certificate (DESIGN rule 1)."""
        return self.ends_at - self.not_before


def proof_of(slot: Slot) -> Proof:
    scheme = slot.url.partition(":")[0]
    return "read-back" if scheme == "file" else "first-use" if scheme == "client" else "handshake"


def whose(state: LifecycleState, fingerprint: str) -> Whose:
    if state.life is not None and fingerprint == state.life.fingerprint:
        return "present"
    if state.case is not None and state.case.issued is not None and fingerprint == state.case.issued.fingerprint:
        return "issued"
    return "earlier" if fingerprint in state.earlier else "stranger"


def facts(state: LifecycleState) -> dict[str, Life]:
    """By fingerprint, the facts of certificates at our places: not of earlier ones of ours, of those that nobody could
    read, and of those for which there was no room."""
    issued = state.case.issued if state.case is not None else None
    return {life.fingerprint: life for life in (*state.strangers, issued, state.life) if life is not None}


# --- how a place stands ---------------------------------------------------------------------------------------------


def is_answering(place: Place) -> bool:
    """Whether its last look saw a certificate."""
    return bool(place.lives) and place.silent == 0


def unseen(state: LifecycleState, now: datetime) -> tuple[Place, ...]:
    """Silent for three looks over a week (scaled); of a file: not there in two looks."""
    if state.life is None:
        return ()
    # Reckoned once: E of the present certificate reads every place.
    week = scaled(state.led_by.silent_for, present(state).length)
    return tuple(place for place in state.own_places if _is_unseen(state, place, now, week))


def _is_unseen(state: LifecycleState, place: Place, now: datetime, week: timedelta) -> bool:
    rules = state.led_by
    if place.silent_since is None or proof_of(place.slot) == "first-use":
        return False
    if proof_of(place.slot) == "read-back":
        return place.silent >= rules.absent_looks
    return place.silent >= rules.silent_looks and now - place.silent_since >= week


def answering(state: LifecycleState) -> tuple[Place, ...]:
    return tuple(place for place in state.own_places if is_answering(place))


def shown(state: LifecycleState) -> set[str]:
    """The fingerprints at the places that answer."""
    return {life.fingerprint for place in answering(state) for life in place.lives}


# --- lives ----------------------------------------------------------------------------------------------------------


def present(state: LifecycleState) -> Life:
    """The present certificate with E as it is served: the earliest end of its paths over all places that show it.

    Earlier at once.  Later only where every place shows it on a good path that ends later (rule 9): a place that is
    silent counts as it was seen last, and one that was never seen has shown nothing.
    """
    life = state.life
    assert life is not None
    ends = [end for _, seen in _seen(state.places, life.fingerprint) if (end := seen.ends_at) is not None]
    earliest = min(ends, default=life.ends_at)
    if earliest > life.ends_at and not _is_whole_everywhere(state, life.fingerprint):
        earliest = life.ends_at
    return life if earliest == life.ends_at else replace(life, ends_at=earliest)


def _is_whole_everywhere(state: LifecycleState, fingerprint: str) -> bool:
    looked_at = [place for place in state.own_places if proof_of(place.slot) != "first-use"]
    return all(
        any(seen.fingerprint == fingerprint and not seen.flaw for seen in place.lives)
        and all(seen.fingerprint == fingerprint for seen in place.lives)
        for place in looked_at
    )


def lives(state: LifecycleState) -> tuple[Served, ...]:
    """Every certificate that the ladder runs on: the present one first, then whatever else our places show.

    A revoked one counts as ended since.  A place that another certificate has taken counts as it was before.
    """
    mine = present(state)
    found: dict[str, list[tuple[SeenLife, Slot]]] = {mine.fingerprint: []}
    for place in state.places:
        for seen in place.lives:
            found.setdefault(seen.fingerprint, []).append((seen, place.slot))
    revoked, known = dict(state.revoked), facts(state)
    return tuple(
        _ended(_one(state, print_, seen, known.get(print_) or mine, mine), revoked.get(print_))
        for print_, seen in found.items()
    )


def _one(
    state: LifecycleState, fingerprint: str, shown: list[tuple[SeenLife, Slot]], facts: Life, mine: Life
) -> Served:
    """``shown``: each place that shows it, with what was seen there."""
    if fingerprint == mine.fingerprint:
        begins, known_end = mine.not_before, mine.ends_at
    else:
        # A look of 0.1.0 did not say when its leaf begins, nor always when its path ends: the present one's stand in.
        begins = next((seen.not_before for seen, _ in shown if seen.not_before is not None), facts.not_before)
        known_end = facts.ends_at
    first, ends = None, known_end
    for seen, slot in shown:
        at = seen.ends_at or known_end
        if first is None or at < ends:
            first, ends = slot, at
    if fingerprint == mine.fingerprint:
        ends = mine.ends_at
    return Served(fingerprint, whose(state, fingerprint), begins, ends, first, len(shown))


def _ended(life: Served, at: datetime | None) -> Served:
    return life if at is None or life.ends_at <= at else replace(life, ends_at=at)


def _seen(places: Iterable[Place], fingerprint: str) -> Iterator[tuple[Place, SeenLife]]:
    for place in places:
        for seen in place.lives:
            if seen.fingerprint == fingerprint:
                yield place, seen


def flawed(state: LifecycleState) -> tuple[tuple[Place, SeenLife], ...]:
    """Where ours is served on a path that is not good, or was when the place fell silent."""
    return tuple(
        (place, seen)
        for place in state.own_places
        for seen in place.lives
        if seen.flaw and whose(state, seen.fingerprint) in ("present", "issued")
    )


def drifted(state: LifecycleState) -> tuple[Place, ...]:
    """Places that showed an earlier certificate of ours since the present one was: silence mends no drift, and a place
    that was left out, and not seen since, has not drifted."""
    return tuple(place for place in state.own_places if earlier_at(state, place))


def earlier_at(state: LifecycleState, place: Place) -> tuple[str, ...]:
    """The earlier certificates of ours that ``place`` showed since the present one was."""
    since = state.known_at
    return tuple(
        seen.fingerprint
        for seen in place.lives
        if (since is None or seen.last >= since) and whose(state, seen.fingerprint) == "earlier"
    )


def strangers(state: LifecycleState) -> tuple[str, ...]:
    """Fingerprints at our places that are none of ours, in the order of the places; silence ends none of them."""
    found = [seen.fingerprint for place in state.own_places for seen in place.lives]
    return tuple(dict.fromkeys(one for one in found if whose(state, one) == "stranger"))


def out_of_name(state: LifecycleState) -> tuple[tuple[Place, str], ...]:
    """Places that are asked for a name which the certificate they show does not hold (RFC 9525)."""
    # Most places of a large certificate are asked for no name, and reading an address is dear.
    named = [(place, place.slot.endpoint.sni) for place in state.own_places if place.lives and "sni=" in place.slot.url]
    known = facts(state)

    def is_covered(seen: SeenLife, sni: str) -> bool:
        life = known.get(seen.fingerprint)
        # Of what nobody could read nothing is said here; that it is foreign is said anyway.
        return life is None or lacks_names(life.other_names) or covers(life.names, sni)

    return tuple((place, sni) for place, sni in named if sni and not any(is_covered(seen, sni) for seen in place.lives))
