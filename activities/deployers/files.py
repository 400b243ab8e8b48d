"""Files that are whole or not there: written beside, synced, renamed."""

import contextlib
import errno
import fcntl
import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from activities.deployer_files import lock_of, temporary_of
from domain.errors import TargetRefused, TargetUnreachable


@dataclass(frozen=True, slots=True)
class Owned:
    """``owner``: ``user`` (with the group of that user), ``user:group`` or ``:group``; empty: our own."""

    mode: int
    owner: str = ""


@contextlib.contextmanager
def told_as_target(name: str) -> Iterator[None]:
    """Say an OSError as what it means for the target ``name``: a person must act, or try again."""
    try:
        yield
    except OSError as error:
        what = f"{name}: {error.strerror} ({error.filename})"
        if error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EROFS):
            raise TargetRefused(f"{what}. Let Everleaf write there, or correct the target in the policy.") from error
        raise TargetUnreachable(f"{what}; it is tried again.") from error


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """One installation at a time at ``path``: an attempt that was given up for late may still be running.

    Raises TargetUnreachable while another one holds it; a crash lets go of it.
    """
    with open(lock_of(path), "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TargetUnreachable(f"another installation at {path} is still running; it is tried again.") from error
        yield


def write_whole(path: Path, content: bytes, owned: Owned) -> None:
    """Replace ``path`` by ``content``: whoever reads sees the old file or the new one.  Raises OSError."""
    temporary = temporary_of(path)
    # Nobody else may read it, not even for the instant before its mode is set.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if owned.owner:
                os.fchown(file.fileno(), *_ids(owned.owner))
            os.fchmod(file.fileno(), owned.mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ids(owner: str) -> tuple[int, int]:
    """User and group as numbers; -1 leaves one as it is."""
    user, _, group = owner.partition(":")
    correct = "on this host; correct the target's owner in the policy."
    try:
        account = pwd.getpwnam(user) if user else None
    except KeyError as error:
        raise TargetRefused(f"There is no user {user} {correct}") from error
    try:
        gid = grp.getgrnam(group).gr_gid if group else account.pw_gid if account is not None else -1
    except KeyError as error:
        raise TargetRefused(f"There is no group {group} {correct}") from error
    return account.pw_uid if account is not None else -1, gid
