"""Files are written whole, for whom the policy says."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from activities.deployers.files import Owned, write_whole
from domain.errors import TargetRefused
from tests.needed import lacks

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


@pytest.mark.parametrize("owner", ["", USER, f"{USER}:{GROUP}", f":{GROUP}"])
def test_a_key_belongs_to_whom_the_policy_names(owner: str, tmp_path: Path) -> None:
    write_whole(tmp_path / "key.pem", b"key", Owned(0o640, owner))
    seen = (tmp_path / "key.pem").stat()
    assert (seen.st_mode & 0o777, seen.st_uid, seen.st_gid) == (0o640, os.getuid(), os.getgid())


def test_root_gives_a_key_to_a_group_alone(tmp_path: Path) -> None:
    if os.getuid() != 0:
        lacks("ROOT", "that files are given away was not tested", "run the suite as root")
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != os.getgid())
    write_whole(tmp_path / "key.pem", b"key", Owned(0o640, f":{group.gr_name}"))
    seen = (tmp_path / "key.pem").stat()
    assert (seen.st_uid, seen.st_gid) == (os.getuid(), group.gr_gid)


@pytest.mark.parametrize(("owner", "missing"), [("no-such-user", "user"), (f"{USER}:no-such-group", "group")])
def test_an_account_that_is_not_there_is_refused_and_leaves_nothing(owner: str, missing: str, tmp_path: Path) -> None:
    with pytest.raises(TargetRefused, match=f"no {missing} no-such-{missing}"):
        write_whole(tmp_path / "key.pem", b"key", Owned(0o600, owner))
    assert list(tmp_path.iterdir()) == []
