"""Whether a certificate that is not ours may succeed ours: what is against it, where it is, what lacks (rule 9)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from domain.certificate import Life
from domain.lifecycle.ladder import pause
from domain.lifecycle.served import (
    facts,
    is_answering,
    present,
    proof_of,
    shown,
    strangers,
)
from domain.lifecycle.state import Judgement, LifecycleState, Place, SeenLife
from domain.objections import SUCCESSION, Objection, Standard, objections, of_life, strength
from domain.paths import Reason

LONGER_THAN_ANY = timedelta(days=36_500)
NO_ROOM = "its facts are not kept: more certificates that are not ours are served here than there is room for"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stranger at our places, as it stands against the present certificate.

    ``bad``: what no answer helps.  ``different``: what a named answer could accept and none has.  ``is_alone``: it is
    all that the places that answer show.  ``lacking``: places that do not answer, and for which nobody answered yet.
    ``flaw``: of the first path on which it is served that is not good.
    """

    fingerprint: str
    life: Life | None
    bad: tuple[Objection, ...]
    different: tuple[Objection, ...]
    is_alone: bool
    lacking: tuple[Place, ...]
    is_looked_at_twice: bool
    flaw: str

    @property
    def is_good(self) -> bool:
        """It passes every check of a renewal at every place that answers."""
        return self.life is not None and not self.bad and not self.different and self.is_alone

    @property
    def may_succeed(self) -> bool:
        return self.is_good and not self.lacking and self.is_looked_at_twice

    @property
    def why_not(self) -> str:
        """The first thing in its way, for a person."""
        if self.life is None:
            return "nobody could read it" if self.flaw.startswith(Reason.UNREADABLE) else NO_ROOM
        against = (*self.bad, *self.different)
        if against:
            return against[0].message
        if not self.is_alone:
            return "it is not served at every endpoint"
        return "an endpoint is silent" if self.lacking else "it was not looked at twice yet"


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every candidate of one state stands on, reckoned once: a hostile estate has one for each of its places."""

    state: LifecycleState
    now: datetime
    mine: Life
    shown: set[str]
    lacking: tuple[Place, ...]
    here: dict[str, list[tuple[Place, SeenLife]]]
    facts: dict[str, Life]
    again: timedelta


def _ground(state: LifecycleState, now: datetime) -> _Ground:
    mine = present(state)
    here: dict[str, list[tuple[Place, SeenLife]]] = {}
    for place in state.own_places:
        for seen in place.lives:
            here.setdefault(seen.fingerprint, []).append((place, seen))
    again = pause(state.led_by.second_look, mine.length, state.led_by.shortest_retry)
    return _Ground(state, now, mine, shown(state), lacking(state), here, facts(state), again)


def candidates(state: LifecycleState, now: datetime) -> tuple[Candidate, ...]:
    """Every stranger at our places, in their order."""
    found = strangers(state)
    if not found:
        return ()
    ground = _ground(state, now)
    return tuple(_candidate(ground, fingerprint) for fingerprint in found)


def successor(state: LifecycleState, now: datetime) -> Candidate | None:
    """The one that passes at every place that answers; there is one at most."""
    found = shown(state)
    if len(found) != 1 or not found <= {*strangers(state)}:
        return None
    [fingerprint] = found
    candidate = _candidate(_ground(state, now), fingerprint)
    return candidate if candidate.is_good else None


def _candidate(ground: _Ground, fingerprint: str) -> Candidate:
    state, life = ground.state, ground.facts.get(fingerprint)
    here = ground.here[fingerprint]
    if len(ground.shown) == 1:
        # Of places that fell silent the answer of a person is awaited, and not another look.
        here = [(place, seen) for place, seen in here if is_answering(place)] or here
    good = min(seen.good for _, seen in here)
    since = max((seen.good_since for _, seen in here if seen.good_since is not None), default=None)
    last = min(seen.last for _, seen in here)
    against = _against(ground, life, here) if life is not None else ()
    accepted = _accepted(state, fingerprint)
    return Candidate(
        fingerprint,
        life,
        tuple(one for one in against if one.sort == "bad"),
        tuple(one for one in against if one.sort == "different" and _word(one) not in accepted),
        ground.shown == {fingerprint},
        ground.lacking,
        good >= state.led_by.good_looks and since is not None and last >= since + ground.again,
        next((seen.flaw for _, seen in here if seen.flaw), ""),
    )


def _against(ground: _Ground, life: Life, here: list[tuple[Place, SeenLife]]) -> tuple[Objection, ...]:
    mine, terms = ground.mine, ground.state.terms
    flaw = next((seen.flaw for _, seen in here if seen.flaw), "")
    rules = ground.state.led_by
    # A CA may back-date (rule 1), so that much shorter is as long.
    planned = timedelta(seconds=terms.plan.validity_seconds) if terms is not None and terms.plan is not None else None
    standard = Standard(
        now=ground.now,
        names=mine.names,
        trust_class=mine.trust_class,
        other_names=mine.other_names,
        usages=mine.extended_key_usages,
        strength=strength(mine.algorithm, mine.key_bits, rules.rsa_strength),
        ends_at=mine.ends_at,
        shortest=planned - planned / rules.backdate_share if planned is not None else LONGER_THAN_ANY,
        issuer_spki=mine.issuer_spki,
        may_be_ca=mine.is_ca,
        least_bits=dict(rules.least_bits),
        weak_hashes=rules.weak_hashes,
        rsa_strength=rules.rsa_strength,
    )
    return objections(of_life(life, flaw, all(seen.rooted for _, seen in here)), standard, SUCCESSION)


def lacking(state: LifecycleState) -> tuple[Place, ...]:
    """Places of ours that show nothing, and that nobody said will be repaired."""
    return tuple(
        place
        for place in state.own_places
        if not is_answering(place) and not place.to_repair and proof_of(place.slot) != "first-use"
    )


# --- what people said of one ----------------------------------------------------------------------------------------


def judgement_of(state: LifecycleState, fingerprint: str) -> Judgement | None:
    return next((one for one in state.judgements if one.fingerprint == fingerprint), None)


def _accepted(state: LifecycleState, fingerprint: str) -> set[str]:
    judgement = judgement_of(state, fingerprint)
    return {*judgement.differences} if judgement is not None and judgement.verdict == "take" else set()


def _word(objection: Objection) -> str:
    return f"{objection.reason}: {objection.message}"


def differences(candidate: Candidate) -> tuple[str, ...]:
    """What a "take" accepts: exactly these."""
    return tuple(_word(one) for one in candidate.different)


def about(candidate: Candidate) -> str:
    """What a question about ``candidate`` is about: that certificate, and where it can be accepted its differences."""
    said = differences(candidate) if not candidate.bad else ()
    return f"{candidate.fingerprint[:16]}/{digest(said)}" if said else candidate.fingerprint[:16]


def digest(words: tuple[str, ...]) -> str:
    """Eight hex digits that tell one set of words from another."""
    return sha256("\n".join(sorted(words)).encode()).hexdigest()[:8]


def names_are_asked(state: LifecycleState, now: datetime) -> Candidate | None:
    """A stranger with other names than ours of which its owner has not said which hold (rule 10)."""
    found = strangers(state)
    if not found:
        return None
    ground = _ground(state, now)
    # Of what nobody could read, and of what there was no room for, no names are known.
    for fingerprint in found:
        if fingerprint not in ground.facts:
            continue
        candidate = _candidate(ground, fingerprint)
        judgement = judgement_of(state, candidate.fingerprint)
        is_open = judgement is None or judgement.verdict == "take"
        names = any(one.reason in ("names-lost", "other-names-lost") for one in candidate.different)
        if names and is_open and not candidate.bad:
            return candidate
    return None


NO_PLACE = "it has no place any more; the owner must say what has become of it"
NAMES = "its names have changed; the owner must say which hold"
SILENT = "a certificate that may succeed ours is served, and the owner must say what became of silent endpoints"
ONCE_MORE = "a certificate that may succeed ours is served, and is looked at once more"
BLOCKS = (NO_PLACE, NAMES, SILENT, ONCE_MORE)


def blocked_by(state: LifecycleState, now: datetime) -> str:
    """Why nothing is ordered, deployed or rolled back, one of ``BLOCKS``; empty when nothing is in the way."""
    if state.life is None:
        return ""
    if not state.own_places:
        return NO_PLACE
    # The one other reason is a certificate that is not ours, and most estates show none.
    if not strangers(state):
        return ""
    if names_are_asked(state, now) is not None:
        return NAMES
    found = successor(state, now)
    if found is None:
        return ""
    return SILENT if found.lacking else ONCE_MORE
