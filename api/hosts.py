"""Whose name a request may call us by: a page of somebody else's name that leads here is refused (DNS rebinding)."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from api.middleware import Layer
from api.parts import Parts
from api.problems import problem

# Probes and scrapers come by whatever name their network gives us. They carry no cookie of a browser: health tells
# nothing, and metrics want a token.
ANY_NAME = ("/health/live", "/health/ready", "/metrics")

# RFC 9110, 7.2, without what nobody sends: a name or a bracketed address, then perhaps a port. Read whole: the parser
# of URLs takes "127.0.0.1:8460.evil.example" for 127.0.0.1.
HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")


class KnownHosts(Layer):
    """400 for a Host that is neither this machine's own nor the one of ``Parts.api_url``, whatever its port."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ANY_NAME:
            await self.app(scope, receive, send)
            return
        parts = scope["app"].state.parts
        assert isinstance(parts, Parts)
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(given) == 1 and is_ours(given[0], parts.api_url):
            await self.app(scope, receive, send)
            return
        told = "This is not a name of ours; ask at the address of EVERLEAF_API_URL."
        await problem(400, "unknown-host", "Whose name is that?", told)(scope, receive, send)


def is_ours(host: str, api_url: str) -> bool:
    read = HOST.fullmatch(host.lower())
    if read is None:
        return False
    name = read["v6"] or read["name"]
    if name in ("localhost", urlsplit(api_url).hostname):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
