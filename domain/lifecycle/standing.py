"""How bad it stands: every finding of a state, and one severity over findings, ladder, questions and waits (X.733).

Pages, lists, mails and metrics print this severity; none reckons one of its own.
"""

from collections.abc import Iterator
from datetime import datetime

from domain.findings import Severity, severity_of_kind
from domain.lifecycle.ladder import days, escalates_at, moved, scaled
from domain.lifecycle.questions import unanswered
from domain.lifecycle.seeing import is_silence_expected
from domain.lifecycle.served import Served, drifted, flawed, lives, out_of_name, present, unseen
from domain.lifecycle.state import LifecycleState, Place, Stage
from domain.lifecycle.succession import candidates

WAITS_FOR_A_PERSON = (Stage.AWAITING_APPROVAL, Stage.REJECTED, Stage.WAITING_FOR_PERSON, Stage.UNROUTABLE)

Finding = tuple[str, str]


def own_findings(state: LifecycleState, now: datetime) -> tuple[Finding, ...]:
    """What is wrong with it now, as (kind, detail), worst kinds first; each kind once."""
    if state.life is None or state.retired:
        return ()
    found = [*_of_lives(state, now), *_of_places(state, now), *_of_case(state), *_of_clock(state)]
    first: dict[str, str] = {}
    for kind, detail in found:
        first.setdefault(kind, detail)
    return tuple(sorted(first.items(), key=lambda pair: (severity_of_kind(pair[0]).rank, pair[0])))


def severity(state: LifecycleState, now: datetime) -> str:
    """X.733 severity: critical, major, minor, warning or cleared.

    Never below that of any finding, whoever found it; a life of ours that ends unreplaced counts by its time left.
    """
    if state.life is None or state.terms is None:
        return Severity.CLEARED.value
    if state.retired:
        # A duty that a person owes still outlives what it was owed for.
        return (Severity.MINOR if state.questions else Severity.CLEARED).value
    kinds = {kind for kind, _ in own_findings(state, now)} | {kind for one in state.own_places for kind in one.found}
    found = [severity_of_kind(kind) for kind in kinds]
    found += [_by_time_left(state, life, now) for life in lives(state)]
    waits = state.case is not None and state.case.stage in WAITS_FOR_A_PERSON
    if waits or state.questions or state.forked:
        found.append(Severity.MINOR)
    return min(found, key=lambda one: one.rank).value


def _by_time_left(state: LifecycleState, life: Served, now: datetime) -> Severity:
    assert state.terms is not None
    if moved(life.ends_at, -scaled(state.led_by.critical_below, life.length)) <= now:
        return Severity.CRITICAL
    return Severity.MAJOR if escalates_at(life, state.terms.table) <= now else Severity.CLEARED


def _of_lives(state: LifecycleState, now: datetime) -> Iterator[Finding]:
    mine = present(state)
    for life in lives(state):
        if life.ends_at <= now:
            where = f" at {life.place.url}" if life.place is not None else ""
            since = days(now - life.ends_at) if now > life.ends_at else "just now"
            yield "expired", f"{life.fingerprint[:16]}{where} ended at {life.ends_at:%Y-%m-%d %H:%M} UTC ({since} ago)"
    if mine.not_before > now:
        yield "not-yet-valid", f"begins only at {mine.not_before:%Y-%m-%d %H:%M} UTC, and clients refuse it until then"


def _of_places(state: LifecycleState, now: datetime) -> Iterator[Finding]:
    yield from _counted("drift", "serves an earlier certificate of ours", _drift(state))
    for candidate in candidates(state, now):
        if not candidate.is_good:
            yield "foreign-certificate", f"{candidate.fingerprint[:16]}: {candidate.why_not}"
    broken = flawed(state)
    if broken:
        yield from _counted(
            "broken-chain", f"serves a chain that is not good: {broken[0][1].flaw}", [p for p, _ in broken]
        )
    lost = {place.slot: place for place in (*unseen(state, now), *unanswered(state, now))}
    yield from _counted("unseen", "shows no certificate any more", [*lost.values()])
    misnamed = out_of_name(state)
    if misnamed:
        place, name = misnamed[0]
        yield (
            "wrong-name",
            f"{place.slot.url} is asked for {name} and shows a certificate without it ({len(misnamed)} in all)",
        )
    yield from _counted(
        "taken-place", "serves another certificate of ours now", [p for p in state.places if p.is_taken]
    )


def _drift(state: LifecycleState) -> list[Place]:
    """While a renewal is put in place an earlier one is what is being replaced, but for the old algorithm's slot."""
    found = drifted(state)
    if not state.installed:
        return [*found]
    return [place for place in found if is_silence_expected(state, place)]


def _of_case(state: LifecycleState) -> Iterator[Finding]:
    case = state.case
    if case is None:
        return
    if case.rolled_back:
        yield "rolled-back", case.failure or "the new certificate was not seen to be served"
    if case.not_served:
        yield "not-served", case.not_served


def _of_clock(state: LifecycleState) -> Iterator[Finding]:
    if state.clock is not None:
        url, dated = state.clock
        yield "clock", f"a look at {url} was dated {dated:%Y-%m-%d %H:%M} UTC: a clock of ours is wrong"


def _counted(kind: str, what: str, places: list[Place]) -> Iterator[Finding]:
    if places:
        yield kind, f"{places[0].slot.url} {what} ({len(places)} in all)"
