"""A Temporal front end that asks who comes: HAProxy with mutual TLS, or with an API key, before the run's Temporal."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cli.process import accepts, dying_with_parent, free_port
from domain.settings import Settings
from tests.launcher.waiting import until

NAME = "temporal.operator.example"
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issued(name: str, by: Issued | None = None) -> Issued:
    """A CA of that name; with ``by``, a certificate from it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


@dataclass(frozen=True)
class FrontEnd:
    """``folder``: its files, and ours."""

    folder: Path
    port: int
    settings: Settings

    def hold(self, ours: Issued) -> None:
        """Put a certificate of ours where the settings name it; one file after the other, as ACME clients do."""
        Path(self.settings.temporal_certificate).write_bytes(ours.pem)
        Path(self.settings.temporal_key).write_bytes(ours.key_pem)

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)


def prepared(folder: Path, namespace: str, server: Issued, server_ca: Issued) -> FrontEnd:
    """Its address and files; ``serving`` brings it up."""
    port = free_port()
    (folder / "server.pem").write_bytes(server.pem + server.key_pem)
    (folder / "server-ca.pem").write_bytes(server_ca.pem)
    settings = Settings(
        database_url="",
        temporal_address=f"127.0.0.1:{port}",
        home="",
        namespace=namespace,
        temporal_ca=str(folder / "server-ca.pem"),
        temporal_certificate=str(folder / "ours.pem"),
        temporal_key=str(folder / "ours.key"),
        temporal_server_name=NAME,
    )
    return FrontEnd(folder, port, settings)


def with_api_key(front: FrontEnd, key: str) -> Settings:
    file = front.write("api.key", f"{key}\n".encode())
    return replace(front.settings, temporal_certificate="", temporal_key="", temporal_api_key_file=file)


@contextmanager
def serving(
    front: FrontEnd, temporal_address: str, *, trusted: Issued | None = None, api_key: str = ""
) -> Iterator[None]:
    """While inside, it answers: to certificates of ``trusted``, or to ``api_key``."""
    asks = "alpn h2"
    if trusted is not None:
        asks += f" ca-file {front.write('trusted.pem', trusted.pem)} verify required"
    # To read a header it must speak HTTP/2 on both sides; else it only opens the TLS.
    mode, onwards = ("http", " proto h2") if api_key else ("tcp", "")
    rule = f'  http-request deny status 401 unless {{ req.hdr(authorization) "Bearer {api_key}" }}' if api_key else ""
    text = f"""
defaults
  mode {mode}
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend guarded
  bind 127.0.0.1:{front.port} ssl crt {front.folder}/server.pem {asks}
{rule}
  default_backend temporal
backend temporal
  server temporal {temporal_address}{onwards}
"""
    file = front.write("haproxy.cfg", text.encode())
    with (front.folder / "haproxy.log").open("ab") as log:
        process = subprocess.Popen(dying_with_parent(["haproxy", "-db", "-f", file]), stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or accepts(front.port))
        assert process.poll() is None, (front.folder / "haproxy.log").read_text()
        yield
    finally:
        process.kill()
        process.wait()
