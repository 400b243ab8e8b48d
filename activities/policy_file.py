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

    ``on_change`` is told of every policy but the first, before anybody is given it; where it fails, at each load again.
    """

    def __init__(self, path: Path, on_change: Callable[[Policy], None] = lambda _: None) -> None:
        self._path = path
        self._on_change = on_change
        self._told: Policy | None = None
        self._untold = False
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
            self._tell(self._policy)
            return self._policy

    def tell_again(self) -> None:
        """Whoever started with this policy could not do what it asks for: they are told of it at the next load."""
        with self._lock:
            self._untold = True

    def _tell(self, policy: Policy) -> None:
        if self._told is None:
            # Whoever starts with this policy does by itself what it asks for, and fails aloud where that fails.
            self._told = policy
        if self._told is policy and not self._untold:
            return
        try:
            self._on_change(policy)
        except (EverleafError, SQLAlchemyError, OSError) as error:
            log.error("the new policy is only half in force, tried again", extra={"error": type(error).__name__})
            return
        self._told, self._untold = policy, False

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
            return parse_policy(self._path.read_bytes(), str(self._path))
        except (BadInput, OSError) as error:
            if self._policy is None:
                raise
            field = error.field if isinstance(error, BadPolicy) else ""
            log.error("policy refused, the last good one holds", extra={"policy": str(self._path), "field": field})
            return self._policy
