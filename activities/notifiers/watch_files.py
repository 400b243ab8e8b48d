"""The watcher's files on its own disk: what it told and still owes, its inventory, and the status that others show."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain.errors import BadInput, NotReady
from domain.watching import Carried, Inventory
from formats.watch_memory import read_carried, read_inventory

log = logging.getLogger("watch")


@dataclass(slots=True)
class Files:
    """What the watcher keeps: each file whole or not at all, mode 0600.  ``lost``: what was there and is damaged."""

    folder: Path
    lost: str = ""

    def open(self) -> tuple[Carried, Inventory | None]:
        """What was kept; what is damaged or missing is begun anew, and named in ``lost``."""
        problems: list[str] = []
        carried, inventory = Carried(), None
        try:
            carried = read_carried(self._read("memory.json"))
        except FileNotFoundError:
            if (self.folder / "inventory.json").exists():
                problems.append("memory.json is not there any more")
        except (BadInput, OSError) as problem:
            problems.append(str(problem))
        try:
            inventory = read_inventory(self._read("inventory.json"))
        except FileNotFoundError:
            if carried.has_inventory:
                problems.append("inventory.json is not there any more")
        except (BadInput, OSError) as problem:
            problems.append(str(problem))
        self.lost = "; ".join(problems)
        if problems:
            log.error("the memory is damaged and begins anew: %s", self.lost)
        elif inventory is None and carried == Carried():
            log.warning("there is no memory in %s yet: it begins now", self.folder)
        return carried, inventory

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Two watchers with one memory would each tell half.  Raises NotReady."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotReady(f"another watcher runs in {self.folder}; name another EVERLEAF_WATCH_DIR") from None
            yield

    def _read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def keep(self, name: str, content: bytes) -> None:
        fresh = self.folder / f".{name}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self.folder / name)
