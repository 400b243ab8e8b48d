"""How uv is fetched where there is none; no network is used."""

import hashlib
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from cli import bootstrap
from cli.home import PROJECT


def a_wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for program in ("uv", "uvx"):
            archive.writestr(f"uv-{bootstrap.RELEASE}.data/scripts/{program}", "#!/bin/sh\necho uv\n")
    return content.getvalue()


def pinned_to(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    tag, _ = bootstrap.wheel()
    monkeypatch.setattr(bootstrap, "wheel", lambda: (tag, hashlib.sha256(content).hexdigest()))


def test_the_pinned_wheel_is_unpacked_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = a_wheel()
    pinned_to(monkeypatch, content)
    (tmp_path / "uv.whl").write_bytes(content)

    bootstrap.unpack(tmp_path / "uv.whl", tmp_path / "tools")

    assert bootstrap.run(str(tmp_path / "tools" / "bin" / "uv")) == "uv\n"


def test_other_bytes_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "uv.whl").write_bytes(a_wheel())

    with pytest.raises(bootstrap.NoUv, match="expected"):
        bootstrap.unpack(tmp_path / "uv.whl", tmp_path / "tools")

    assert not (tmp_path / "tools").exists()


def test_the_index_of_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple/")

    assert bootstrap.index() == "https://mirror.example/simple/"


def test_every_pin_is_a_sha256() -> None:
    assert all(len(bytes.fromhex(digest)) == 32 for _, digest in bootstrap.WHEELS.values())


def test_the_launcher_refuses_a_machine_without_python(tmp_path: Path) -> None:
    for tool in ("dirname", "readlink", "env"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    done = subprocess.run(
        ["/bin/sh", str(PROJECT / "everleaf"), "status"], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "apt-get install python3" in done.stderr
