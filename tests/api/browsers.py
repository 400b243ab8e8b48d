"""A browser that is logged in: its cookie, and what its own pages print to prove where a change comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from sqlalchemy.engine import Engine

from api.auth import COOKIE
from domain.tiers import Role
from store import access

if TYPE_CHECKING:
    from tests.api.conftest import House


@dataclass
class Browser:
    """One logged-in browser of ``role``; ``csrf`` as its own pages print it."""

    client: httpx2.AsyncClient
    cookie: str
    csrf: str = ""

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.client.get(path, headers={"cookie": f"{COOKIE}={self.cookie}", **more})

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        body = fields if "csrf" in fields else {"csrf": self.csrf, **fields}
        return await self.client.post(path, data=body, headers={"cookie": f"{COOKIE}={self.cookie}", **headers})


async def browser_of(house: House, database: Engine, role: Role) -> Browser:
    cookie = access.log_in(database, access.create_login_link(database, role))
    assert cookie is not None
    browser = Browser(house.client, cookie)
    found = re.search(r'<meta name="csrf" content="([0-9a-f]{64})">', (await browser.get("/help")).text)
    assert found is not None
    browser.csrf = found[1]
    return browser
