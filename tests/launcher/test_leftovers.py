"""What is left on a machine, and what a start says where the machine lacks something."""

import os
from pathlib import Path

import pytest

from cli.home import Home
from cli.postgres import EmbeddedPostgres
from cli.status import reset
from domain.errors import NotReady


def test_reset_removes_the_sockets_that_lie_elsewhere_too(tmp_path: Path) -> None:
    home = Home(tmp_path / ("x" * 120))
    home.path.mkdir()
    home.lock_file.touch()
    sockets = EmbeddedPostgres(home.path).socket_directory
    assert home.path not in sockets.parents
    sockets.mkdir(mode=0o700)
    (sockets / ".s.PGSQL.5432.lock").touch()
    assert reset(home)
    assert not home.path.exists()
    assert not sockets.exists()


def test_a_user_without_a_name_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    with pytest.raises(NotReady, match=r"3999999999.*/etc/passwd.*EVERLEAF_DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "home", durable=False).prepare()
