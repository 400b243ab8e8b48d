"""Taking looks in: which of them count, and that they are nobody's verdict yet (DESIGN rules 4, 9 and 12)."""

from collections.abc import Iterator

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.portions import weight_of_life, weight_of_look
from domain.lifecycle.rules import RuleSet
from domain.lifecycle.served import whose
from domain.lifecycle.transition import Turn


def take(turn: Turn, looks: tuple[SlotLook, ...], candidates: tuple[Life, ...]) -> tuple[Slot, ...]:
    """Keep what ``looks`` saw at our places, with the facts of every certificate that is not ours; gives which places.

    A look that had no time to be taken says nothing.  One from before the last is the past, whenever it is told.  One
    from the future is of a clock that is wrong (rule 12): believed, it would out-see every true one for its lead.
    """
    # What another certificate has taken is watched by that one: what was ours there counts as it was (rule 10).
    current = {place.slot: place.looked_at for place in turn.state.own_places}
    news, ahead = [], []
    for look in looks:
        if look.outcome is LookOutcome.NOT_LOOKED or look.slot not in current:
            continue
        if look.at > turn.now + turn.rules.clock_skew:
            ahead.append(look)
            continue
        last = current[look.slot]
        if last is None or look.at >= last:
            news.append(look)
    doubted = turn.state.clock
    if doubted is not None and any(look.slot.url == doubted[0] for look in news):
        turn.emit(e.ClockTrusted())
    if ahead and turn.state.clock is None:
        # Of several places that are dated ahead the first is told until it has a right date: the clock is one.
        turn.emit(e.ClockDoubted(ahead[0].slot.url, ahead[0].at))
    if not news:
        return ()
    shown = {look.fingerprint for look in news}
    strange = [
        one for one in candidates if one.fingerprint in shown and whose(turn.state, one.fingerprint) == "stranger"
    ]
    for looks, lives in _portions(news, strange, turn.rules):
        turn.emit(e.LooksTaken(looks, lives))
    return tuple(dict.fromkeys(look.slot for look in news))


Portion = tuple[tuple[SlotLook, ...], tuple[Life, ...]]


def _portions(news: list[SlotLook], strange: list[Life], rules: RuleSet) -> Iterator[Portion]:
    """As many as one event holds: looks of one place stay together, and each certificate's facts come
    once, with the first look that shows it or after it."""
    facts = {life.fingerprint: life for life in strange}
    by_slot: dict[Slot, list[SlotLook]] = {}
    for look in news:
        by_slot.setdefault(look.slot, []).append(look)
    looks: list[SlotLook] = []
    lives: list[Life] = []
    weight = 0
    for here in by_slot.values():
        parts: list[tuple[int, list[SlotLook], list[Life]]] = [
            (sum(weight_of_look(look, rules) for look in here), here, [])
        ]
        shown = [facts.pop(look.fingerprint) for look in here if look.fingerprint in facts]
        parts += [(weight_of_life(life, rules), [], [life]) for life in shown]
        for heavy, some_looks, some_lives in parts:
            if weight and weight + heavy > rules.event_bytes:
                yield tuple(looks), tuple(lives)
                looks, lives, weight = [], [], 0
            looks += some_looks
            lives += some_lives
            weight += heavy
    yield tuple(looks), tuple(lives)
