"""An estate that nobody serves: certificates below one CA, looks and governed rows, straight into the tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy.engine import Connection, Engine

from domain.tiers import Policy
from formats.policy import parse_policy
from formats.x509 import parse_certificate
from store import tables
from store.batches import copy_rows
from store.sightings.looks import FACTS

BEGIN = datetime(2026, 11, 30, tzinfo=UTC)
FIRST_ADDRESS = int(IPv4Address("10.0.0.0"))
POLICY = """
people: [{id: head, name: H, email: h@example.in, role: security-head}]
owners: [{id: core, contact: head}]
services: [{id: web, owner: core}]
rules:
  - {name: gear, when: {hosts: [192.168.0.0/16]}, tier: network-critical, service: web}
  - {name: web, when: {names: ["*.example"]}, tier: internal, service: web}
issuers: [{name: private, kind: private-ca, trust_class: private, recognise: ["*Benchmark CA*"]}]
profiles: [{name: p, validity: same, algorithms: [ed25519]}]
renewals: [{when: {}, issuer: private, profile: p}]
targets: [{name: t, when: {}, chain: "/s/{address}/{port}{sni}.pem", key: "/s/{address}/{port}{sni}.key"}]
tiers: []
scope: {}
roots: []
...
"""


class Authority:
    """One CA below which everything is: its certificate is served with each leaf and named by the policy."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.name = _name("Benchmark CA")
        self.certificate = self._sign(self.name, self.key.public_key(), ca=True)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def leaf(self, number: int) -> bytes:
        own = ed25519.Ed25519PrivateKey.generate().public_key()
        made = self._sign(_name(f"host-{number}.example"), own, names=(f"host-{number}.example",))
        return made.public_bytes(serialization.Encoding.DER)

    def policy(self) -> Policy:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return replace(parse_policy(POLICY.encode()), roots=(pem,))

    def _sign(
        self, subject: x509.Name, key: ed25519.Ed25519PublicKey, *, names: tuple[str, ...] = (), ca: bool = False
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(BEGIN - timedelta(days=9)).not_valid_after(BEGIN + timedelta(days=190))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(self.key, None)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def begin(connection: Connection, discovery_id: str) -> None:
    scope = {"cidrs": ["10.0.0.0/8"], "ports": [443], "names": {}, "paths": [], "page_targets": 256}
    row = {"id": discovery_id, "source": "benchmark", "state": "scanned", "scope": scope, "started_at": BEGIN}
    connection.execute(sa.insert(tables.discoveries).values(**row))


def keep_certificates(connection: Connection, ders: list[bytes]) -> list[str]:
    columns = ("fingerprint", "der", "facts", "not_after", "first_seen_at")
    facts = [parse_certificate(der) for der in ders]
    rows = [
        (one.fingerprint, der, FACTS.dump_json(one).decode(), one.not_after, BEGIN)
        for one, der in zip(facts, ders, strict=True)
    ]
    copy_rows(tables.certificates, connection, columns, rows)
    return [one.fingerprint for one in facts]


def keep_looks(connection: Connection, discovery_id: str, at: datetime, chains: list[tuple[int, list[str]]]) -> None:
    """``chains``: by the number of the place."""
    columns = ("discovery_id", "page", "url", "algorithm", "outcome", "chain", "at")
    rows = ((discovery_id, 0, _url(number), "ed25519", "seen", chain, at) for number, chain in chains)
    copy_rows(tables.looks, connection, columns, rows)


def _url(number: int) -> str:
    return f"tls://{IPv4Address(FIRST_ADDRESS + number)}:443"


GOVERNED = """
INSERT INTO certificates (fingerprint, der, facts, not_after, first_seen_at)
SELECT md5(i::text) || md5('x' || i), c.der,
  c.facts || jsonb_build_object('fingerprint', md5(i::text) || md5('x' || i), 'spki_sha256', md5('k' || i)),
  c.not_after, c.first_seen_at
FROM generate_series((:begin)::int, (:end)::int) AS i, (SELECT * FROM certificates WHERE fingerprint = :like) AS c;
INSERT INTO managed (id, discovery_id, fingerprints, names, terms, adopted_at, checked_under)
SELECT 'many-' || lpad(i::text, 8, '0'), m.discovery_id, ARRAY[md5(i::text) || md5('x' || i)], ARRAY['host-' || i],
  m.terms, m.adopted_at, m.checked_under
FROM generate_series((:begin)::int, (:end)::int) AS i, (SELECT * FROM managed WHERE fingerprints[1] = :like) AS m;
INSERT INTO slots (url, algorithm, managed_id, last_outcome, last_fingerprint, last_looked_at, target_key, target_chain)
SELECT 'tls://11.' || i / 65536 || '.' || i / 256 % 256 || '.' || i % 256 || '\\:443', 'ed25519',
  'many-' || lpad(i::text, 8, '0'), 'seen', md5(i::text) || md5('x' || i), now(), '/many/' || i || '.key',
  '/many/' || i || '.pem'
FROM generate_series((:begin)::int, (:end)::int) AS i
"""
READ_MODEL = """
INSERT INTO managed_certificates (id, generation, state, tier, tier_reason, owner, service, subscribers, issuer,
  trust_class, names, fingerprint, not_before, not_after, severity, severity_rank, next_action, escalated, endpoints,
  findings, retired, placed, questions, search, seq, updated_at)
SELECT id, 1, 'sleeping', 'internal', '', 'core', 'web', 0, 'CN=Benchmark CA', 'private', names, fingerprints[1], now(),
  now() + interval '190 days', 'cleared', 4, '', false, '[]', '{}', false, true, '[]', names[1], 1, now()
FROM managed WHERE id LIKE 'many-%'
"""
AT_A_TIME = 50_000


def govern_more(engine: Engine, count: int, like: str) -> None:
    """``count`` certificates at places of their own, each with the terms of the one whose fingerprint is ``like``."""
    for first in range(0, count, AT_A_TIME):
        with engine.begin() as connection:
            for statement in GOVERNED.split(";"):
                given = {"begin": first, "end": min(first + AT_A_TIME, count) - 1, "like": like}
                wanted = {name: value for name, value in given.items() if f":{name}" in statement}
                connection.execute(sa.text(statement), wanted)
    with engine.begin() as connection:
        connection.execute(sa.text(READ_MODEL))
