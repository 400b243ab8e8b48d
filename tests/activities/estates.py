"""Real TLS listeners and a policy around them, for tests of discovery, adoption and verification."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.tiers import Policy, Scope
from formats.policy import parse_policy
from tests.policies import whole

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def clock() -> datetime:
    return datetime.now(UTC)


class TestCA:
    """One private CA, its root given to the policy."""

    __test__ = False

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of("Test Issuing CA")
        self.certificate = self._sign(self.name, self.key, days=3650, ca=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, path: Path, *names: str, key: Key | None = None, days: int = 90) -> str:
        """Write leaf, issuer and key to ``path``; gives the fingerprint."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        made = self._sign(name_of(names[0]), own, days=days, names=names)
        secret = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + self.pem.encode() + secret)
        return made.fingerprint(hashes.SHA256()).hex()

    def _sign(
        self, subject: x509.Name, key: Key, *, days: int, names: tuple[str, ...] = (), ca: bool = False
    ) -> x509.Certificate:
        now = clock()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(self.key, hashes.SHA256())


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def context(*pairs: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for pair in pairs:
        made.load_cert_chain(pair)
    return made


@asynccontextmanager
async def listening(tls: ssl.SSLContext) -> AsyncIterator[int]:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(quiet, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def policy(ca: TestCA, ports: tuple[int, ...], names: tuple[str, ...] = (), paths: tuple[str, ...] = ()) -> Policy:
    """Everything on 127.0.0.1 is internal and renewed by the private CA into /srv."""
    text = """
people: [{id: head, name: H, email: h@example.in, role: security-head}]
owners: [{id: core, contact: head}]
services: [{id: web, owner: core}]
rules: [{name: web, when: {names: ["*.example"]}, tier: internal, service: web}]
issuers: [{name: private, kind: private-ca, trust_class: private, recognise: ["*Test Issuing CA*"]}]
profiles: [{name: p, validity: same}]
renewals: [{when: {}, issuer: private, profile: p}]
targets:
  - {name: t, when: {}, chain: "/s/{address}-{port}/{sni}.{algorithm}", key: "/s/{address}-{port}/{sni}_{algorithm}"}
"""
    read = parse_policy(whole(text).encode())
    scope = Scope(("127.0.0.1/32",), ports, names, paths)
    return replace(read, scope=scope, roots=(ca.pem,))
