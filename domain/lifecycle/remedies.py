"""What a remedy came to, in the words of its receipt: "accepted" alone would be a lie where nothing was repaired.

Read off the state after it.  To add an answer: its line in ``domain.people.messages.ANSWERS``, what follows from it in
``answers``, and here what is true once it is given.
"""

from datetime import datetime

from domain.lifecycle.next_step import next_step
from domain.lifecycle.state import LifecycleState, Question, Stage
from domain.lifecycle.succession import blocked_by
from domain.people.messages import Answer, Resume, Supply, Warranted

ON_YOUR_WORD = "noted on your word"
# What holds where the answer has left no question and has not ended the lifecycle.
SAID: dict[tuple[str, str], str] = {
    ("unseen", "retired"): "those places are given up; what they served is on the ladder no more",
    ("unseen", "moved"): "those places are given up; what was served there is looked for no more",
    ("unseen", "broken"): "they are looked at every week until they answer",
    ("taken", "retired"): "those places are given up; what they served is on the ladder no more",
    ("taken", "moved"): "those places are given up; what was served there is looked for no more",
    ("moved-to", "nowhere"): "they are looked for no more",
    ("repair", "repaired"): "they are looked at now; where they show nothing still, this is asked again",
    ("repair", "retired"): "those places are given up; what they served is on the ladder no more",
    ("different", "take"): "it becomes ours once two looks have seen it at every place",
    ("different", "keep"): "ours stays and is renewed; the other one stays a finding while it is served",
    ("foreign-certificate", "known"): "it stays a finding while it is served, and ours is renewed",
    ("drift", "known"): "it stays a finding while it is served",
    ("revocation", "revoked"): f"{ON_YOUR_WORD}: nobody has asked its CA",
    ("undeliverable", "mended"): f"{ON_YOUR_WORD}: who missed something is told again what is open, and where a "
    "message does not arrive this is asked again",
    ("forked", "resume"): "it goes on as the store says",
    ("forked", "gap"): "it goes on from what the store holds, and what that lacks stays a gap for ever",
}
AT_THE_STORE = "it goes on as the store says once that answers and holds all of it; until then this stays asked"


def said(before: LifecycleState, after: LifecycleState, message: Warranted, now: datetime) -> str:
    """What ``message``, which was accepted, came to; empty where its own answer says it (a decision, say)."""
    match message:
        case Answer(question="forked", answer="gap"):
            return ""
        case Answer(question="forked") | Resume() | Supply():
            return _resumed(before, after, now)
        case Answer(question=kind, answer=answer, about=about):
            asked = next((one for one in before.questions if (one.kind, one.about) == (kind, about)), None)
            return _answered(before, after, (kind, answer), asked)
    return ""


def _answered(before: LifecycleState, after: LifecycleState, pair: tuple[str, str], asked: Question | None) -> str:
    if after.retired and not before.retired:
        return "answered: no place is left to it, so it is retired"
    if asked is not None and any(one.key == asked.key for one in after.questions):
        again = next(one for one in after.questions if one.key == asked.key)
        return f"answered, and it did not help: it is asked again ({again.detail})"
    had = {one.key for one in before.questions}
    follows = next((one for one in after.questions if one.key not in had), None)
    if follows is not None and pair[0] != "undeliverable":
        return f"answered; now {follows.kind} is asked: {follows.detail}"
    return f"answered: {SAID[pair]}"


def _resumed(before: LifecycleState, after: LifecycleState, now: datetime) -> str:
    if after.forked:
        why = f" (it says: {after.record_refused})" if after.record_refused else ""
        return f"resumed: {AT_THE_STORE}{why}"
    if before.record_refused:
        # The outcome of that offer is a step away: not known here, and not promised.
        again = (
            "offered to the store once more now; refused again, it is asked again. What lacks in a store that was put"
        )
        return f"resumed: {again} back is made again by the next comparison. The store said: {before.record_refused}"
    case = after.case
    if case is None:
        return f"resumed: {SAID['forked', 'resume']}" if before.forked else "resumed"
    blocked = blocked_by(after, now)
    if blocked:
        return f"nothing was tried: {blocked}"
    if case.stage is Stage.AWAITING_APPROVAL:
        return "nothing is to be tried: it waits for an approval"
    if case.stage is Stage.UNROUTABLE:
        return f"tried, and nothing can renew it still: {case.failure}"
    if case.stage is Stage.HELD and case.retry_at is not None:
        return f"it is held until {case.retry_at:%Y-%m-%d %H:%M} UTC"
    if next_step(after, now) is not None:
        return "resumed: it is tried now; what comes of it stands in the timeline"
    return f"resumed: it waits until {case.retry_at:%Y-%m-%d %H:%M} UTC" if case.retry_at is not None else "resumed"
