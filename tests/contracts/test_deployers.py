"""What every deployer promises, whatever it talks to.  A new one adds a stand to STANDS."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from activities.deployers import DEPLOYERS, Bundle, Deployer, DeployerParts
from domain.errors import TargetRefused
from domain.terms import Target
from formats.x509 import load_pem_chain

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Stand:
    """One target of a deployer: ``held`` is the fingerprint that it would serve, ``fail`` makes it say no."""

    deployer: Deployer
    target: Target
    held: Callable[[], str]
    fail: Callable[[], None]
    vanish: Callable[[], None]


def file_stand(deployer: Deployer, folder: Path) -> Stand:
    place = folder / "site"
    place.mkdir()
    script = "import pathlib,sys; b=pathlib.Path(sys.argv[1]); e=b.exists(); b.unlink(missing_ok=True); sys.exit(e)"
    reload = (sys.executable, "-c", script, str(place / "broken"))
    target = Target("site", "file", str(place / "chain.pem"), str(place / "key.pem"), reload)

    def held() -> str:
        chain = place / "chain.pem"
        return sha256(load_pem_chain(chain.read_bytes())[0]).hexdigest() if chain.exists() else ""

    return Stand(deployer, target, held, (place / "broken").touch, lambda: shutil.rmtree(place))


def one_file_stand(deployer: Deployer, folder: Path) -> Stand:
    """Chain and key in one file, as HAProxy reads them."""
    stand = file_stand(deployer, folder)
    return replace(stand, target=replace(stand.target, key=stand.target.chain))


STANDS: dict[str, Callable[[Deployer, Path], Stand]] = {"file": file_stand, "file, one for both": one_file_stand}


def made(ends_in: timedelta = timedelta(days=90)) -> Bundle:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.example.in")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=400))
    certificate = builder.not_valid_after(NOW + ends_in).sign(key, hashes.SHA256())
    fingerprint = sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Bundle(fingerprint, certificate.public_bytes(Encoding.PEM), pem)


@pytest.fixture(params=sorted(STANDS))
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    deployer = DEPLOYERS[request.param.split(",")[0]](DeployerParts(lambda: NOW))
    return STANDS[request.param](deployer, tmp_path)


def test_every_deployer_has_a_stand() -> None:
    assert {name.split(",")[0] for name in STANDS} == set(DEPLOYERS)


def test_install_tells_what_it_replaced(stand: Stand) -> None:
    first, second = made(), made()
    assert stand.deployer.install(first, stand.target) == ""
    assert stand.deployer.install(second, stand.target) == first.fingerprint
    assert stand.held() == second.fingerprint


def test_install_twice_changes_nothing(stand: Stand) -> None:
    first, second = made(), made()
    stand.deployer.install(first, stand.target)
    assert stand.deployer.install(second, stand.target) == stand.deployer.install(second, stand.target)
    assert stand.held() == second.fingerprint


def test_a_refused_install_leaves_the_old_certificate(stand: Stand) -> None:
    first = made()
    stand.deployer.install(first, stand.target)
    stand.fail()
    with pytest.raises(TargetRefused):
        stand.deployer.install(made(), stand.target)
    assert stand.held() == first.fingerprint


def test_roll_back_puts_the_old_certificate_back_and_can_be_repeated(stand: Stand) -> None:
    first, second = made(), made()
    stand.deployer.install(first, stand.target)
    stand.deployer.install(second, stand.target)
    for _ in range(2):
        assert stand.deployer.roll_back(second.fingerprint, stand.target) == first.fingerprint
    assert stand.held() == first.fingerprint
    third = made()
    assert stand.deployer.install(third, stand.target) == first.fingerprint


def test_roll_back_of_what_is_not_there_changes_nothing(stand: Stand) -> None:
    first, second = made(), made()
    stand.deployer.install(first, stand.target)
    stand.deployer.install(second, stand.target)
    assert stand.deployer.roll_back("00" * 32, stand.target) == second.fingerprint
    assert stand.held() == second.fingerprint


def test_nothing_expired_is_put_back(stand: Stand) -> None:
    ended, second = made(-timedelta(days=1)), made()
    stand.deployer.install(ended, stand.target)
    stand.deployer.install(second, stand.target)
    with pytest.raises(TargetRefused, match="ended"):
        stand.deployer.roll_back(second.fingerprint, stand.target)
    assert stand.held() == second.fingerprint


def test_a_target_that_is_not_there_is_refused_by_its_name(stand: Stand) -> None:
    stand.vanish()
    with pytest.raises(TargetRefused, match=stand.target.name):
        stand.deployer.install(made(), stand.target)


def test_no_error_shows_the_key(stand: Stand) -> None:
    bundle = made()
    assert "PRIVATE" not in repr(bundle)
    stand.fail()
    with pytest.raises(TargetRefused) as refused:
        stand.deployer.install(bundle, stand.target)
    assert "PRIVATE" not in str(refused.value)
