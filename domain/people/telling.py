"""Which event must be told to whom: messages of ids, times and our own words; the text is made where it is sent."""

from dataclasses import replace
from datetime import datetime

from domain.contracts import Message, Topic
from domain.lifecycle import events as e
from domain.lifecycle.ladder import Span, failure_about, ladder, moved
from domain.lifecycle.served import lives, present
from domain.lifecycle.state import LifecycleState
from domain.lifecycle.succession import blocked_by

Facts = tuple[tuple[str, str], ...]


def messages_for(state: LifecycleState, happened: e.Happened) -> tuple[Message, ...]:
    """``state`` already holds ``happened``.  At most one message per event, named by its number."""
    event = happened.event
    match event:
        case e.ApprovalAsked():
            return (_message(state, happened, "security-head", "ask", ()),)
        case e.RungFired():
            return (_rung(state, happened, event),)
        case e.OwnerCalled(why=why):
            assert state.life is not None
            assert state.case is not None
            about = failure_about(state.life.fingerprint, state.case)
            return (_message(state, happened, "owner", "failed", (("why", why), ("about", about))),)
        case e.QuestionAsked(question=question, to=to, detail=detail, about=about, subject=subject):
            facts = (("question", question), ("detail", detail), ("about", about))
            message = _message(state, happened, to, "question", facts, subject=f"{question}/{subject}")
            return (_at_the_latest(message, event.climbs_at),)
        case e.BecameUnroutable(why=why, quiet=quiet) if not quiet:
            return (_message(state, happened, "owner", "unroutable", (("why", why),)),)
        case e.CaseClosed() as closed if any(one.to == "security-head" for one in state.climbs):
            left_out, count = closed.left_out, max(closed.left_out_count, len(closed.left_out))
            more = (("left_out", ", ".join(slot.url for slot in left_out[:4])), ("left_out_count", str(count)))
            return (_message(state, happened, "security-head", "closed", (("outcome", closed.outcome), *more)),)
        case _:
            return ()


def _rung(state: LifecycleState, happened: e.Happened, fired: e.RungFired) -> Message:
    """Which life a rung stands on, and where that is served, is said with it; and whom a message did not reach."""
    fingerprint = fired.fingerprint or present(state).fingerprint
    whose = "present" if state.life is not None and fingerprint == state.life.fingerprint else "other"
    facts: Facts = (
        ("rung", str(fired.rung)),
        ("mark", fired.mark),
        ("again", "yes" if fired.again else "no"),
        ("about", f"{fingerprint[:16]}/{fired.mark}"),
        ("whose", whose),
        ("place", fired.place),
    )
    if state.unreachable and "rungs-say-who-was-missed" in state.led_by.flags:
        facts = (*facts, ("not_reached", ", ".join(state.unreachable)))
    message = _message(state, happened, fired.to, "rung", facts, ends_at=fired.ends_at, subject=fingerprint[:16])
    life = next((one for one in lives(state) if one.fingerprint == fingerprint), None)
    return message if life is None else _at_the_latest(message, _useful_until(state, life, happened.at))


def is_late(message: Message, now: datetime) -> bool:
    """Whether the next rung has come, so that telling ``message`` now would be telling it too late."""
    return message.useful_until is not None and message.useful_until <= now


def _useful_until(state: LifecycleState, life: Span, at: datetime) -> datetime:
    """When more is to be told than ``at``: at the next rung of ``life``, to whomever, and the next day at the latest.

    At least a minute: the rungs of a life of hours are seconds apart, and a Courier gathers for seconds.
    """
    assert state.terms is not None  # nothing is told before the first notice was read
    rules = state.led_by
    daily = moved(at, rules.repeat_after)
    following = next((rung.at for rung in ladder(life, state.terms.table) if rung.at > at), daily)
    return max(min(following, daily), moved(at, rules.least_question_pause))


def _at_the_latest(message: Message, until: datetime) -> Message:
    assert message.useful_until is not None
    return replace(message, useful_until=min(message.useful_until, until))


def _message(
    state: LifecycleState,
    happened: e.Happened,
    level: str,
    topic: Topic,
    facts: Facts,
    *,
    ends_at: datetime | None = None,
    subject: str = "",
) -> Message:
    terms, case = state.terms, state.case
    assert terms is not None  # nothing is told before the first notice was read
    life = present(state)
    # An owner without a contact is an unanswered question at once: it climbs to the head.
    to_owner = level == "owner" and terms.owner_contact != ""
    about = [
        ("generation", str(state.generation)),
        ("tier", terms.tier.value),
        ("tier_reason", terms.tier_reason),
        ("owner", terms.owner),
        ("service", terms.service),
        ("subscribers", str(terms.subscribers)),
        ("names", ", ".join(life.names[:4])),
        ("more_names", str(max(0, len(life.names) - 4))),
    ]
    if case is not None:
        about += [("case", str(case.number)), ("stage", case.stage.value), ("failure", case.failure)]
        if case.plan is not None:
            # What cannot be decided yet comes without its version, and so without a code.
            version = [] if blocked_by(state, happened.at) else [("plan_version", case.plan.version)]
            about += [*version, ("issuer", case.plan.issuer)]
    return Message(
        id=f"{state.managed_id}.{happened.seq}",
        managed_id=state.managed_id,
        person=terms.owner_contact if to_owner else terms.head,
        level="owner" if to_owner else "security-head",
        topic=topic,
        at=happened.at,
        ends_at=ends_at or life.ends_at,
        facts=(*about, *facts),
        subject=subject,
        useful_until=_useful_until(state, life, happened.at),
    )
