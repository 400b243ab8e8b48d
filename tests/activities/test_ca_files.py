"""CA certificates in files are watched, told and never written over; a bundle's leaf is found wherever it stands."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.engine import Engine

from activities.deployers.base import Bundle, DeployerParts
from activities.deployers.file import FileDeployer, Pair
from domain.errors import TargetRefused
from domain.lifecycle.next_step import next_step
from domain.lifecycle.state import Stage
from domain.people.approval import refusal
from domain.people.messages import RenewNow
from domain.terms import Target
from store import tables
from tests.activities.estates import clock, policy
from tests.activities.test_adoption import House
from tests.activities.test_paths import Governed, Tower, write

pytestmark = pytest.mark.server


async def test_a_ca_in_a_file_is_governed_and_told_and_never_ordered(database: Engine, tmp_path: Path) -> None:
    tower, path = Tower("int.example"), tmp_path / "int-ca.pem"
    write(path, tower.intermediate(10), tower.root.certificate)
    governed = Governed(House(database, policy(tower.root, (), (), (str(path),))))
    await governed.discover()
    state = governed.state
    assert state.terms is not None
    assert (state.terms.tier, state.terms.plan, governed.left) == ("internal", None, 10)
    assert state.case is not None
    assert (state.case.stage, state.case.plan) == (Stage.UNROUTABLE, None)
    assert "it is a CA certificate" in state.case.failure
    assert f"take file://localhost{path} out of the scope" in state.case.failure
    assert [message.topic for message in state.untold if message.topic != "rung"] == ["unroutable"]
    assert next_step(state, clock()) is None
    assert "already" in refusal(state, RenewNow("code"), clock())


async def test_certbots_folder_holds_one_leaf_and_one_ca(database: Engine, tmp_path: Path) -> None:
    """``live/*/*.pem`` names cert, chain, fullchain and the key."""
    tower = Tower()
    leaf, issuing = tower.leaf(tmp_path / "privkey", "a.example"), tower.intermediate(40)
    write(tmp_path / "cert.pem", leaf)
    write(tmp_path / "chain.pem", issuing)
    write(tmp_path / "fullchain.pem", leaf, issuing)
    (tmp_path / "privkey.pem").write_bytes((tmp_path / "privkey.key").read_bytes())
    house = House(database, policy(tower.root, (), (), (f"{tmp_path}/*.pem",)))
    assert (await house.discover("d1")).new == 2
    planned = {}
    for number in (0, 1):
        told = house.told(number)
        assert told.terms is not None and told.life is not None
        planned[told.life.is_ca] = told.terms.plan is not None
    assert planned == {False: True, True: False}


async def test_a_bundle_that_begins_with_its_ca_is_its_leafs(database: Engine, tmp_path: Path) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    leaf = tower.leaf(path, "a.example")
    write(path, tower.root.certificate, tower.intermediate(60), leaf)
    governed = Governed(House(database, policy(tower.root, (), (), (str(path),))))
    await governed.discover()
    assert governed.state.life is not None
    assert governed.state.terms is not None
    assert (governed.state.life.names, governed.left) == (("a.example",), 60)
    assert governed.state.terms.plan is not None
    assert governed.finding("broken-chain") is None
    await governed.look()
    assert governed.finding("drift") is None
    assert await governed.discover() == 0


async def test_several_leaves_in_one_file_are_told_and_not_guessed(database: Engine, tmp_path: Path) -> None:
    tower, path = Tower(), tmp_path / "a.pem"
    write(path, tower.leaf(path, "a.example"), tower.intermediate(60), tower.leaf(path, "b.example"))
    house = House(database, policy(tower.root, (), (), (str(path),)))
    assert (await house.discover("d1")).new == 0
    with database.connect() as connection:
        rows = connection.execute(sa.select(tables.findings.c.kind, tables.findings.c.detail)).all()
    assert [row.kind for row in rows] == ["unreadable"]
    assert "which of them is used cannot be told" in rows[0].detail
    assert "CN=a.example and CN=b.example" in rows[0].detail


def test_nothing_is_put_over_a_ca_whatever_was_planned(tmp_path: Path) -> None:
    tower, path = Tower(), tmp_path / "int-ca.pem"
    write(path, tower.intermediate(10), tower.root.certificate)
    before = path.read_bytes()
    new = tower.leaf(tmp_path / "new", "a.example").public_bytes(Encoding.PEM)
    target = Target("t", "file", str(path), str(tmp_path / "int-ca.key"))
    with pytest.raises(TargetRefused, match="holds a CA certificate"):
        FileDeployer(DeployerParts(clock)).install(Bundle("00" * 32, new, b"key"), target)
    assert path.read_bytes() == before
    assert not Path(target.key).exists()


@pytest.mark.parametrize("roots", [1, 2, 14])
def test_nothing_is_put_over_a_root_or_a_store_of_them(tmp_path: Path, roots: int) -> None:
    path = tmp_path / "trust.pem"
    write(path, *(Tower().root.certificate for _ in range(roots)))
    before = path.read_bytes()
    new = Tower().leaf(tmp_path / "new", "a.example").public_bytes(Encoding.PEM)
    target = Target("t", "file", str(path), str(tmp_path / "trust.key"))
    with pytest.raises(TargetRefused, match="holds a CA certificate"):
        FileDeployer(DeployerParts(clock)).install(Bundle("00" * 32, new, b"key"), target)
    assert path.read_bytes() == before


def test_the_leaf_of_a_target_is_the_one_whose_key_lies_beside_it(tmp_path: Path) -> None:
    tower = Tower()
    stray, own = (tower.leaf(tmp_path / name, f"{name}.example").public_bytes(Encoding.PEM) for name in ("b", "a"))
    key = Path(f"{tmp_path}/a.key").read_bytes()
    for chain in (own + stray, stray + own):
        pair = Pair(chain, key)
        assert pair.belongs_together and not pair.is_of_a_ca
        assert pair.fingerprint == Pair(own, None).fingerprint
    assert not Pair(stray, key).belongs_together
