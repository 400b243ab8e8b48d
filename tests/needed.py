"""What a test needs of the machine: a test that lacks it skips and says what; where CI is set it fails."""

import os
import shutil
from typing import NoReturn

import pytest


def lacks(what: str, consequence: str, remedy: str = "`.ci/run` installs it") -> NoReturn:
    """End the test: ``what`` is not on this machine, so ``consequence``."""
    told = f"NO {what}: {consequence}; {remedy}"
    # In CI a skip would be a promise that nobody looked after.
    if os.environ.get("CI"):
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


def programs(*names: str, consequence: str) -> None:
    """End the test unless each of ``names`` is on PATH."""
    for name in names:
        if shutil.which(name) is None:
            lacks(name, consequence)
