"""How large a request may be.  No body over 1 MiB is read: refused by its announced length, or at the byte too many."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Layer
from api.problems import TITLES, problem

LARGEST_BODY_BYTES = 1_048_576
# A cursor of the longest kind and every filter at its longest stay far below.
LONGEST_ADDRESS_BYTES = 16_384
LARGEST_HEADERS_BYTES = 16_384
MOST_HEADERS = 100
TOO_LARGE = f"A body may have at most {LARGEST_BODY_BYTES} bytes."
TOO_LONG = f"Path and query may have at most {LONGEST_ADDRESS_BYTES} bytes."
TOO_MUCH = f"There may be at most {MOST_HEADERS} headers of at most {LARGEST_HEADERS_BYTES} bytes in all."


class SizeLimit(Layer):
    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refusal(scope)
        if refused is not None:
            status, told = refused
            word, title = TITLES[status]
            await problem(status, word, title, told)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self.app(scope, counted, send)


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """(Status, what is said) of a request whose beginning alone is too much."""
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > LARGEST_HEADERS_BYTES:
        return 431, TOO_MUCH
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS_BYTES:
        return 414, TOO_LONG
    announced = Request(scope).headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > LARGEST_BODY_BYTES:
        return 413, TOO_LARGE
    return None
