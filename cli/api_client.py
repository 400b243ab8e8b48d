"""How commands ask the API: where it is, with whose token, and its problems in its own words."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from cli.home import Home
from domain.errors import EverleafError, NotFound, NotReady, Refused


class WrongUsage(Refused):
    """What was given cannot be meant: the API named the field and the remedy."""


# Longer than the API itself waits for a lifecycle's answer.
PATIENCE_SECONDS = 45.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Api:
    """Its base address and a bearer token."""

    url: str
    token: str
    patience_seconds: float = PATIENCE_SECONDS

    def get(self, path: str, **filters: Any) -> dict[str, Any]:
        """The object at ``path``; filters that are None are left out.  Raises NotFound, Refused or NotReady."""
        found = self._ask("GET", path, params={key: value for key, value in filters.items() if value is not None})
        return _object(found, path)

    def text(self, path: str) -> str:
        return self._ask("GET", path).text

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return _object(self._ask("POST", path, json=body, headers=headers), path)

    def pages(self, path: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor = None
        while True:
            page = self.get(path, **filters, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {**(more.pop("headers", None) or {}), "authorization": f"Bearer {self.token}"}
        try:
            answer = httpx2.request(method, self.url + path, headers=headers, timeout=self.patience_seconds, **more)
        except (httpx2.TransportError, httpx2.InvalidURL) as problem:
            raise NotReady(f"the API does not answer at {self.url}: {problem}. See `everleaf status`.") from problem
        if answer.is_error:
            raise refusal_of(answer)
        return answer


def refusal_of(answer: httpx2.Response) -> EverleafError:
    """The problem that the API told, with each field and its remedy."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    detail = told.get("detail") if isinstance(told, dict) else None
    lines = [str(detail or f"the API answered {answer.status_code}")]
    errors = told.get("errors", ()) if isinstance(told, dict) else ()
    lines += [f"  {error['field']}: {error['detail']}. {error['remedy']}" for error in errors[1:]]
    kind = NotFound if answer.status_code == 404 else NotReady if answer.status_code >= 500 else Refused
    # Of the field "request" is what a lifecycle refuses for its state, though it was asked well.
    if answer.status_code == 422 and errors and errors[0]["field"] != "request":
        kind = WrongUsage
    return kind("\n".join(lines))


def reached(home: Home, url: str | None, token: str | None) -> Api:
    """The API of this call: what is given, else the environment, else what runs in ``home``.  Raises NotReady."""
    running = home.read_run().get("urls", {}).get("api", "") if home.is_held() else ""
    base = url or os.environ.get("EVERLEAF_API_URL") or running
    if not base:
        raise NotReady(f"nothing runs in {home.path}. Start it with `everleaf up`, or name an API with --url.")
    bearer = token or os.environ.get("EVERLEAF_TOKEN")
    if not bearer and urlsplit(base).hostname in LOOPBACK:
        # Never to another machine: it is an administrator's.
        bearer = _local_token(home)
    if not bearer:
        raise NotReady("there is no token. Give --token or EVERLEAF_TOKEN; `everleaf token create` makes one.")
    return Api(base.rstrip("/").removesuffix("/v1"), bearer)


def segment(given: str) -> str:
    """One part of a path; an id with a slash in it is still one part."""
    return quote(given, safe="")


def _local_token(home: Home) -> str:
    return home.token_file.read_text().strip() if home.token_file.exists() else ""


def _object(answer: httpx2.Response, path: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as problem:
        raise NotReady(f"{path} did not answer JSON") from problem
    if not isinstance(found, dict):
        raise NotReady(f"{path} did not answer an object")
    return found
