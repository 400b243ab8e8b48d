"""The policy in force, read from its file: again when the file changed, and never a bad one over a good one."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from sqlalchemy.exc import SQLAlchemyError

from domain.errors import BadInput, BadPolicy, EverleafError
from domain.tiers import Policy
from formats.policy import parse_policy

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class PolicyFile:
    """What activities are given as ``load_policy``: ``PolicyFile(path).load``.

    ``on_change`` is told of every policy that comes into force, with its text, in their order; where it fails, of the
    same one at each load again, and meanwhile the policy holds all the same.
    """

    def __init__(self, path: Path, on_change: Callable[[Policy, bytes], None] = lambda *_: None) -> None:
        self._path = path
        self._on_change = on_change
        self._untold: list[tuple[Policy, bytes]] = []
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._policy: Policy | None = None

    def load(self) -> Policy:
        """Raises BadPolicy at the first reading.

        Later a bad file is logged and the last good policy holds: a slip in an editor must not stop renewals.
        """
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp or self._policy is None:
                self._policy, self._stamp = self._read(stamp), stamp
            self._tell()
            return self._policy

    def _tell(self) -> None:
        while self._untold:
            try:
                self._on_change(*self._untold[0])
            except (EverleafError, SQLAlchemyError, OSError) as error:
                log.error("a policy is only half in force, tried again", extra={"error": type(error).__name__})
                return
            self._untold.pop(0)

    def _stamp_now(self) -> Stamp | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self, stamp: Stamp | None) -> Policy:
        try:
            if stamp is None:
                raise BadInput("EVERLEAF_POLICY", f"{self._path} is not there", "Copy demo/policy.yaml and edit it.")
            text = self._path.read_bytes()
            policy = parse_policy(text, str(self._path))
        except (BadInput, OSError) as error:
            if self._policy is None:
                raise
            field = error.field if isinstance(error, BadPolicy) else ""
            log.error("policy refused, the last good one holds", extra={"policy": str(self._path), "field": field})
            return self._policy
        self._untold.append((policy, text))
        return policy
