"""PEM files: reads certificates, never keys, and follows a link only to a file that the scope names as well.

Whatever a path of the scope names gets a look, also a loop of links, a folder, a FIFO: each with what is wrong with it.
"""

import asyncio
import glob
import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from activities.deployer_files import is_leftover
from activities.scanners.base import Ask, Clock, Patience, Progress, Sight
from domain.certificate import LookOutcome
from domain.classify import Seen, match
from domain.errors import BadInput
from domain.tiers import Matcher
from formats.bundle import load_bundle
from formats.pem import pem_flaws

MOST_BYTES = 1024 * 1024
# A glob that names a whole disk must not fill a page.
MOST_FILES = 10_000


log = logging.getLogger(__name__)

_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFLNK: "is a loop of links",
}


def expand(patterns: Sequence[str]) -> tuple[str, ...]:
    """What ``patterns`` (globs) name, sorted; a path without a wildcard also where nothing is there.

    Folders are left out where the last part of a pattern is a bare wildcard: it means what lies in them.  What a
    deployer of ours keeps beside its files is nobody's certificate, and is left out too.
    """
    found: set[str] = set()
    for pattern in patterns:
        if not glob.has_magic(pattern):
            found.add(pattern)
            continue
        means_files = not pattern.rsplit("/", 1)[1].strip("*")
        for path in glob.iglob(pattern, recursive=True):
            if not is_leftover(path) and not (means_files and os.path.isdir(path)):
                found.add(path)
            if len(found) >= MOST_FILES:
                log.warning("a path of the scope names too much, the rest is left out", extra={"path": pattern})
                break
    return tuple(sorted(found))


def is_inside(path: str, patterns: Sequence[str]) -> bool:
    """``path``, with every link on the way resolved, is still one that ``patterns`` name."""
    return _is_named(os.path.realpath(path), patterns)


def _is_named(real: str, patterns: Sequence[str]) -> bool:
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
        real = os.path.realpath(path)
        leads = f"leads to {_shown(real)}, " if os.path.islink(path) else ""
        if not _is_named(real, self._patterns):
            told = f"{leads}outside the paths of the policy's scope"
            return Sight(ask, self._clock(), LookOutcome.OUT_OF_SCOPE, (), told)
        try:
            data = _read(real)
        except FileNotFoundError:
            told = f"{leads}which is not there" if leads else "the file is not there"
            return Sight(ask, self._clock(), LookOutcome.UNREACHABLE, (), told)
        except OSError as error:
            return Sight(ask, self._clock(), LookOutcome.UNREADABLE, (), error.strerror or "cannot be read")
        try:
            chain = load_bundle(data)
        except BadInput as error:
            outcome = LookOutcome.UNREADABLE if b"-----BEGIN CERTIFICATE" in data else LookOutcome.NO_CERTIFICATE
            return Sight(ask, self._clock(), outcome, (), error.problem[:300])
        return Sight(ask, self._clock(), LookOutcome.SEEN, chain, "; ".join(pem_flaws(data))[:300])


def _shown(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()[:200]


def _read(path: str) -> bytes:
    # Opening a device can do something; of what is swapped in between, O_NONBLOCK keeps a FIFO from holding us.
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(0, _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), "is not a regular file"))
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "is not a regular file")
        # A folder on the way may have become a link since the path was held against the scope.
        if os.readlink(f"/proc/self/fd/{file.fileno()}").removesuffix(" (deleted)") != path:
            raise OSError(0, "was moved while it was opened")
        if status.st_size > MOST_BYTES:
            raise OSError(0, f"is larger than {MOST_BYTES} bytes")
        return file.read(MOST_BYTES + 1)
