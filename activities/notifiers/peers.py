"""Where a watcher says to another one that it lives.  It says nothing of faults: anybody may ask."""

import asyncio
from collections.abc import Callable

from domain.errors import BadInput

SECONDS = 5.0
LONGEST_REQUEST_BYTES = 8192


async def answer_peers(at: str, lives: Callable[[], bool]) -> asyncio.Server:
    """Listen on ``at`` (host:port): 200 while it ``lives``, else 503.  Raises BadInput."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
            said = ("200 OK", b"watching\n") if lives() else ("503 Service Unavailable", b"its rounds do not end\n")
            head = f"HTTP/1.1 {said[0]}\r\nContent-Type: text/plain\r\nContent-Length: {len(said[1])}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + said[1])
            await asyncio.wait_for(writer.drain(), SECONDS)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Whoever asks for something else, or does not read, must not keep the socket.
            writer.transport.abort()
        finally:
            writer.close()

    host, _, port = at.rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput("--listen", f"{at!r} is not an address", "Write host:port, as 127.0.0.1:8470.")
    try:
        return await asyncio.start_server(answer, host.strip("[]"), int(port), limit=LONGEST_REQUEST_BYTES)
    except (OSError, OverflowError) as problem:
        raise BadInput("--listen", f"{at} cannot be listened on: {problem}", "Name a free port.") from None
