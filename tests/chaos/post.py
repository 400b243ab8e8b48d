"""A real mail server that a test may stop, defer, hang or let lose what it took; what it kept are the letters."""

import asyncio
import email
import email.policy
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal

from aiosmtpd.controller import Controller

from cli.process import free_port

# taking: kept.  deferring: 451 after the data.  hanging: no answer to the data.  dropping: 250, and gone.
Mood = Literal["taking", "deferring", "hanging", "dropping"]


@dataclass(eq=False)
class PostOffice:
    """``letters``: what it kept, oldest first; ``moods``: how many letters it met in which mood."""

    port: int = field(default_factory=free_port)
    mood: Mood = "taking"
    letters: list[EmailMessage] = field(default_factory=list)
    met: "Counter[str]" = field(default_factory=Counter)
    _controller: Controller | None = None
    _let_go: threading.Event = field(default_factory=threading.Event)

    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mood = self.mood
        self.met[mood] += 1
        if mood == "deferring":
            return "451 try again later"
        if mood == "hanging":
            # Whoever sent it has given up long before; it is not kept.
            await asyncio.to_thread(self._let_go.wait)
            return "451 never answered"
        if mood == "taking":
            self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def open(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self) -> None:
        self._let_go.set()
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    # Methods: the server reads every attribute of its handler.
    def texts(self) -> list[str]:
        """Subject and text of each letter."""
        return [f"{letter['Subject']}\n{_plain(letter)}" for letter in self.letters]


def _plain(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert isinstance(text, str)
    return text


@contextmanager
def post_office() -> Iterator[PostOffice]:
    office = PostOffice()
    office.open()
    try:
        yield office
    finally:
        office.close()
