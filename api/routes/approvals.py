"""Approvals: what is asked, and the decision.  A decision is bound to the plan that was read."""

from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import bodies, schemas
from api.filters import IfNoneMatch, Limit
from api.lists import OperationAnswer, digest, link_next, tag
from api.messaging import Errand, IdempotencyKey, claim, keep_comment, run_errand
from api.parts import CallerDep
from api.refusals import is_blocked, refusal_of
from api.routes import guarded
from api.routes.codes import make_code_item
from api.routes.commands import answered
from domain.errors import BadInput, Conflict, NotAllowed
from domain.people.approval import NAMES_FIRST
from domain.people.messages import Decide
from store import access, reader
from store.access import Binding

router = guarded("approvals")

OPEN = ("pending", "rejected")
# State of an approval -> the stage that its reader saw.
SEEN = {"pending": "awaiting-approval", "rejected": "rejected", "approved": "held", "closed": ""}

# Between the version of the plan and the rest of an ETag.
PLAN_ENDS = "~"
IfMatch = Annotated[str | None, Header(max_length=200, description="The ETag of the approval that was read.")]


def item(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "certificate_id": row["managed_id"], "case": row["case_number"], "names": row["plan"]["names"]}


@router.get("/approvals")
def list_approvals(  # one argument per parameter is how the framework reads and documents them
    request: Request,
    response: Response,
    caller: CallerDep,
    state: Literal["pending", "approved", "rejected", "closed"] | None = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> schemas.ApprovalPage:
    """The most urgent first."""
    page = reader.list_approvals(caller.engine, state, limit, cursor)
    link_next(request, response, ("cursor", page.next_cursor))
    items = [schemas.ApprovalItem.model_validate(item(row)) for row in page.items]
    return schemas.ApprovalPage(items=items, next_cursor=page.next_cursor)


@router.get("/approvals/{approval_id}")
def get_approval(
    approval_id: str, request: Request, response: Response, caller: CallerDep, _known: IfNoneMatch = None
) -> schemas.ApprovalDetail:
    """One question with its comments; its ETag begins with the version of the plan, and is good as If-Match."""
    row = reader.get_approval(caller.engine, approval_id)
    said = [note for note in access.comments_on(caller.engine, row["managed_id"]) if note.about == approval_id]
    comments = [{"by": note.by, "text": note.text, "at": note.at} for note in said]
    shown = schemas.ApprovalDetail.model_validate({**item(row), "comments": comments})
    # Comments and a decision change the answer but not the plan: alone, its version would call them unchanged.
    tag(request, response, f"{row['version']}{PLAN_ENDS}{digest(shown)}")
    return shown


@router.post(
    "/approvals/{approval_id}/decision",
    response_class=OperationAnswer,
    responses={202: {"model": schemas.Operation}},
)
async def decide_approval(
    approval_id: str,
    asked: bodies.DecisionAsked,
    response: Response,
    caller: CallerDep,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.Operation:
    """Approve, reject or hold: 409 when it is decided already, 412 when the plan has changed since it was read."""
    row = await run_in_threadpool(reader.get_approval, caller.engine, approval_id)
    version = read_version(asked.version, if_match) or row["version"]
    meant = (approval_id, version if asked.version or if_match else "", asked.model_dump_json(exclude={"version"}))
    sent = await claim(caller, "decide", idempotency_key, *meant)
    comment_id = await keep_comment(caller, sent, (row["managed_id"], row["id"]), asked.comment)

    def message(code: str) -> Decide:
        return Decide(
            code,
            asked.decision,
            row["case_number"],
            row["generation"],
            version,
            comment_id=comment_id,
            seen=SEEN[row["state"]] if asked.overrule else SEEN["pending"],
            until=asked.until,
        )

    errand = Errand(sent, _binding(row, version), message, comment_id)
    return answered(response, await run_errand(caller, errand))


@router.post("/approvals/{approval_id}/code", status_code=201)
def make_code(approval_id: str, caller: CallerDep) -> schemas.CodeItem:
    """A one-time code for you, good for 15 minutes and this plan alone, to decide in the Temporal UI."""
    row = reader.get_approval(caller.engine, approval_id)
    if row["state"] not in OPEN:
        raise Conflict(f"decided: this approval is {row['state']}; there is nothing to decide.")
    if is_blocked(reader.get_certificate(caller.engine, row["managed_id"])):
        raise refusal_of(NAMES_FIRST)
    case = reader.open_case(caller.engine, row["managed_id"])
    if case is not None and case["requested_by"] == caller.actor.id:
        raise NotAllowed("you asked for this renewal: another head of IT security answers (four eyes).")
    paste = {
        "decision": "approve",
        "case": row["case_number"],
        "generation": row["generation"],
        "plan_version": row["version"],
        "seen": SEEN[row["state"]],
    }
    return make_code_item(caller, _binding(row, row["version"]), paste)


def read_version(given: str | None, if_match: str | None) -> str | None:
    """The version that was seen, from the body or from If-Match.  Raises BadInput where the two differ."""
    matched = None
    if if_match is not None and if_match.strip() != "*":
        matched = if_match.strip().removeprefix("W/").strip('"').partition(PLAN_ENDS)[0]
    if given and matched and given != matched:
        raise BadInput("version", "differs from If-Match", "Send one of them, or both alike.")
    return given or matched


def _binding(row: dict[str, Any], version: str) -> Binding:
    return Binding(row["managed_id"], "decide", row["case_number"], row["generation"], version)
