"""PEM files: reads certificates, never keys, and nothing that a link points to outside the paths of the scope."""

import asyncio
import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from activities.scanners.base import Ask, Clock, Patience, Progress, Sight
from domain.certificate import LookOutcome
from domain.classify import Seen, match
from domain.errors import BadInput
from domain.tiers import Matcher
from formats.x509 import load_pem_chain

MOST_BYTES = 1024 * 1024
# A glob that names a whole disk must not fill a page.
MOST_FILES = 10_000


def expand(patterns: Sequence[str]) -> tuple[str, ...]:
    """The regular files that ``patterns`` (globs) name, sorted; links are left out."""
    found: set[str] = set()
    for pattern in patterns:
        for path in glob.iglob(pattern, recursive=True):
            if os.path.isfile(path) and not os.path.islink(path):
                found.add(path)
            if len(found) >= MOST_FILES:
                break
    return tuple(sorted(found))


def is_inside(path: str, patterns: Sequence[str]) -> bool:
    """``path``, with every link on the way resolved, is still one that ``patterns`` name."""
    real = os.path.realpath(path)
    roots = [str(Path(os.path.realpath(_folder(p))) / p[len(_folder(p)) :].lstrip("/")) for p in patterns]
    return match(Matcher(paths=tuple(roots)), Seen(paths=(real,))) is not None


def _folder(pattern: str) -> str:
    """The part of ``pattern`` before its first wildcard, up to a slash: what the policy itself trusts."""
    head = pattern
    for mark in "*?[":
        head = head.split(mark, 1)[0]
    return head.rsplit("/", 1)[0] or "/"


class FileScanner:
    """Looks at ``file://`` endpoints below ``patterns``."""

    def __init__(self, clock: Clock, patterns: Sequence[str]) -> None:
        self._clock = clock
        self._patterns = tuple(patterns)

    async def look(self, asks: Sequence[Ask], patience: Patience, progress: Progress) -> tuple[Sight, ...]:
        sights: list[Sight] = []
        for ask in asks:
            sights.append(await asyncio.to_thread(self._look, ask))
            progress()
        return tuple(sights)

    def _look(self, ask: Ask) -> Sight:
        path = ask.endpoint.path
        if not is_inside(path, self._patterns):
            return Sight(ask, self._clock(), LookOutcome.OUT_OF_SCOPE, (), "outside the paths of the policy's scope")
        try:
            data = _read(path)
        except FileNotFoundError:
            return Sight(ask, self._clock(), LookOutcome.UNREACHABLE, (), "the file is gone")
        except OSError as error:
            return Sight(ask, self._clock(), LookOutcome.UNREADABLE, (), error.strerror or "cannot be read")
        try:
            chain = load_pem_chain(data)
        except BadInput as error:
            outcome = LookOutcome.UNREADABLE if b"-----BEGIN CERTIFICATE" in data else LookOutcome.NO_CERTIFICATE
            return Sight(ask, self._clock(), outcome, (), error.problem[:300])
        return Sight(ask, self._clock(), LookOutcome.SEEN, chain)


def _read(path: str) -> bytes:
    # O_NONBLOCK: opening a FIFO that stands under the path must not wait for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "is not a regular file")
        if status.st_size > MOST_BYTES:
            raise OSError(0, f"is larger than {MOST_BYTES} bytes")
        return file.read(MOST_BYTES + 1)
