"""Help: keys, words, severities, ways into the Temporal UI, and what here is not ours."""

from urllib.parse import quote

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.parts import CallerDep
from api.web.page_router import pages
from api.web.render import page, vendored

router = pages()

KEYS = (
    ("/", "find a certificate, service or owner"),
    ("g s", "go to Situation"),
    ("g a", "go to Approvals"),
    ("g c", "go to Certificates"),
    ("g d", "go to Discovery"),
    ("g p", "go to the policy"),
    ("j  k", "move through a list"),
    ("Enter", "open what is focused"),
    ("a", "go to the decision; it never decides"),
    ("← →", "move through the days of the calendar"),
    ("Esc", "close what is open"),
    ("?", "this page"),
)
# Name -> the visibility query of the Temporal UI that opens it.
VIEWS = (
    ("Needs a person", "EverleafNeedsHuman=true"),
    ("Customer-facing", 'EverleafTier="customer-facing"'),
    ("Network-critical", 'EverleafTier="network-critical"'),
    ("Internal", 'EverleafTier="internal"'),
    ("Awaiting approval", 'EverleafState="awaiting-approval"'),
    ("Overdue", 'EverleafNextAction<"{now}" AND ExecutionStatus="Running"'),
)


@router.get("/help")
async def show_help(request: Request, caller: CallerDep) -> Response:
    base, now = caller.parts.temporal_ui, caller.parts.clock()
    views = []
    for name, query in VIEWS:
        asked = query.replace("{now}", f"{now:%Y-%m-%dT%H:%M:%SZ}")
        address = f"{base}/namespaces/{caller.parts.namespace}/workflows?query={quote(asked)}&savedQuery={quote(name)}"
        views.append((name, address if base else "", asked))
    here = {"title": "Help", "keys": KEYS, "views": views, "vendored": vendored(), "base": base}
    return await run_in_threadpool(page, request, caller, "help.html", here)
