"""HEAD wherever there is a GET (RFC 9110, 9.1): the same answer without its content."""

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Layer


class Told(OSError):
    """All of the answer to a HEAD is told; what makes its content may end.  An OSError is how a send fails."""


class HeadAsGet(Layer):
    """Asks for the GET and tells its beginning; a stream ends with its first piece."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                allowed = headers.get("allow", "").split(", ")
                if "GET" in allowed and "HEAD" not in allowed:
                    headers["allow"] = ", ".join([*allowed, "HEAD"])
            await send(message)

        if scope["method"] != "HEAD":
            await self.app(scope, receive, with_head)
            return

        async def without_content(message: Message) -> None:
            if message["type"] != "http.response.body":
                await with_head(message)
                return
            await send({"type": "http.response.body"})
            if message.get("more_body"):
                raise Told

        try:
            await self.app({**scope, "method": "GET"}, receive, without_content)
        except (Told, ClientDisconnect):
            return
