"""One-time codes for the Temporal UI: what cannot be reached through us can be told there, by the same people."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from api import bodies, schemas
from api.auth import may
from api.parts import Caller, CallerDep
from api.routes import guarded
from domain.errors import Conflict, NotAllowed
from domain.names import certificate_workflow
from domain.people.messages import ANSWERS
from domain.tiers import Role
from store import access, reader
from store.access import Actor, Binding

router = guarded("certificates")

# Long enough to open the Temporal UI and paste, too short to be found later.
CODE_LIVES = timedelta(minutes=15)
# Message -> the route that sends it: who may not call that gets no code for it either.
SENT_BY = {
    "answer": "answer_question",
    "acknowledge": "acknowledge",
    "resume": "resume",
    "retire": "retire_certificate",
    "renew_now": "start_renewal",
}
# A code for an answer is good for any answer, also for the one that ends a lifecycle.
MAY_RETIRE_BY_ANSWER = frozenset({Role.SECURITY_HEAD, Role.ADMIN})


def require_may_sign_gap(actor: Actor) -> None:
    """What a record lacks for ever is signed for as what is approved: by a head who may decide.  Raises NotAllowed."""
    if actor.role is not Role.SECURITY_HEAD or not actor.may_decide:
        raise NotAllowed(f"this {actor.role} may not sign for a gap: ask a security head who may decide.")


@router.post("/certificates/{certificate_id}/code", status_code=201)
def make_message_code(certificate_id: str, asked: bodies.CodeAsked, caller: CallerDep) -> schemas.CodeItem:
    """A one-time code for you, good for 15 minutes, this certificate and one message, to send in the Temporal UI."""
    message = asked.message
    if not may(SENT_BY[message], caller.actor):
        raise NotAllowed(f"{caller.actor.role} may not send {message}; ask somebody whose role may.")
    if message == "answer" and caller.actor.role not in MAY_RETIRE_BY_ANSWER:
        raise NotAllowed(
            f"a code for an answer is good for any answer, and {caller.actor.role} may not retire; "
            "answer with POST /v1/certificates/{id}/answers or `everleaf answer`."
        )
    row = reader.get_certificate(caller.engine, certificate_id)
    if message == "answer" and any(one["kind"] == "forked" for one in row["questions"]):
        require_may_sign_gap(caller.actor)
    # A revocation that a person owes outlives the lifecycle that it was of.
    if row["retired"] and not (message == "answer" and row["questions"]):
        raise Conflict(f"retired: the lifecycle of {certificate_id} has ended")
    paste = example(message, row, caller.parts.clock())
    return make_code_item(caller, Binding(certificate_id, message), paste)


def make_code_item(caller: Caller, bound: Binding, paste: dict[str, Any]) -> schemas.CodeItem:
    """A warrant for ``bound`` with what is pasted beside it."""
    now = caller.parts.clock()
    code = access.mint_warrant(caller.engine, actor=caller.actor, bound_to=bound, lives=CODE_LIVES, now=now)
    workflow = certificate_workflow(bound.managed_id)
    named = f"--workflow-id {workflow} --name {bound.message}"
    return schemas.CodeItem(
        code=code,
        expires_at=now + CODE_LIVES,
        workflow_id=workflow,
        update=bound.message,
        paste={"code": code, **paste},
        command=f"temporal workflow update execute {named} --input '<paste>'",
    )


def example(message: str, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The message beside its code, about what is open now, with the mildest words; whoever pastes it writes others."""
    match message:
        case "answer":
            asked = next((one for one in row["questions"] if one["kind"] in ANSWERS), None)
            kind = asked["kind"] if asked is not None else "unseen"
            return {"question": kind, "answer": ANSWERS[kind][-1], "about": asked["about"] if asked is not None else ""}
        case "acknowledge":
            call = next(iter(row["calls"]), {"level": "security-head", "about": ""})
            until = (now + timedelta(days=1)).isoformat()
            return {"level": call["level"], "until": until, "about": call["about"]}
        case "retire":
            return {"reason": "decommissioned"}
    return {}
