"""What the fold makes of places: which are ours, and what the looks at them leave in each."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from domain.certificate import Life, Slot
from domain.contracts import SlotLook
from domain.lifecycle.portions import lives_that_fit
from domain.lifecycle.renewal_value import gains
from domain.lifecycle.served import is_answering
from domain.lifecycle.state import LifecycleState, Place, SeenLife, Stage

UNDER_WAY = (Stage.DEPLOYING, Stage.VERIFYING, Stage.ROLLING_BACK)


def placed(state: LifecycleState, slots: tuple[Slot, ...]) -> LifecycleState:
    """``state`` as the owner of ``slots``; what it had beside them was taken, and counts as it was seen last.

    A place that joins answers the question where one that has moved is served now.
    """
    known = {place.slot: place for place in state.places}
    joined = [slot for slot in slots if slot not in known]
    own = [replace(known.get(slot, Place(slot)), is_taken=False) for slot in slots]
    # Nothing of ours was ever seen at a place without lives: nothing there is left to answer for.
    # By sets throughout: a certificate may have thousands of places.
    kept = {*slots}
    gone = (place for place in state.places if place.slot not in kept and place.lives)
    taken = [replace(place, is_taken=True, put_at=None, wrong=0) for place in gone]
    # One that joins answers for one that has moved.
    after = replace(state, places=(*own, *taken), moved=state.moved[len(joined) :])
    return _rest(_of_our_clock(after))


def released(state: LifecycleState, slots: tuple[Slot, ...], why: str) -> LifecycleState:
    gone = {*slots}
    left = tuple(place for place in state.places if place.slot not in gone)
    moved = (*state.moved, *(slot.url for slot in slots)) if why == "moved" else state.moved
    return _rest(_of_our_clock(_pruned(replace(state, places=left, moved=tuple(dict.fromkeys(moved))))))


def _of_our_clock(state: LifecycleState) -> LifecycleState:
    """A clock is doubted by a look at a place of ours; where that is gone, no right look can come to end the doubt."""
    if state.clock is None or any(slot.url == state.clock[0] for slot in state.slots):
        return state
    return replace(state, clock=None)


def _rest(state: LifecycleState) -> LifecycleState:
    """What was done at slots that are ours no more does not count; a slot that is new must still be served."""
    case = state.case
    if case is None:
        return state
    own = {*state.slots}
    left = tuple(slot for slot in case.to_roll_back if slot in own)
    if case.stage in UNDER_WAY and not (case.stage is Stage.ROLLING_BACK and left):
        stage = Stage.VERIFYING if is_complete(state) else Stage.DEPLOYING
        return replace(state, case=replace(case, to_roll_back=left, stage=stage, retry_at=None))
    return replace(state, case=replace(case, to_roll_back=left))


def is_complete(state: LifecycleState) -> bool:
    """Whether the certificate of the open order was put at every place of ours."""
    return bool(state.own_places) and all(place.put_at is not None for place in state.own_places)


def looked(state: LifecycleState, looks: Iterable[SlotLook], lives: tuple[Life, ...]) -> LifecycleState:
    """``looks``: of the past or of now, each place's in the order of their dates."""
    by_slot: dict[Slot, list[SlotLook]] = {}
    for look in looks:
        by_slot.setdefault(look.slot, []).append(look)
    places = tuple(_after(state, place, by_slot.get(place.slot, [])) for place in state.places)
    facts = {life.fingerprint: life for life in (*state.strangers, *lives)}
    return _pruned(replace(state, places=places, strangers=tuple(facts.values()), look_not_before=None, look_tries=0))


def _pruned(state: LifecycleState) -> LifecycleState:
    """Without what no place shows any more: facts, judgements and climbs of strangers."""
    shown = Counter(seen.fingerprint for place in state.places for seen in place.lives)
    issued = state.case.issued.fingerprint if state.case is not None and state.case.issued is not None else ""
    mine = {state.life.fingerprint if state.life is not None else "", issued}
    strangers = [life for life in state.strangers if life.fingerprint in shown and life.fingerprint not in mine]
    # Only what all places show may succeed ours: the facts of those that most of them show are kept first.
    strangers.sort(key=lambda life: (-shown[life.fingerprint], life.fingerprint))
    return replace(
        state,
        strangers=lives_that_fit(strangers, state.led_by.facts_kept, state.led_by),
        judgements=tuple(one for one in state.judgements if one.fingerprint in shown),
        climbs=tuple(climb for climb in state.climbs if climb.fingerprint in shown or climb.fingerprint in mine),
    )


def _after(state: LifecycleState, place: Place, looks: list[SlotLook]) -> Place:
    for at in sorted({look.at for look in looks}):
        place = _one(state, place, [look for look in looks if look.at == at])
    return place


def _one(state: LifecycleState, place: Place, looks: list[SlotLook]) -> Place:
    """One look: what its connections saw, or that they saw nothing."""
    seen = [look for look in looks if look.fingerprint]
    first = looks[0]
    # Told once more, as by a discovery under another policy, it may be judged otherwise; it is no further look.
    is_again = place.looked_at == first.at and (_shows(place, seen, first.at) if seen else place.silent > 0)
    due = place.due_since
    # A repair is seen by a look of after it, however late another one is told.
    still_due = None if due is not None and first.at >= due else due
    place = replace(place, due_since=still_due, looked_at=first.at, outcome=(seen[0] if seen else first).outcome)
    judged = [look.found for look in looks if look.found is not None]
    if judged:
        kinds = tuple(dict.fromkeys(kind for found in judged for kind in found))
        # Of silence they are of what was seen there last.
        of_these = tuple(look.fingerprint for look in seen) or tuple(life.fingerprint for life in place.lives)
        place = replace(place, found=kinds, found_of=of_these)
    if not seen:
        since = place.silent_since or first.at
        if is_again:
            return place
        return replace(
            place,
            silent=place.silent + 1,
            silent_since=since,
            # Silence where it answered before we put something there is our doing (rule 4).
            wrong=_silent_wrong(state, place, first.at),
        )
    of = sum(look.connections for look in seen)
    prints = {look.fingerprint for look in seen}
    # A look of fewer connections does not out-see what only some of more had shown: half a pool may still serve it.
    kept = [life for life in place.lives if life.fingerprint not in prints and of < life.of]
    lives = tuple(_life(place, look, of) for look in seen) + tuple(kept)
    shown = {life.fingerprint for life in lives}
    place = replace(
        place,
        lives=lives,
        silent=0,
        silent_since=None,
        to_repair=False,
        # What was known of one that went is not known of one that comes back.
        known_drift=tuple(one for one in place.known_drift if one in shown),
        # Said of a certificate that was replaced here since, by a renewal say: its successor is another one.
        found=place.found if shown & {*place.found_of} else (),
    )
    return place if is_again else replace(place, wrong=_wrong(state, place, first.at))


def _shows(place: Place, seen: list[SlotLook], at: datetime) -> bool:
    """Whether the look of ``at`` that ``place`` had saw all of ``seen``."""
    return {look.fingerprint for look in seen} <= {life.fingerprint for life in place.lives if life.last == at}


def _life(place: Place, look: SlotLook, of: int) -> SeenLife:
    before = next((life for life in place.lives if life.fingerprint == look.fingerprint), None)
    flaw = look.flaw or ("" if look.chain_ok else "it is not whole")
    is_good = (
        not flaw
        and (look.not_before is None or look.not_before <= look.at)
        and (look.ends_at is None or look.ends_at > look.at)
    )
    ends_at = look.ends_at
    if before is not None and before.ends_at is not None and (ends_at is None or (flaw and ends_at > before.ends_at)):
        # A path that is not good proves no later end, nor does a look that says none (rule 9).
        ends_at = before.ends_at
    row = before if before is not None and place.silent == 0 else None
    looks, good = (row.looks, row.good) if row is not None else (0, 0)
    further = 0 if row is not None and row.last == look.at else 1
    good = max(good + further, 1) if is_good else 0
    return SeenLife(
        fingerprint=look.fingerprint,
        ends_at=ends_at,
        since=before.since if before is not None else look.at,
        last=look.at,
        not_before=look.not_before or (before.not_before if before is not None else None),
        flaw=flaw,
        rooted=look.rooted,
        looks=looks + further,
        good=good,
        good_since=None if not good else row.good_since if row is not None and row.good else look.at,
        connections=look.connections,
        of=of,
    )


def _silent_wrong(state: LifecycleState, place: Place, at: datetime) -> int:
    """Looks in a row since the install that found silence where something answered before it."""
    if place.put_at is None or not place.answered or is_silence_expected(state, place):
        return 0
    return place.wrong + 1 if at >= place.put_at else place.wrong


def _wrong(state: LifecycleState, place: Place, at: datetime) -> int:
    """Looks in a row since the install that saw anything but the new certificate on a good path that gains."""
    if place.put_at is None or state.case is None or state.case.issued is None:
        return 0
    if at < place.put_at:
        # Of before the install, and told only now.
        return place.wrong
    return 0 if serves(state, place) or is_silence_expected(state, place) else place.wrong + 1


def is_silence_expected(state: LifecycleState, place: Place) -> bool:
    """The old algorithm's slot of a plan that changes the algorithm: silence is expected there, and so is the old leaf
    until it goes; it is drift, and nothing to roll back."""
    plan = state.case.plan if state.case is not None else None
    return plan is not None and plan.algorithm != place.slot.algorithm


def serves(state: LifecycleState, place: Place) -> bool:
    """Whether a look after the install saw the certificate of the open order alone, on a good path that gains time."""
    issued = state.case.issued if state.case is not None else None
    if issued is None or place.put_at is None or place.silent or not place.lives:
        return False
    must_be_valid = "verified-is-valid" in state.led_by.flags
    return all(
        seen.fingerprint == issued.fingerprint
        and not seen.flaw
        # Good is what had begun and not ended when it was looked at.
        and (seen.good > 0 or not must_be_valid)
        and seen.last >= place.put_at
        and not ends_early(state, seen)
        for seen in place.lives
    )


def ends_early(state: LifecycleState, seen: SeenLife) -> bool:
    """Whether the server adds a path of its own on which the new certificate gains no time: nothing is renewed then,
    and a further order would gain as little."""
    case, life, terms = state.case, state.life, state.terms
    if case is None or case.issued is None or case.plan is None or life is None or terms is None:
        return False
    if seen.ends_at is None or seen.ends_at >= case.issued.ends_at:
        return False
    against = replace(life, ends_at=case.against) if case.against is not None else life
    requested = bool(case.requested_by)
    return not gains(seen.ends_at, against, case.plan, terms.table, state.led_by, requested=requested)


def put(state: LifecycleState, slots: Iterable[Slot], at: datetime) -> LifecycleState:
    """A certificate was installed at ``slots``; whether they answered before is what later silence is judged by."""
    here = {*slots}
    places = tuple(
        replace(place, put_at=at, answered=place.answered or is_answering(place), wrong=0)
        if place.slot in here
        else place
        for place in state.places
    )
    return replace(state, places=places)


def taken_back(state: LifecycleState, slots: Iterable[Slot] | None = None) -> LifecycleState:
    """As if nothing had been installed at ``slots``; None: anywhere.

    That a place answered before the first install of the case stays known: the silence that our install made is no
    more of its own doing for having been taken back (rule 4).
    """
    chosen = None if slots is None else {*slots}
    places = tuple(
        replace(place, put_at=None, wrong=0) if chosen is None or place.slot in chosen else place
        for place in state.places
    )
    return replace(state, places=places)


def begun_anew(state: LifecycleState) -> LifecycleState:
    """Without what one case did at the places, for the next."""
    places = tuple(replace(place, put_at=None, answered=False, wrong=0) for place in state.places)
    return replace(state, places=places)


def at(state: LifecycleState, slots: Iterable[Slot], change: Callable[[Place], Place]) -> LifecycleState:
    """``state`` with ``change`` made to the places of ``slots``."""
    here = {*slots}
    return replace(state, places=tuple(change(one) if one.slot in here else one for one in state.places))


def repaired(place: Place, at: datetime) -> Place:
    """Silent anew: looked at at once, and asked about again where it still shows nothing."""
    return replace(place, to_repair=False, silent=1, silent_since=place.looked_at or at, due_since=at)


def read(state: LifecycleState, lives: tuple[Life, ...]) -> LifecycleState:
    """``lives``: the facts of certificates at our places, which events of earlier releases did not hold."""
    facts = {life.fingerprint: life for life in lives}

    def filled(seen: SeenLife) -> SeenLife:
        known = facts.get(seen.fingerprint)
        if known is None:
            return seen
        return replace(seen, not_before=seen.not_before or known.not_before, ends_at=seen.ends_at or known.ends_at)

    places = tuple(replace(place, lives=tuple(map(filled, place.lives))) for place in state.places)
    strangers = {life.fingerprint: life for life in (*state.strangers, *lives)}
    return _pruned(replace(state, places=places, strangers=tuple(strangers.values())))
