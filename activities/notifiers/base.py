"""What a notifier offers; to add one: a file here, and a line in the table of this folder."""

from dataclasses import dataclass
from typing import Protocol

from domain.errors import EverleafError
from domain.tiers import Person


class AddressRefused(EverleafError):
    """This address will never take it.  Counts as unanswered (DESIGN rule 3)."""

    permanent = True


@dataclass(frozen=True, slots=True)
class Letter:
    """Plain text, ready to send.

    ``id``: the same at each attempt to send this letter, and no other's; empty: its words are what it is known by.
    ``thread``: the same for every letter to one reader about one matter; empty: it stands alone.
    """

    subject: str
    body: str
    id: str = ""
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """Where letters leave.  ``smtp_url``: smtp://host:port, empty where there is none; ``sender``: an address."""

    smtp_url: str
    sender: str


class Notifier(Protocol):
    def send(self, letter: Letter, to: Person) -> None:
        """Hand ``letter`` over.  Raises AddressRefused, or NotReady (try again)."""
