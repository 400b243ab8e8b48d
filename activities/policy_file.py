"""The policy in force, read from its file: again when the file changed, and never a bad one over a good one."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import BadInput, BadPolicy, ClockWrong, EverleafError
from domain.tiers import Policy
from formats.policy import kept_policy, parse_policy
from store.access import last_policy
from store.engine import NO_DATABASE

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class PolicyFile:
    """What activities are given as ``load_policy``: ``PolicyFile(path).load``.

    ``take_up`` does what the policy in force asks for; ``keep`` is given the text of every one that was, in their
    order.  Where one of them fails it is tried again at each load, and meanwhile the policy holds all the same; only
    the first must be taken up, unless it is the database that does not answer or a clock that is wrong.

    ``recall`` gives the policy that was in force last, or None: a start while the file is bad goes on with that one.
    """

    def __init__(
        self,
        path: Path,
        take_up: Callable[[Policy], None] = lambda _: None,
        keep: Callable[[Policy, bytes], None] = lambda *_: None,
        recall: Callable[[], Policy | None] = lambda: None,
    ) -> None:
        self._path, self._recall = path, recall
        self._take_up, self._keep = take_up, keep
        self._taken: Policy | None = None
        self._unkept: list[tuple[Policy, bytes]] = []
        self._lock = Lock()
        self._stamp: Stamp | None = None
        self._policy: Policy | None = None

    def load(self) -> Policy:
        """Raises BadPolicy at the first reading where no policy was ever in force, and what taking it up raises.

        Else a bad file is logged and the last good policy holds, whichever process read it: neither a slip in an editor
        nor a restart after it may stop renewals, or alarm fewer people than before.
        """
        with self._lock:
            stamp = self._stamp_now()
            if stamp != self._stamp or self._policy is None:
                self._policy, self._stamp = self._read(stamp), stamp
            self._follow(self._policy)
            return self._policy

    def _follow(self, policy: Policy) -> None:
        try:
            if policy is not self._taken:
                self._take_up(policy)
                self._taken = policy
            while self._unkept:
                self._keep(*self._unkept[0])
                self._unkept.pop(0)
        except (EverleafError, SQLAlchemyError, OSError) as error:
            if self._taken is None and not isinstance(error, (*NO_DATABASE, ClockWrong)):
                raise
            about = {"policy": policy.version, "error": type(error).__name__}
            log.error("the policy is only half in force, tried again", extra=about)

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
            held = self._policy or self._recalled()
            if held is None:
                raise
            field = error.field if isinstance(error, BadPolicy) else ""
            about = {"policy": str(self._path), "field": field, "line": getattr(error, "line", 0), "held": held.version}
            log.error("policy refused, the last good one holds", extra=about)
            return held
        self._unkept.append((policy, text))
        return policy

    def _recalled(self) -> Policy | None:
        """None also where the store does not answer: then there is no policy, and this start fails as without one."""
        try:
            return self._recall()
        except (EverleafError, SQLAlchemyError, OSError) as error:
            log.error("the last good policy cannot be read", extra={"error": type(error).__name__})
            return None


def recalling(engine: Engine) -> Callable[[], Policy | None]:
    """What gives the policy that was last in force, as the store has it; None where none ever was."""

    def recall() -> Policy | None:
        kept = last_policy(engine)
        return kept_policy(kept.text, kept.version) if kept else None

    return recall
