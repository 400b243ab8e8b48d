"""What the first start leaves in a new store: a token for the command line, links to log in, the first discovery."""

from typing import Any

import httpx2

from cli.home import Home, write_private
from domain.errors import NotReady
from domain.tiers import Role

PATIENCE_SECONDS = 10


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
    from store.access import create_login_link
    from store.engine import create_engine

    engine = create_engine(database_url)
    links = {role.value: f"{api_url}/login?code={create_login_link(engine, role)}" for role in Role}
    engine.dispose()
    return links


def discover(home: Home, api_url: str) -> bool:
    """Start the first discovery if the store has none; says whether it did.  Raises NotReady."""
    listed = ask(home, "GET", f"{api_url}/v1/discoveries")
    if listed["items"]:
        return False
    ask(home, "POST", f"{api_url}/v1/discoveries", {})
    return True


def overview(home: Home, api_url: str) -> dict[str, Any]:
    """What the API says about the whole: ``settled`` and its counts."""
    return ask(home, "GET", f"{api_url}/v1/status")


def ask(home: Home, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call to our own API with the local token.  Raises NotReady with the API's own words."""
    try:
        headers = {"authorization": f"Bearer {home.token_file.read_text().strip()}"}
        answer = httpx2.request(method, url, json=body, headers=headers, timeout=PATIENCE_SECONDS)
    except (FileNotFoundError, httpx2.TransportError) as problem:
        raise NotReady(f"the API does not answer at {url}: {problem}") from problem
    if answer.is_error:
        raise NotReady(f"{method} {url} answered {answer.status_code}: {answer.text[:300]}")
    try:
        found = answer.json()
    except ValueError as problem:
        raise NotReady(f"{method} {url} did not answer JSON") from problem
    if not isinstance(found, dict):
        raise NotReady(f"{method} {url} did not answer an object")
    return found
