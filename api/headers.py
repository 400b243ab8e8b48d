"""The headers of every answer: what a browser may do with it is said here and nowhere else."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Layer

# Data: nothing is loaded, nothing runs, no frame shows it.
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
# Pages: our own files alone; no inline script or style, no other host, no frame.
OWN_FILES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    # Not "no-referrer": with that a browser calls the origin of our own forms "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
A_YEAR = "max-age=31536000"


class SecurityHeaders(Layer):
    """Adds what an answer does not say itself.  Works on streams: nothing is held back."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                page = headers.get("content-type", "").startswith("text/html")
                headers.setdefault("content-security-policy", OWN_FILES if page else NOTHING)
                headers.setdefault("cache-control", "no-store")
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("strict-transport-security", A_YEAR)
            await send(message)

        await self.app(scope, receive, dressed)
