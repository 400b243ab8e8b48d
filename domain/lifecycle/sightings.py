"""Taking looks in: which of them count, and that they are nobody's verdict yet (DESIGN rules 4, 9 and 12)."""

from domain.certificate import Life, LookOutcome, Slot
from domain.contracts import SlotLook
from domain.lifecycle import events as e
from domain.lifecycle.served import whose
from domain.lifecycle.transition import Turn


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
    turn.emit(e.LooksTaken(tuple(news), tuple(strange)))
    return tuple(dict.fromkeys(look.slot for look in news))


def _doubt(turn: Turn, look: SlotLook) -> None:
    doubted = turn.state.clock
    if doubted is None or doubted[0] != look.slot.url:
        turn.emit(e.ClockDoubted(look.slot.url, look.at))
