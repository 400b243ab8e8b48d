"""The CAs that made the estate's certificates: stand-ins with keys in the clear, for a demo on loopback alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from demo.census import Entry, Key, Signer

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}

# The policy recognises them by these words; the "public" one is shown as a stand-in wherever it appears.
COMMON_NAMES: dict[Signer, str] = {
    "internal": "Internal Issuing CA G1",
    "public": "Public Issuing CA G4 (demo stand-in)",
    "cpe": "Enterprise CPE CA",
}
NAMES: tuple[Literal["internal", "public", "cpe"], ...] = ("internal", "public", "cpe")


@dataclass(frozen=True, slots=True)
class StandIn:
    """A root and the issuing CA below it."""

    root: x509.Certificate
    issuing: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_key(kind: Key) -> PrivateKey:
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    # 1024 bits: the one weak key of the estate, there to be found.
    return rsa.generate_private_key(65537, 1024 if kind == "rsa-1024" else 2048)


def make_stand_in(signer: Signer, organization: str, now: datetime) -> StandIn:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    common = COMMON_NAMES[signer]
    root_name, name = _name(f"Root of {common}", organization), _name(common, organization)
    begins = now - timedelta(days=3 * 365)
    root = _ca(root_name, root_key.public_key(), begins, 20).issuer_name(root_name).sign(root_key, hashes.SHA256())
    issuing = _ca(name, key.public_key(), begins, 10).issuer_name(root_name).sign(root_key, hashes.SHA256())
    return StandIn(root, issuing, key)


def save(stand_in: StandIn, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / "root.pem").write_bytes(stand_in.root.public_bytes(Encoding.PEM))
    (folder / "issuing.pem").write_bytes(stand_in.issuing.public_bytes(Encoding.PEM))
    write_secret(folder / "issuing.key", key_pem(stand_in.key))


def load(folder: Path) -> StandIn:
    key = load_pem_private_key((folder / "issuing.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    root, issuing = (x509.load_pem_x509_certificate((folder / f).read_bytes()) for f in ("root.pem", "issuing.pem"))
    return StandIn(root, issuing, key)


def issue(entry: Entry, key: PrivateKey, stand_in: StandIn | None, now: datetime) -> bytes:
    """PEM of the leaf of ``entry`` and, if it sends its chain, of its issuing CA; self-signed without a stand-in."""
    subject = _name(entry.names[0], None)
    ends = (now + entry.left).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(stand_in.issuing.subject if stand_in else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - entry.life)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in entry.names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([USAGES[usage] for usage in entry.usages]), critical=False)
    )
    made = builder.sign(stand_in.key if stand_in else key, hashes.SHA256())
    chain = [made, *([stand_in.issuing] if stand_in and entry.has_chain else [])]
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_secret(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _name(common: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _ca(name: x509.Name, public: ec.EllipticCurvePublicKey, begins: datetime, years: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
