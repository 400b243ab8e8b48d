"""Answers that may be some seconds old: what costs a pass over everything is asked once for all readers."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

KEPT_SECONDS = 15.0
MOST = 100

T = TypeVar("T")


class Memory:
    """Thread-safe; of many who ask at once one computes, and the others take its answer."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    def recall(self, key: Hashable, compute: Callable[[], T]) -> T:
        known = self._answers.get(key)
        if known is not None and (time.monotonic() - known[0] < self._kept_seconds or self._lock.locked()):
            # While one computes, the others are content with what was.
            return cast(T, known[1])
        with self._lock:
            known = self._answers.get(key)
            if known is not None and time.monotonic() - known[0] < self._kept_seconds:
                return cast(T, known[1])
            answer = compute()
            if len(self._answers) >= MOST:
                self._answers.clear()
            self._answers[key] = (time.monotonic(), answer)
            return answer
