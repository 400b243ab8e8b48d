"""The policy in force, as a security head reads it; and a new one, checked before anybody puts it in place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import Form, Request, Response
from starlette.concurrency import run_in_threadpool

from api.in_force import policy_in_force
from api.parts import Caller, CallerDep
from api.routes.policy import LARGEST_POLICY_BYTES
from api.web.page_router import pages
from api.web.render import page
from domain.errors import BadPolicy, NotReady
from domain.lifecycle.ladder import days
from domain.tiers import Matcher
from formats.policy import parse_policy
from store import reader

router = pages()


@router.get("/policy")
async def show_policy(request: Request, caller: CallerDep) -> Response:
    """Who is told when, what belongs to whom, which CA is asked, where discovery may look."""
    return await run_in_threadpool(page, request, caller, "policy.html", await run_in_threadpool(_here, caller))


@router.post("/policy/check")
async def check_policy_on_page(
    request: Request, caller: CallerDep, text: Annotated[str, Form(max_length=LARGEST_POLICY_BYTES)] = ""
) -> Response:
    """What a policy would be refused for; nothing is put in force here."""
    here = await run_in_threadpool(_here, caller)
    try:
        took = await run_in_threadpool(reader.renewal_times, caller.engine)
        policy = await run_in_threadpool(parse_policy, text.encode(), "the text below", took)
        here |= {
            "checked": [f"This is a good policy: {len(policy.rules)} rules, {len(policy.services)} services."],
            "bad": False,
        }
    except BadPolicy as error:
        here |= {"checked": [str(one) for one in (error, *error.others)], "bad": True}
    here["given"] = text
    return await run_in_threadpool(page, request, caller, "policy.html", here)


def _here(caller: Caller) -> dict[str, Any]:
    file = Path(caller.parts.policy)
    here: dict[str, Any] = {
        "title": "The policy",
        "policy": None,
        "problem": "",
        "checked": [],
        "bad": False,
        "given": "",
    }
    here |= {"text": "", "version": "", "days": days, "matched": matched}
    content = file.read_bytes() if caller.parts.policy and file.is_file() else b""
    here["text"] = content.decode(errors="replace")
    try:
        found = policy_in_force(caller.parts)
    except NotReady as error:
        return here | {"problem": str(error)}
    if found is None:
        return here | {"problem": "This process was given no policy file (EVERLEAF_POLICY)."}
    version = found.policy.version.partition(":")[2][:12]
    return here | {"policy": found.policy, "version": version, "problem": found.problem}


def matched(when: Matcher) -> Mapping[str, str]:
    """Field -> what it must match, for those that are given."""
    given = {
        "names": when.names,
        "addresses": when.hosts,
        "ports": when.ports,
        "issuers": when.issuers,
        "paths": when.paths,
    }
    return {field: ", ".join(str(value) for value in values) for field, values in given.items() if values}
