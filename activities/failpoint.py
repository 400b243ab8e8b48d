"""Named points at which a test ends a worker, as a power cut would."""

import os
import signal
from collections.abc import Callable


def failpoint(at: str) -> Callable[[str], None]:
    """A function that kills this process when it is called with the name ``at``; with ``at`` empty it never does."""

    def passed(name: str) -> None:
        if at and name == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return passed
