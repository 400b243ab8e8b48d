"""Thousands of certificates in PEM files, each with its own key, from a CA that nobody knows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificates(folder: Path, count: int, asking: int) -> None:
    """``asking`` of them end in 80 days, so that their renewal is asked; the rest sleep for most of a year."""
    folder.mkdir()
    authority, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Benchmark CA")])
    for number in range(count):
        asks = number < asking
        name = f"host-{number}.{'asking' if asks else 'quiet'}.example"
        key = ec.generate_private_key(ec.SECP256R1())
        begun = now - timedelta(days=285 if asks else 30)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begun)
            .not_valid_after(begun + timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(authority, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{number:05}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
