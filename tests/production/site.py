"""One TLS server with an internal certificate that must be renewed now, and the policy around it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli.home import PROJECT
from cli.process import dying_with_parent, free_port
from tests.launcher.waiting import LONG_SECONDS, until
from tests.policies import whole

# As in the container, where the folder of targets is mounted.
POLICY = """
people:
  - {{id: head, name: Head of IT security, email: head@telecom.example.com, role: security-head}}
owners: [{{id: core, contact: head}}]
services: [{{id: web, owner: core}}]
rules: [{{name: web, when: {{hosts: [127.0.0.1/32]}}, tier: internal, service: web}}]
issuers: [{{name: private, kind: private-ca, trust_class: private, recognise: ["*Old Issuing CA*"]}}]
profiles: [{{name: server, validity: 180d}}]
renewals: [{{when: {{}}, issuer: private, profile: server}}]
targets:
  - name: web
    when: {{}}
    kind: file
    chain: "{targets}/endpoints/{{address}}_{{port}}/{{algorithm}}.chain.pem"
    key: "{targets}/endpoints/{{address}}_{{port}}/{{algorithm}}.key.pem"
    mode: "0600"
scope:
  cidrs: [127.0.0.1/32]
  ports: [{port}]
roots:
  - |
{root}
"""
LIFE, LEFT = timedelta(days=180), timedelta(days=40)


class Site:
    """``fingerprint``: of the certificate that it began with."""

    def __init__(self, targets: Path, config: Path) -> None:
        self.port = free_port()
        folder = targets / "endpoints" / f"127.0.0.1_{self.port}"
        folder.mkdir(parents=True)
        config.mkdir()
        root, self.fingerprint = _write(folder)
        indented = "\n".join(f"    {line}" for line in root.splitlines())
        (config / "policy.yaml").write_text(whole(POLICY.format(targets=targets, port=self.port, root=indented)))
        ready = targets.parent / "site.ready"
        serve = "import asyncio, sys, pathlib; from demo.listeners import serve_folder as s; "
        serve += "asyncio.run(s(*map(pathlib.Path, sys.argv[1:])))"
        command = [sys.executable, "-c", serve, str(folder.parent), str(ready)]
        self._process = subprocess.Popen(dying_with_parent(command), cwd=PROJECT)
        until(ready.exists)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(LONG_SECONDS)


def _write(folder: Path) -> tuple[str, str]:
    """(PEM of the root, fingerprint of the leaf)."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old Issuing CA")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web.corp.example.com")])
    ends = datetime.now(UTC) + LEFT
    builder = x509.CertificateBuilder().issuer_name(issuer)
    ca = (
        builder.subject_name(issuer)
        .public_key(ca_key.public_key())
        .serial_number(1)
        .not_valid_before(ends - 2 * LIFE)
        .not_valid_after(ends + 9 * LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        builder.subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - LIFE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("web.corp.example.com")]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, ca))
    (folder / "ecdsa.chain.pem").write_bytes(chain)
    (folder / "ecdsa.key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ca.public_bytes(Encoding.PEM).decode(), leaf.fingerprint(hashes.SHA256()).hex()
