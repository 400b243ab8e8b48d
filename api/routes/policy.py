"""The policy in force, and a new one checked before anybody puts it in place.  Nothing is put in force here."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api.auth import YAML
from api.filters import IfNoneMatch
from api.in_force import InForce, policy_in_force
from api.lists import tag
from api.parts import Caller, CallerDep
from api.routes import guarded
from api.system_schemas import PolicyItem, PolicyMistake, PolicyValidation
from domain.errors import BadPolicy, NotFound, NotReady
from domain.tiers import Policy
from formats.policy import kept_policy, parse_policy
from store import access, reader

router = guarded("policy")

SHAPE = TypeAdapter(Policy)
# Ten times the policy of an operator with every service in it; a mebibyte of brackets takes its reader five seconds.
LARGEST_POLICY_BYTES = 262_144
YAML_BODY: dict[str, Any] = {"content": {kind: {"schema": {"type": "string"}} for kind in YAML}, "required": True}


Version = Annotated[str | None, Query(max_length=71, description="One that was in force, as histories name it.")]


@router.get("/policy")
def get_policy(
    request: Request, response: Response, caller: CallerDep, version: Version = None, _known: IfNoneMatch = None
) -> PolicyItem:
    """The policy in force, with its version; or an earlier one."""
    found = InForce(_earlier(caller, version)) if version else _in_force(caller)
    # Two answers of one version may differ: the file may have gone bad since.
    tag(request, response, found.policy.version + ("+refused" if found.problem else ""))
    shown = SHAPE.dump_python(found.policy, mode="json")
    return PolicyItem(version=shown.pop("version"), policy=shown, problem=found.problem)


def _earlier(caller: Caller, version: str) -> Policy:
    try:
        return kept_policy(access.policy_text(caller.engine, version), version)
    except BadPolicy as error:
        raise NotReady(f"An earlier release accepted that policy; this one cannot read it: {error}") from error


def _in_force(caller: Caller) -> InForce:
    found = policy_in_force(caller.parts)
    if found is None:
        raise NotFound("This process was given no policy file; set EVERLEAF_POLICY for it.")
    return found


@router.post("/policy/validations", openapi_extra={"requestBody": YAML_BODY})
async def validate_policy(request: Request, caller: CallerDep) -> PolicyValidation:
    """Whether a policy would be accepted: its YAML in, its mistakes out, with line and remedy."""
    text = await request.body()
    if len(text) > LARGEST_POLICY_BYTES:
        raise HTTPException(413, f"A policy may have at most {LARGEST_POLICY_BYTES} bytes.")
    try:
        took = await run_in_threadpool(reader.renewal_times, caller.engine)
        policy = await run_in_threadpool(parse_policy, text, "policy", took)
    except BadPolicy as error:
        mistakes = [
            PolicyMistake(line=one.line, field=one.field, detail=one.problem, remedy=one.remedy)
            for one in (error, *error.others)
        ]
        return PolicyValidation(valid=False, version="", errors=mistakes)
    return PolicyValidation(valid=True, version=policy.version, errors=[])
