"""What a SAN holds that no order of ours can give."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from formats.x509 import parse_certificate
from tests.formats.test_x509 import life

PERSON = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
OURS = (x509.DNSName("a.example"), x509.IPAddress(ip_address("10.0.0.1")), x509.RFC822Name("a@b.example"))


def made(*names: x509.GeneralName) -> bytes:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(PERSON).issuer_name(PERSON).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=9))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (x509.UniformResourceIdentifier("spiffe://try/ns/a"), "URI:spiffe://try/ns/a"),
        (x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"), "otherName:1.3.6.1.4.1.311.20.2.3"),
        (x509.DirectoryName(PERSON), "directoryName:CN=a"),
        (x509.RegisteredID(ObjectIdentifier("1.2.3")), "registeredID:1.2.3"),
    ],
)
def test_a_name_of_another_kind_is_told_with_its_kind(name: x509.GeneralName, told: str) -> None:
    der = made(*OURS, name)
    assert parse_certificate(der).other_names == (told,)
    assert life(der).other_names == (told,)


def test_names_that_an_order_can_give_are_no_other_names() -> None:
    assert parse_certificate(made(*OURS)).other_names == ()
    assert parse_certificate(made()).other_names == ()


def test_many_and_long_ones_are_kept_short() -> None:
    names = [x509.UniformResourceIdentifier(f"spiffe://{n}/" + "x" * 999) for n in range(99)]
    kept = parse_certificate(made(*names)).other_names
    assert len(kept) == 20 and all(len(name) == 200 for name in kept)
