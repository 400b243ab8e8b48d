import itertools
import subprocess
import sys
from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from domain.certificate import Life, TrustClass
from domain.errors import BadInput
from domain.tiers import Issuer
from formats.paths import PathBuilder
from formats.x509 import (
    in_path_order,
    life_of,
    load_pem_chain,
    parse_certificate,
    pem_of,
)
from tests.formats.chains import is_accepted
from tests.launcher.waiting import LONG_SECONDS

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PRIVATE = Issuer("internal-ca", "private-ca", TrustClass.PRIVATE, ("*O=Everleaf Test*",))
ROUND = (("a", "b", 70), ("b", "c", 20), ("c", "a", 30))
Key = ec.EllipticCurvePrivateKey


def name(text: str, organisation: str = "Everleaf Test") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, text),
        ]
    )


def certificate(
    subject: str, days: int, signer: tuple[str, Key] | None = None, ca: bool = False, key: Key | None = None
) -> tuple[bytes, Key]:
    key = key or ec.generate_private_key(ec.SECP256R1())
    issuer, issuer_key = signer or (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        san = [x509.DNSName("Pay.Example.in"), x509.DNSName("*.shop.example.in")]
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    made = builder.sign(issuer_key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER), key


def life(*chain: bytes, issuers: tuple[Issuer, ...] = ()) -> Life:
    return life_of(chain[0], issuers, PathBuilder().ways(chain).at_any_time())


def test_an_old_cross_certificate_behind_a_served_root_ends_nothing() -> None:
    root, root_key = certificate("root", 900, ca=True)
    _, old_key = certificate("old", 900, ca=True)
    cross, _ = certificate("root", 1, ("old", old_key), ca=True, key=root_key)
    leaf, _ = certificate("leaf", 90, ("root", root_key))
    for chain in ((leaf, root, cross), (leaf, cross, root)):
        assert life(*chain).ends_at == NOW + timedelta(days=90)
    # Where the root itself is not served, the cross-certificate is the way.
    assert life(leaf, cross).ends_at == NOW + timedelta(days=1)


def test_names_are_lower_case_sorted_and_unique() -> None:
    der, _ = certificate("leaf", 90)
    read = parse_certificate(der)
    assert read.names == ("*.shop.example.in", "pay.example.in")
    assert read.is_self_signed and not read.is_ca
    assert (read.algorithm, read.key_bits, read.signature_hash) == ("ecdsa", 256, "sha256")


def test_a_life_ends_with_the_first_certificate_on_its_path_below_the_root() -> None:
    root, root_key = certificate("root", 10, ca=True)
    issuing, issuing_key = certificate("issuing", 60, ("root", root_key), ca=True)
    leaf, _ = certificate("leaf", 90, ("issuing", issuing_key))
    found = life(leaf, issuing, root, issuers=(PRIVATE,))
    assert found.ends_at == NOW + timedelta(days=60)
    assert found.trust_class is TrustClass.PRIVATE


def test_a_life_ends_with_the_first_of_its_path_in_whatever_order_it_is_served() -> None:
    root, root_key = certificate("root", 10, ca=True)
    upper, upper_key = certificate("upper", 30, ("root", root_key), ca=True)
    issuing, issuing_key = certificate("issuing", 60, ("upper", upper_key), ca=True)
    leaf, _ = certificate("leaf", 90, ("issuing", issuing_key))
    stranger, _ = certificate("stranger", 5, ca=True)
    for order in itertools.permutations((issuing, upper, root, stranger)):
        assert life(leaf, *order).ends_at == NOW + timedelta(days=30)
        assert in_path_order((leaf, *order)) == (leaf, issuing, upper, root)
    assert life(leaf, b"damaged", upper, issuing).ends_at == NOW + timedelta(days=30)
    assert life(leaf, upper).ends_at == NOW + timedelta(days=90)


def test_a_chain_that_runs_in_a_circle_or_never_ends_is_read_all_the_same() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    circle = [certificate(one, days, (other, key), ca=True, key=key)[0] for one, other, days in ROUND]
    leaf, _ = certificate("leaf", 90, ("a", key))
    assert life(leaf, *circle).ends_at == NOW + timedelta(days=20)
    assert in_path_order((leaf, *circle * 50)) == (leaf, *circle)
    twins = [certificate("a", 100 + n, ("b", key), ca=True, key=key)[0] for n in range(400)]
    assert life(leaf, *twins, *circle).ends_at == NOW + timedelta(days=90)


def test_pem_goes_there_and_back() -> None:
    der, _ = certificate("leaf", 90)
    other, _ = certificate("other", 90)
    assert load_pem_chain(b"noise\n" + pem_of((der, other))) == (der, other)
    with pytest.raises(BadInput):
        load_pem_chain(b"nothing here")


@pytest.mark.parametrize("version", [3, 5, 0x22])
def test_a_version_that_does_not_exist_is_refused_by_name(version: int) -> None:
    # SEQUENCE, tbsCertificate SEQUENCE, [0] { INTEGER 2 }: RFC 5280 knows the versions 0 to 2.
    at = SAMPLE.index(bytes.fromhex("a003020102")) + 4
    damaged = SAMPLE[:at] + bytes([version]) + SAMPLE[at + 1 :]
    assert at < 16
    for read in (parse_certificate, lambda der: load_pem_chain(pem(der)), life):
        with pytest.raises(BadInput, match="is not a valid X509 version"):
            read(damaged)
    assert is_accepted(PathBuilder().ways((SAMPLE, damaged)).at(NOW))
    assert life(SAMPLE, damaged) == life(SAMPLE)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"


@given(st.integers(0, 700), st.integers(0, 255), st.binary(max_size=40))
def test_damaged_bytes_are_read_or_refused_and_never_crash(at: int, value: int, tail: bytes) -> None:
    damaged = bytearray(SAMPLE)
    damaged[at % len(damaged)] = value
    for der in (bytes(damaged), tail):
        try:
            read = parse_certificate(der)
        except BadInput:
            continue
        assert "\x00" not in read.subject + read.issuer + "".join(read.names)


SAMPLE, _ = certificate("sample", 90)


def test_a_serial_that_is_not_positive_is_read_without_a_word(tmp_path: Path) -> None:
    """In a process of its own: pytest has filters of its own for warnings."""
    serial = parse_certificate(SAMPLE).serial
    raw = bytes.fromhex(serial.zfill(len(serial) + len(serial) % 2))
    at = SAMPLE.index(b"\x02" + bytes([len(raw)]) + raw) + 2
    (tmp_path / "odd.der").write_bytes(SAMPLE[:at] + bytes([raw[0] | 0x80]) + SAMPLE[at + 1 :])
    script = (
        "import sys, pathlib; from cryptography import x509; from formats.x509 import *;"
        "der = pathlib.Path(sys.argv[1]).read_bytes();"
        "path = PathBuilder().ways([der]).at_any_time();"
        "print(parse_certificate(der).serial[0], len(life_of(der, (), path).names));"
        "x509.load_der_x509_certificate(der).serial_number"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "odd.der")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECONDS)
    assert (done.stdout, done.stderr) == ("- 2\n", "")
