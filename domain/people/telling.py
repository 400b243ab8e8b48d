"""Which event must be told to whom: messages of ids, times and our own words; the text is made where it is sent."""

from domain.contracts import Message
from domain.lifecycle import events as e
from domain.lifecycle.state import LifecycleState


def messages_for(state: LifecycleState, happened: e.Happened) -> tuple[Message, ...]:
    """``state`` already holds ``happened``.  At most one message per event, named by its number."""
    event = happened.event
    match event:
        case e.ApprovalAsked():
            return (_message(state, happened, "security-head", "ask", ()),)
        case e.RungFired(rung=rung, to=to, mark=mark, again=again):
            facts = (("rung", str(rung)), ("mark", mark), ("again", "yes" if again else "no"))
            return (_message(state, happened, to, "rung", facts),)
        case e.OwnerCalled(why=why):
            return (_message(state, happened, "owner", "failed", (("why", why),)),)
        case e.QuestionAsked(question=question, to=to, detail=detail):
            return (_message(state, happened, to, "question", (("question", question), ("detail", detail))),)
        case e.BecameUnroutable(why=why):
            return (_message(state, happened, "owner", "unroutable", (("why", why),)),)
        case e.CaseClosed(outcome=outcome) if state.climb.rung >= 0:
            return (_message(state, happened, "security-head", "closed", (("outcome", outcome),)),)
        case _:
            return ()


def _message(
    state: LifecycleState, happened: e.Happened, level: str, topic: str, facts: tuple[tuple[str, str], ...]
) -> Message:
    terms, life, case = state.terms, state.life, state.case
    assert terms is not None  # nothing is told before the first notice was read
    assert life is not None
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
            version = [] if state.is_blocked else [("plan_version", case.plan.version)]
            about += [*version, ("issuer", case.plan.issuer)]
    return Message(
        id=f"{state.managed_id}.{happened.seq}",
        managed_id=state.managed_id,
        person=terms.owner_contact if to_owner else terms.head,
        level="owner" if to_owner else "security-head",
        topic=topic,  # type: ignore[arg-type]  # callers above write the literals
        at=happened.at,
        ends_at=life.ends_at,
        facts=(*about, *facts),
    )
