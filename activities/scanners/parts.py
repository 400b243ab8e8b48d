"""Small questions to the parts of Everleaf itself: each makes the part do something, within a deadline.

A port that accepts proves nothing: the kernel accepts for a process that is stopped.  Each function gives what is
wrong, in words, or nothing; it blocks for ``SECONDS`` at a wait, and the caller bounds the whole.
"""

import asyncio
import shutil
import smtplib
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from domain.errors import EverleafError
from domain.vitals import Answer, Kind

T = TypeVar("T")

SECONDS = 5.0
# The whole of a question, also to somebody who trickles.
ASKED_FOR = timedelta(seconds=12)
# RFC 9113 3.4: what a client of HTTP/2 says first, with an empty SETTINGS frame behind it.
HTTP2_BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
# Below this PostgreSQL and Temporal end in the middle of their work.
LEAST_FREE_BYTES = 300_000_000


def temporal(address: str, seconds: float = SECONDS) -> str:
    """Whether the front end at ``address`` (host:port) takes up the protocol of gRPC; one behind TLS refuses, and so
    answers too.  Not whether Temporal does its work: that is what workers say in their heartbeats."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(HTTP2_BEGIN)
            return "" if connection.recv(9) else "it closes the connection without a word"
    except TimeoutError:
        return f"it accepts, and says nothing for {seconds:g} s"
    except (OSError, ValueError) as problem:
        return f"it does not answer at {address}: {problem}"


def http(url: str, seconds: float = SECONDS) -> str:
    """Whether ``url`` answers with 200."""
    if urlsplit(url).scheme not in ("http", "https"):
        return f"{url} is not an address of HTTP"
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310 - the scheme is looked at above
            answer.read(1000)
    except urllib.error.HTTPError as problem:
        said = problem.read(300).decode(errors="replace").strip()
        return f"it answers {problem.code}" + (f": {said}" if said else "")
    except TimeoutError:
        return f"it accepts, and says nothing for {seconds:g} s"
    except (OSError, ValueError) as problem:
        # A certificate that is not trusted, or has ended, is one of these.
        return f"it does not answer: {getattr(problem, 'reason', problem)}"
    return ""


def smtp(url: str, seconds: float = SECONDS) -> str:
    """Whether the mail server greets and takes NOOP (RFC 5321 4.1.1.9); no mail is begun."""
    parts = urlsplit(url)
    try:
        with smtplib.SMTP(parts.hostname or "", parts.port or 25, timeout=seconds) as server:
            code, said = server.noop()
            return "" if code == 250 else f"it answers {code} {said.decode(errors='replace')[:200]}"
    except (OSError, smtplib.SMTPException, ValueError) as problem:
        return f"the mail server at {parts.hostname}:{parts.port or 25} does not answer: {problem}"


def disk(path: str, free: Callable[[str], int] = lambda path: shutil.disk_usage(path).free) -> str:
    """Whether the disk of ``path`` has room for the next hours."""
    try:
        left = free(path)
    except OSError as problem:
        return f"{path} cannot be asked: {problem.strerror}"
    return "" if left >= LEAST_FREE_BYTES else f"{left // 1_000_000} MB are free on the disk of {path}"


async def in_a_thread(work: Callable[[], T], within: timedelta) -> T:
    """What ``work`` gives.  Raises TimeoutError; the thread is then left behind, and keeps nobody from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(how: Callable[[Any], None], what: object) -> None:
        def settle() -> None:
            if not done.done():
                how(what)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    def run() -> None:
        try:
            found = work()
        except (EverleafError, SQLAlchemyError, OSError) as problem:
            tell(done.set_exception, problem)
        else:
            tell(done.set_result, found)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wait_for(done, within.total_seconds())


@dataclass(frozen=True, slots=True)
class Question:
    """One of the functions above, bound to one part.  ``ask`` gives what is wrong, or nothing."""

    kind: Kind
    subject: str
    ask: Callable[[], str]
    remedy: str

    async def answer(self) -> Answer:
        """Never raises, and is over within ``ASKED_FOR``."""
        try:
            problem = await in_a_thread(self.ask, ASKED_FOR)
        except TimeoutError:
            problem = f"no answer within {ASKED_FOR.total_seconds():g} s"
        return Answer(self.kind, problem, self.remedy, self.subject)
