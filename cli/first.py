"""What the first start leaves in a new store: a token for the command line, links to log in, the first discovery."""

from typing import Any

from cli.api_client import Api
from cli.home import Home, write_private
from domain.errors import NotReady
from domain.tiers import Role

PATIENCE_SECONDS = 10.0
FIRST_DISCOVERY = "first-discovery"


def make_token(home: Home, database_url: str) -> None:
    """The token with which this machine's command line speaks, once; mode 0600."""
    from store.access import create_token
    from store.engine import create_engine

    if home.token_file.exists():
        return
    engine = create_engine(database_url)
    token = create_token(engine, name="local", role=Role.ADMIN, may_decide=True)
    engine.dispose()
    write_private(home.token_file, token.encode() + b"\n")


def login_links(database_url: str, api_url: str) -> dict[str, str]:
    """One link for each role, good for one login."""
    return {role.value: login_link(database_url, api_url, role) for role in Role}


def login_link(database_url: str, api_url: str, role: Role) -> str:
    """Good for one login as ``role``.  The code stands behind #: a browser sends it to nobody, the page posts it."""
    from store.access import create_login_link
    from store.engine import create_engine

    engine = create_engine(database_url)
    try:
        return f"{api_url.rstrip('/')}/login#{create_login_link(engine, role)}"
    finally:
        engine.dispose()


def discover(home: Home, api_url: str) -> bool:
    """Start the first discovery if the store has none; says whether it did.  Raises EverleafError as the API told."""
    api = local_api(home, api_url)
    if api.get("/v1/discoveries")["items"]:
        return False
    # Where the answer is lost, the next start means the same discovery.
    api.post("/v1/discoveries", {}, {"idempotency-key": FIRST_DISCOVERY})
    return True


def overview(home: Home, api_url: str) -> dict[str, Any]:
    """What the API says about the whole: ``settled`` and its counts.  Raises EverleafError as the API told."""
    return local_api(home, api_url).get("/v1/status")


def local_api(home: Home, api_url: str) -> Api:
    """Our own API with the local token.  Raises NotReady where there is none yet."""
    try:
        token = home.token_file.read_text().strip()
    except OSError as problem:
        raise NotReady(f"the local token {home.token_file} cannot be read: {problem.strerror}") from problem
    return Api(api_url, token, PATIENCE_SECONDS)
