import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

import worker
from activities.policy_file import PolicyFile, recalling
from domain.certificate import TrustClass
from domain.errors import BadInput, BadPolicy, NotReady
from domain.settings import Settings
from domain.tiers import Policy
from formats.policy import version_of
from store import access, ca, tables
from tests.launcher.waiting import LONG_SECONDS
from worker import follow

EXAMPLE = Path(__file__).parents[2] / "demo" / "policy.yaml"


def test_a_policy_is_read_again_when_it_changed_and_a_bad_one_never_replaces_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    file = PolicyFile(path)
    with pytest.raises(BadInput, match="is not there"):
        file.load()
    path.write_text("people: [")
    with pytest.raises(BadPolicy):
        file.load()
    path.write_bytes(EXAMPLE.read_bytes())
    first = file.load()
    assert file.load() is first
    path.write_text("people: [")
    assert file.load() is first
    path.unlink()
    assert file.load() is first
    path.write_bytes(EXAMPLE.read_bytes() + b"\n# edited\n")
    assert file.load().version != first.version


def test_the_newest_policy_is_taken_up_and_every_text_kept_also_after_failures(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    taken: list[str] = []
    kept: list[tuple[str, bytes]] = []
    failing = [OperationalError("select", {}, Exception("the server went away"))] * 3

    def take_up(policy: Policy) -> None:
        if failing:
            raise failing.pop()
        taken.append(policy.version)

    texts = [EXAMPLE.read_bytes(), EXAMPLE.read_bytes() + b"\n# edited\n"]
    file = PolicyFile(path, take_up, lambda policy, text: kept.append((policy.version, text)))
    for text in texts:
        path.write_bytes(text)
        # It holds also while nobody can be told of it.
        assert file.load().version == version_of(text)
    assert file.load().version == version_of(texts[1])
    assert (taken, kept) == ([], [])
    changed = file.load()
    assert taken == [version_of(texts[1])]
    assert kept == [(version_of(text), text) for text in texts]
    assert file.load() is changed
    assert (len(taken), len(kept)) == (1, 2)


def test_a_policy_that_cannot_be_taken_up_gives_way_to_a_mended_one_and_stops_a_start(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(EXAMPLE.read_bytes())
    first = version_of(EXAMPLE.read_bytes())
    good: set[str] = set()
    taken: list[str] = []

    def take_up(policy: Policy) -> None:
        if policy.version not in good:
            raise NotReady("no such CA")
        taken.append(policy.version)

    file = PolicyFile(path, take_up)
    with pytest.raises(NotReady):
        file.load()
    good.add(first)
    assert file.load().version == first
    path.write_bytes(EXAMPLE.read_bytes() + b"\n# worse\n")
    file.load()
    mended = EXAMPLE.read_bytes() + b"\n# mended\n"
    good.add(version_of(mended))
    path.write_bytes(mended)
    assert file.load().version == version_of(mended)
    assert taken == [first, version_of(mended)]


def test_people_and_authorities_follow_the_policy_without_a_restart(database: Engine, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    text = EXAMPLE.read_text()
    policy.write_text(text)
    (tmp_path / "ca.kek").write_bytes(b"k" * 32)
    (tmp_path / "ca.kek").chmod(0o600)
    kek = str(tmp_path / "ca.kek")
    settings = Settings(database_url="", temporal_address="", home=str(tmp_path), ca_kek=kek, policy=str(policy))
    file = PolicyFile(policy, *follow(settings, database, ["lifecycle", "issue"]))
    first = file.load()
    with database.begin() as connection:
        connection.execute(sa.delete(tables.people))

    policy.write_text(text + "\n# edited\n")
    file.load()

    assert all(access.person(database, one.id) == one for one in first.people)
    for version in (first.version, file.load().version):
        assert version_of(access.policy_text(database, version).encode()) == version
    private = [
        one for one in first.issuers if one.kind == "private-ca" and one.trust_class is not TrustClass.SELF_SIGNED
    ]
    made = {authority.name for authority in ca.authorities(database)}
    assert private
    assert all(any(name.startswith(one.name) for name in made) for one in private)
    assert all(ca.newest_crl(database, name) for name in made)


def start(database: Engine, path: Path, queues: str = "lifecycle") -> PolicyFile:
    """As a worker process does it, over the store of the one before."""
    settings = Settings(database_url="", temporal_address="", home=str(path.parent), policy=str(path))
    return PolicyFile(path, *follow(settings, database, queues.split(",")), recalling(database))


MANGLED: dict[str, Callable[[bytes], bytes] | None] = {
    "cut": lambda text: text[: len(text) // 2],
    "a NUL": lambda text: text[:500] + b"\0" + text[501:],
    "another encoding": lambda text: text.decode().encode("utf-16"),
    "a doubled key": lambda text: text.replace(b"\nowners:", b"\npeople: []\nowners:"),
    "a deep nest": lambda text: text.replace(b"roots: []", b"roots: " + b"[" * 5000),
    "a part lost": lambda text: text.replace(b"roots: []\n", b""),
    "empty": lambda text: b"",
    "gone": None,
}


@pytest.mark.parametrize("damage", MANGLED)
def test_a_worker_that_starts_while_the_file_is_bad_goes_on_with_the_last_good_one_and_says_so(
    database: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "policy.yaml"
    text = EXAMPLE.read_bytes()
    path.write_bytes(text)
    good = start(database, path).load()
    mangle = MANGLED[damage]
    path.unlink()
    if mangle is not None:
        path.write_bytes(mangle(text))

    for queues in ("lifecycle", "scan", "deploy"):
        caplog.clear()
        held = start(database, path, queues).load()
        assert held == good
        assert "the last good one holds" in caplog.text
        assert caplog.records[0].levelname == "ERROR"

    assert access.everybody(database) == sorted(good.people, key=lambda one: one.id)
    path.write_bytes(text + b"\n# mended\n")
    assert start(database, path).load().version == version_of(text + b"\n# mended\n")


def test_the_last_good_policy_is_that_which_was_in_force_last_not_the_newest_text(
    database: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    first, second = EXAMPLE.read_bytes(), EXAMPLE.read_bytes() + b"\n# tried for a day\n"
    for text in (first, second, first):
        path.write_bytes(text)
        start(database, path).load()
    path.write_bytes(first[:4000])
    assert start(database, path).load().version == version_of(first)


def test_a_start_with_a_bad_file_and_no_good_one_before_is_refused(database: Engine, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(EXAMPLE.read_bytes()[:4000])
    with pytest.raises(BadPolicy, match="was cut"):
        start(database, path).load()


def test_a_policy_that_release_0_2_0_kept_holds_until_its_file_says_that_it_is_whole(
    database: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    of_old = EXAMPLE.read_text().removesuffix("...\n").replace("roots: []\n", "")
    path.write_text(of_old)
    access.keep_policy(database, version_of(of_old.encode()), of_old, datetime.now(UTC))
    assert start(database, path).load().version == version_of(of_old.encode())


async def test_what_is_done_every_minute_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REPEATED_EVERY", timedelta(milliseconds=1))
    done: list[int] = []

    def fails() -> None:
        raise NotReady("the schema is not migrated")

    repeating = asyncio.create_task(worker.repeat([fails, lambda: done.append(1)]))
    async with asyncio.timeout(LONG_SECONDS):
        while len(done) < 3:  # noqa: ASYNC110  # another thread makes it true
            await asyncio.sleep(0.01)
    repeating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await repeating
