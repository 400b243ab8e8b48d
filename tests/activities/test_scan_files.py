"""Whatever stands below a path of the scope gets a look of its own, and no link leads out of the scope."""

import os
import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from activities.deployer_files import lock_of, previous_of, temporary_of
from activities.scanners import files
from activities.scanners.base import Ask, Patience, Sight
from activities.scanners.files import FileScanner, expand
from domain.certificate import Endpoint, LookOutcome
from tests.activities.estates import TestCA

NOW = datetime.now(UTC)


async def looks(*patterns: str) -> dict[str, Sight]:
    asks = [Ask(Endpoint.parse(Endpoint("file", "localhost", path=path).url)) for path in expand(patterns)]
    sights = await FileScanner(lambda: NOW, patterns).look(asks, Patience(), lambda: None)
    return {sight.ask.endpoint.path: sight for sight in sights}


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """As certbot lays it out: links in one folder, files in another."""
    (tmp_path / "live").mkdir()
    (tmp_path / "archive").mkdir()
    TestCA().issue(tmp_path / "archive" / "cert1.pem", "a.example")
    (tmp_path / "live" / "cert.pem").symlink_to("../archive/cert1.pem")
    return tmp_path / "live"


async def test_a_link_is_followed_to_a_file_that_the_scope_names(live: Path) -> None:
    cert = str(live / "cert.pem")
    outside = (await looks(f"{live}/*.pem"))[cert]
    assert outside.outcome is LookOutcome.OUT_OF_SCOPE
    assert outside.detail == f"leads to {live.parent}/archive/cert1.pem, outside the paths of the policy's scope"
    inside = (await looks(f"{live}/*.pem", f"{live.parent}/archive/*.pem"))[cert]
    assert inside.outcome is LookOutcome.SEEN and inside.chain


async def test_a_folder_that_becomes_a_link_after_the_check_leads_nowhere(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = live / "own"
    own.mkdir()
    (own / "cert1.pem").write_bytes((live / "cert.pem").read_bytes())
    permits = files._is_named

    def then_swaps(real: str, patterns: Sequence[str]) -> bool:
        permitted = permits(real, patterns)
        shutil.rmtree(own)
        own.symlink_to("../archive")
        return permitted

    monkeypatch.setattr(files, "_is_named", then_swaps)
    (sight,) = (await looks(f"{own}/cert1.pem")).values()
    assert (sight.outcome, sight.detail) == (LookOutcome.UNREADABLE, "was moved while it was opened")


async def test_everything_that_is_no_certificate_has_its_outcome(live: Path) -> None:
    for link, to in (
        ("loop-a", "loop-b.pem"),
        ("loop-b", "loop-a.pem"),
        ("nowhere", "absent.pem"),
        ("null", "/dev/null"),
    ):
        (live / f"{link}.pem").symlink_to(to)
    os.mkfifo(live / "fifo.pem")
    (live / "folder.pem").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(live / "socket.pem"))
        seen = await looks(f"{live}/*.pem")
    assert {Path(path).stem: (sight.outcome.value, sight.detail) for path, sight in seen.items()} | {"cert": ()} == {
        "cert": (),
        "loop-a": ("unreadable", "is a loop of links"),
        "loop-b": ("unreadable", "is a loop of links"),
        "nowhere": ("unreachable", f"leads to {live}/absent.pem, which is not there"),
        "null": ("out-of-scope", "leads to /dev/null, outside the paths of the policy's scope"),
        "fifo": ("unreadable", "is a FIFO"),
        "folder": ("unreadable", "is a folder"),
        "socket": ("unreadable", "is a socket"),
    }


async def test_a_path_without_a_wildcard_is_looked_at_also_where_nothing_is(live: Path) -> None:
    (sight,) = (await looks(f"{live}/absent.pem")).values()
    assert (sight.outcome, sight.detail) == (LookOutcome.UNREACHABLE, "the file is not there")


def test_a_bare_wildcard_means_files_and_not_their_folders(live: Path) -> None:
    assert expand((f"{live.parent}/*",)) == ()
    assert expand((f"{live.parent}/**",)) == (f"{live.parent}/archive/cert1.pem", f"{live}/cert.pem")


def test_what_a_deployer_keeps_beside_its_files_is_nobodys_certificate(tmp_path: Path) -> None:
    chain = tmp_path / "web.crt"
    ours = (previous_of(chain), lock_of(chain), temporary_of(chain))
    others = (chain, tmp_path / "web.crt.previous.pem", tmp_path / "previous", tmp_path / ".web.new")
    for path in (*ours, *others):
        path.touch()
    assert expand((f"{tmp_path}/*", f"{tmp_path}/.*")) == tuple(sorted(map(str, others)))
    assert expand((str(ours[0]),)) == (str(ours[0]),), "who writes a name out means it"


async def test_a_name_that_is_not_text_is_looked_at_too(live: Path) -> None:
    strange = os.fsdecode(os.fsencode(str(live)) + b"/\xff\xe9.pem")
    Path(strange).write_bytes((live / "cert.pem").read_bytes())
    sight = (await looks(f"{live}/*.pem"))[strange]
    assert sight.outcome is LookOutcome.SEEN
    assert sight.ask.endpoint.url.endswith("/live/%FF%E9.pem")


async def test_a_file_that_no_server_would_read_is_seen_and_told_with_its_line(live: Path) -> None:
    whole = (live / "cert.pem").read_bytes()
    (live / "glued.pem").write_bytes(whole.replace(b"-----\n-----", b"----------"))
    (live / "whole.pem").write_bytes(whole)
    seen = {Path(path).stem: sight for path, sight in (await looks(f"{live}/*.pem")).items()}
    assert {name: len(seen[name].chain) for name in ("glued", "whole")} == {"glued": 2, "whole": 2}
    line = whole[: whole.index(b"-----END")].count(b"\n") + 1
    assert seen["glued"].detail.startswith(f"line {line}: something stands behind -----END CERTIFICATE-----")
    assert seen["whole"].detail == ""
