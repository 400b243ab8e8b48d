"""The names of the files that a deployer makes beside those of a target: written by it, overlooked by the scanner."""

import re
import secrets
from pathlib import Path

_PREVIOUS = ".previous"
_OURS = re.compile(r".+\.previous|\..+\.[0-9a-f]{8}\.new|\..+\.lock", re.DOTALL)


def previous_of(path: Path) -> Path:
    """Where what ``path`` held before is kept."""
    return path.with_name(path.name + _PREVIOUS)


def lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def temporary_of(path: Path) -> Path:
    """A new name beside ``path`` for what is about to replace it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")


def is_leftover(path: str) -> bool:
    """Whether ``path`` bears a name that only a deployer gives."""
    return _OURS.fullmatch(path.rsplit("/", 1)[-1]) is not None
