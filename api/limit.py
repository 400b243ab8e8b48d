"""No body over 1 MiB is read: refused by its announced length, or at the byte that goes over."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import TITLES, problem

LARGEST_BODY_BYTES = 1_048_576
TOO_LARGE = f"A body may have at most {LARGEST_BODY_BYTES} bytes."


class BodyLimit:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Request(scope).headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > LARGEST_BODY_BYTES:
            word, title = TITLES[413]
            await problem(413, word, title, TOO_LARGE)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, counted, send)
