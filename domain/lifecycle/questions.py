"""What only a person can say: which questions a state has, what each is about, and when it climbs (DESIGN rules 3, 5).

A question is asked as long as what it asks about holds, and ends by itself when it does not.  To add one: its line in
``wanted``, its answers in ``domain.people.messages.ANSWERS``, and what follows from each in ``answers``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.lifecycle import events as e
from domain.lifecycle.served import drifted, earlier_at, proof_of, unseen
from domain.lifecycle.state import LifecycleState, Place, QuestionKind
from domain.lifecycle.succession import Candidate, about, candidates, digest, judgement_of, successor
from domain.lifecycle.transition import Turn
from domain.tiers import Audience

# Asked of places and of what they serve: not of a state that is about to be given up.
OF_WHAT_IS_SERVED = frozenset({"taken", "unseen", "moved-to", "repair", "drift", "different", "foreign-certificate"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question that the state has.  ``first``: whom it reaches first."""

    kind: QuestionKind
    about: str
    detail: str
    subject: str = ""
    first: Audience = "owner"

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject


def wanted(state: LifecycleState, now: datetime) -> tuple[Wanted, ...]:
    """Every question that ``state`` has, with what it is about now."""
    found = [*_duties(state)]
    if not state.retired and state.life is not None and state.terms is not None:
        found += [*_of_the_store(state), *_of_people(state)]
        if not state.forked:
            found += [*_of_places(state, now), *_of_strangers(state, now)]
    return tuple(found)


def _duties(state: LifecycleState) -> Iterator[Wanted]:
    """What could not be done by us is owed by a person, also by a retired one's: it climbs until it is done."""
    for order in state.to_revoke:
        if order.owed:
            told = f"order {order.order_key} must be revoked: {order.owed}"
            yield Wanted("revocation", order.order_key, told, order.order_key, "security-head")


def _of_the_store(state: LifecycleState) -> Iterator[Wanted]:
    """The owner cannot know, or cannot be told: the head of IT security at once."""
    if state.forked or state.record_refused:
        recall = state.recall
        detail = state.record_refused or "the store holds other events under these numbers"
        yield Wanted("forked", f"seq-{state.seq}" if recall is None else "recall", detail, first="security-head")
    if state.unreachable:
        people = ", ".join(state.unreachable)
        yield Wanted("undeliverable", people, f"a message to {people} could not be delivered", first="security-head")


def _of_people(state: LifecycleState) -> Iterator[Wanted]:
    assert state.terms is not None
    if not state.terms.placed:
        yield Wanted("tier", state.terms.policy_version[:16], "no rule of the policy places it")
    if not state.terms.owner:
        yield Wanted("owner", state.terms.policy_version[:16], "nobody answers for it")


def _of_places(state: LifecycleState, now: datetime) -> Iterator[Wanted]:
    taken = [place for place in state.places if place.is_taken]
    if taken:
        told = _places("serves another certificate", taken)
        yield Wanted("taken", about_places(taken), told)
    gone = unanswered(state, now)
    if gone:
        file = proof_of(gone[0].slot) == "read-back"
        yield Wanted("unseen", about_places(gone), _places("is not there" if file else "shows no certificate", gone))
    if state.moved:
        more = f" and {len(state.moved) - 1} more" if len(state.moved) > 1 else ""
        told = f"what was served at {state.moved[0]}{more} has moved: where to? Bring its new place into the scope"
        yield Wanted("moved-to", digest(state.moved), told)
    to_repair = [place for place in state.own_places if place.to_repair]
    if to_repair:
        yield Wanted("repair", about_places(to_repair), _places("is to be repaired and shows nothing yet", to_repair))
    wrong = drifted_unknown(state)
    # While the open order is put and looked at, an earlier one is what is being replaced: nothing is asked of it, and
    # what is asked already holds.
    if wrong and (not state.installed or any(one.kind == "drift" for one in state.questions)):
        yield Wanted("drift", _about_drift(state, wrong), _places("serves an earlier certificate of ours", wrong))


def unanswered(state: LifecycleState, now: datetime) -> tuple[Place, ...]:
    """Places of which a person must say what became of them: unseen, or all that a good successor lacks."""
    found = {place.slot: place for place in unseen(state, now) if not place.to_repair}
    waiting = successor(state, now)
    if waiting is not None:
        found |= {place.slot: place for place in waiting.lacking}
    return tuple(found.values())


def drifted_unknown(state: LifecycleState) -> tuple[Place, ...]:
    """Places that serve an earlier certificate of ours of which nobody said that it is known to be served there."""
    return tuple(place for place in drifted(state) if not {*earlier_at(state, place)} <= {*place.known_drift})


def _of_strangers(state: LifecycleState, now: datetime) -> Iterator[Wanted]:
    """A hostile estate can show as many as it likes: the first ones are asked about, all of them are findings."""
    asked = 0
    for candidate in candidates(state, now):
        if candidate.is_good or asked >= state.led_by.most_questions:
            continue
        judged = judgement_of(state, candidate.fingerprint)
        if judged is not None and judged.verdict in ("known", "keep"):
            continue
        asked += 1
        yield _of_stranger(candidate)


def _of_stranger(candidate: Candidate) -> Wanted:
    kind: QuestionKind = "different" if candidate.different and not candidate.bad else "foreign-certificate"
    against = [*candidate.bad, *candidate.different]
    words = "; ".join(one.message for one in against[:4]) or candidate.why_not
    return Wanted(kind, about(candidate), f"{candidate.fingerprint[:16]}: {words}", candidate.fingerprint[:16])


def about_places(places: Iterable[Place]) -> str:
    """Exactly these: the first by name, all by a digest, so that an answer about others is stale."""
    urls = tuple(sorted(f"{place.slot.url}#{place.slot.algorithm}" for place in places))
    return f"{len(urls)}/{digest(urls)}"


def _about_drift(state: LifecycleState, places: Iterable[Place]) -> str:
    """Exactly these, each with what it serves: another old certificate there is another drift."""
    shown = tuple(f"{place.slot.url}#{place.slot.algorithm}={','.join(earlier_at(state, place))}" for place in places)
    return f"{len(shown)}/{digest(shown)}"


def _places(what: str, places: Iterable[Place]) -> str:
    urls = [place.slot.url for place in places]
    more = f" (with {len(urls) - 1} more)" if len(urls) > 1 else ""
    return f"{urls[0]} {what}{more}"


# --- asking, and letting climb --------------------------------------------------------------------------------------


def ask(turn: Turn) -> None:
    """Bring the open questions in line with the state: ask, say anew what one is about, end."""
    now_wanted = {one.key: one for one in wanted(turn.state, turn.now)}
    for question in turn.state.questions:
        one = now_wanted.get(question.key)
        if one is None and turn.state.forked and question.kind in OF_WHAT_IS_SERVED:
            # Nothing is known of its places on this branch; the store's state says how it goes on.
            continue
        if one is None:
            turn.emit(e.QuestionEnded(question.kind, _ended(question.kind), question.about, question.subject))
        elif question.kind == "forked":
            # What it is about changes with every event; what the store says now is what a person must read.
            if one.detail != question.detail and "remedies-say" in turn.rules.flags:
                turn.emit(e.QuestionChanged(question.kind, one.detail, question.about, question.subject))
        elif one.about != question.about:
            turn.emit(e.QuestionChanged(question.kind, one.detail, one.about, question.subject))
    asked = {question.key for question in turn.state.questions}
    for one in now_wanted.values():
        if one.key not in asked:
            turn.emit(_first(turn, one))


def _first(turn: Turn, one: Wanted) -> e.QuestionAsked:
    """To the owner, or to the head where nobody owns it or the owner cannot know."""
    to: Audience = one.first
    if to == "owner" and (turn.state.terms is None or not turn.state.terms.owner_contact):
        to = "security-head"
    rules = turn.rules
    if to == "owner":
        climbs = turn.after(rules.question_climbs, at_least=rules.least_question_pause)
    else:
        climbs = turn.after(rules.question_repeats, at_least=rules.repeat_after)
    return e.QuestionAsked(one.kind, to, climbs, one.detail, one.about, one.subject)


def climb(turn: Turn) -> None:
    """What nobody has answered reaches the head of IT security, and repeats."""
    rules = turn.rules
    for question in turn.state.questions:
        if question.climbs_at <= turn.now:
            again = turn.after(rules.question_repeats, at_least=rules.repeat_after)
            turn.emit(
                e.QuestionAsked(
                    question.kind, "security-head", again, question.detail, question.about, question.subject
                )
            )


def _ended(kind: QuestionKind) -> str:
    words: dict[str, str] = {
        "tier": "the policy says",
        "owner": "the policy says",
        "unseen": "seen again",
        "repair": "seen again",
        "taken": "it is ours again",
        "moved-to": "found",
        "drift": "it is served no more",
        "different": "it is served no more",
        "foreign-certificate": "it is served no more",
    }
    return words.get(kind, "settled")
