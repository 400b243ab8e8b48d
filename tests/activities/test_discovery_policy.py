from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from activities.policy_file import PolicyFile
from domain.certificate import TrustClass
from domain.errors import BadInput, BadPolicy, NotReady
from domain.settings import Settings
from domain.tiers import Policy
from store import access, ca
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


def test_a_changed_policy_is_told_once_and_again_where_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    told: list[str] = []
    failing = [NotReady("the database does not answer")]

    def on_change(policy: Policy) -> None:
        if failing:
            raise failing.pop()
        told.append(policy.version)

    path.write_bytes(EXAMPLE.read_bytes())
    file = PolicyFile(path, on_change)
    file.load()
    assert told == []
    path.write_bytes(EXAMPLE.read_bytes() + b"\n# edited\n")
    changed = file.load()
    assert told == []
    assert file.load() is changed
    assert file.load() is changed
    assert told == [changed.version]


def test_a_policy_that_could_not_be_taken_up_at_the_start_is_told_of_later(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(EXAMPLE.read_bytes())
    told: list[str] = []
    file = PolicyFile(path, lambda policy: told.append(policy.version))
    first = file.load()
    file.tell_again()
    assert file.load() is file.load() is first
    assert told == [first.version]


def test_people_and_authorities_follow_the_policy_without_a_restart(database: Engine, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    text = EXAMPLE.read_text()
    policy.write_text(text)
    (tmp_path / "ca.kek").write_bytes(b"k" * 32)
    (tmp_path / "ca.kek").chmod(0o600)
    kek = str(tmp_path / "ca.kek")
    settings = Settings(database_url="", temporal_address="", home=str(tmp_path), ca_kek=kek, policy=str(policy))
    file = PolicyFile(policy, follow(settings, database, ["lifecycle", "issue"]))
    first = file.load()
    assert access.person(database, first.people[0].id) is None

    policy.write_text(text + "\n# edited\n")
    file.load()

    assert all(access.person(database, one.id) == one for one in first.people)
    assert access.policy_text(database, file.load().version) == policy.read_text()
    private = [
        one for one in first.issuers if one.kind == "private-ca" and one.trust_class is not TrustClass.SELF_SIGNED
    ]
    made = {authority.name for authority in ca.authorities(database)}
    assert private
    assert all(any(name.startswith(one.name) for name in made) for one in private)
    assert all(ca.newest_crl(database, name) for name in made)
