"""News for every open page of this process: one connection listens, everybody who subscribed hears."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
import sqlalchemy.exc
from sqlalchemy.engine import Engine

from store.reader.changes import CHANNEL, Change, Place, changes_after, newest_place, something_waits

log = logging.getLogger(__name__)

# A notification that was lost with its connection is made up for by looking anyway.
LOOK_SECONDS = 5.0
# While a slow transaction holds changes back, they are looked for this often.
WAITING_SECONDS = 0.5
RETRY_SECONDS = 2.0
# Somebody who does not take this many is cut off, and told to read everything anew.
LARGEST_BACKLOG = 2000
PAGE = 500

Inbox = asyncio.Queue[Change | None]


class Feed:
    """``None`` in an inbox: changes were passed over; read everything anew."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inboxes: set[Inbox] = set()
        self._place: Place | None = None
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen, in a thread of its own; to be called in the event loop that subscribers use."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._listen, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(LOOK_SECONDS + 1)

    @contextmanager
    def subscribed(self) -> Iterator[Inbox]:
        inbox: Inbox = asyncio.Queue(LARGEST_BACKLOG + 1)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.discard(inbox)

    @property
    def subscribers(self) -> int:
        return len(self._inboxes)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                newest = newest_place(self._engine)
                if self._place is not None and self._place > newest:
                    # The database was put back: what was told may never have been.
                    self._tell([None])
                    self._place = None
                self._place = self._place or newest
                self._follow()
            except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
                log.warning("no news: the database does not answer (%s)", type(error).__name__)
                self._stopped.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        """Tell everything behind our place as it comes, until we are stopped.

        Raises SQLAlchemyError or psycopg.Error with the connection; going on from the place misses nothing.
        """
        assert self._place is not None
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            driver = connection.connection.driver_connection
            assert driver is not None
            while not self._stopped.is_set():
                found = changes_after(self._engine, self._place, PAGE)
                if found:
                    self._tell(found)
                    self._place = found[-1].place
                    continue
                patience = WAITING_SECONDS if something_waits(self._engine, self._place) else LOOK_SECONDS
                end = time.monotonic() + patience
                while not self._stopped.is_set() and time.monotonic() < end:
                    if list(driver.notifies(timeout=min(1.0, patience), stop_after=1)):
                        break

    def _tell(self, found: Sequence[Change | None]) -> None:
        assert self._loop is not None
        # The loop may have ended between the look and this line: then nobody is left to hear.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, found)

    def _put(self, found: Sequence[Change | None]) -> None:
        for inbox in self._inboxes:
            for change in found:
                if inbox.qsize() < LARGEST_BACKLOG:
                    inbox.put_nowait(change)
                elif not inbox.full():
                    inbox.put_nowait(None)
