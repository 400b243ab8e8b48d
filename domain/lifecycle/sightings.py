"""Taking looks in: which of them count, and that they are nobody's verdict yet (DESIGN rules 4, 9 and 12)."""

from collections.abc import Iterator

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.served import whose
from domain.lifecycle.transition import Turn

# What a look and the facts of a certificate weigh in an event beside their names, in bytes; and how much one holds.
LOOK_BYTES, LIFE_BYTES, MOST_BYTES = 450, 900, 40_000


def take(turn: Turn, looks: tuple[SlotLook, ...], candidates: tuple[Life, ...]) -> tuple[Slot, ...]:
    """Keep what ``looks`` saw at our places, with the facts of every certificate that is not ours; gives which places.

    A look that had no time to be taken says nothing.  One from before the last is the past, whenever it is told.  One
    from the future is of a clock that is wrong (rule 12): believed, it would out-see every true one for its lead.
    """
    # What another certificate has taken is watched by that one: what was ours there counts as it was (rule 10).
    current = {place.slot: place.looked_at for place in turn.state.own_places}
    news = []
    for look in looks:
        if look.outcome is LookOutcome.NOT_LOOKED or look.slot not in current:
            continue
        if look.at > turn.now + turn.rules.clock_skew:
            _doubt(turn, look)
            continue
        last = current[look.slot]
        if last is None or look.at >= last:
            news.append(look)
    if not news:
        return ()
    doubted = turn.state.clock
    if doubted is not None and any(look.slot.url == doubted[0] for look in news):
        turn.emit(e.ClockTrusted())
    shown = {look.fingerprint for look in news}
    strange = [
        one for one in candidates if one.fingerprint in shown and whose(turn.state, one.fingerprint) == "stranger"
    ]
    for looks, lives in _portions(news, strange):
        turn.emit(e.LooksTaken(looks, lives))
    return tuple(dict.fromkeys(look.slot for look in news))


def _portions(news: list[SlotLook], strange: list[Life]) -> Iterator[tuple[tuple[SlotLook, ...], tuple[Life, ...]]]:
    """As many as one event can hold, each with the facts of what it shows; looks of one place stay together.

    An event is kept as at most 65,535 bytes, and a certificate may have thousands of places, each of another stranger.
    """
    facts = {life.fingerprint: life for life in strange}
    by_slot: dict[Slot, list[SlotLook]] = {}
    for look in news:
        by_slot.setdefault(look.slot, []).append(look)
    looks: list[SlotLook] = []
    lives: dict[str, Life] = {}
    weight = 0
    for here in by_slot.values():
        shown = {look.fingerprint: facts[look.fingerprint] for look in here if look.fingerprint in facts}
        new = [life for fingerprint, life in shown.items() if fingerprint not in lives]
        heavy = sum(LOOK_BYTES + len(look.slot.url) + len(look.flaw) for look in here)
        heavy += sum(LIFE_BYTES + sum(len(name) + 3 for name in (*life.names, *life.other_names)) for life in new)
        if looks and weight + heavy > MOST_BYTES:
            yield tuple(looks), tuple(lives.values())
            looks, lives, weight = [], {}, 0
            heavy += sum(LIFE_BYTES for _ in shown)
        looks += here
        lives |= shown
        weight += heavy
    yield tuple(looks), tuple(lives.values())


def _doubt(turn: Turn, look: SlotLook) -> None:
    doubted = turn.state.clock
    if doubted is None or doubted[0] != look.slot.url:
        turn.emit(e.ClockDoubted(look.slot.url, look.at))
