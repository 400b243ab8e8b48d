"""Discoveries whose looks are written as a scanner writes them, without a listener for each place."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import Engine

from activities.resolution.resolving import Given, resolve
from activities.scanners.sweep import seen_certificate
from domain.certificate import Look, LookOutcome, Slot
from domain.contracts import AdoptionReport, Observation
from domain.tiers import Policy, Scope
from store.sightings.looks import Discovery, begin, mark_scanned, save_page
from store.sightings.notices import mark_sent, notice_of, unsent
from tests.activities.estates import TestCA, name_of, policy

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
SCOPE = {"cidrs": ["10.0.0.0/8"], "ports": [443], "names": {}, "paths": [], "page_targets": 256}
# What a look at a place saw: the number of a certificate, or that nobody was there.
SILENT = LookOutcome.REFUSED
Saw = Mapping[str, bytes | LookOutcome]


class Sky:
    """What discoveries see: certificates below one CA at places that are only said to be there."""

    def __init__(self, database: Engine, rules: Policy | None = None) -> None:
        self.database, self.ca, self.made = database, TestCA(), 0
        self.rules = rules or replace(policy(self.ca, (443,)), scope=Scope(("10.0.0.0/8",), (443,), (), ()))
        self.beats = 0
        self.number = 0

    def leaf(self, *names: str, key: ec.EllipticCurvePrivateKey | None = None, ca: TestCA | None = None) -> bytes:
        own, signer = key or ec.generate_private_key(ec.SECP256R1()), ca or self.ca
        builder = x509.CertificateBuilder().subject_name(name_of(names[0])).issuer_name(signer.name)
        builder = builder.public_key(own.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - timedelta(days=9)).not_valid_after(NOW + timedelta(days=81))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def look(self, discovery_id: str, saw: Saw, at: datetime = NOW, ca: TestCA | None = None) -> None:
        """As a scanner keeps it, one page."""
        issuer = (ca or self.ca).certificate.public_bytes(serialization.Encoding.DER)
        begin(self.database, Discovery(discovery_id, "test", SCOPE, 1, len(saw)), at)
        above = seen_certificate(issuer)
        certificates, looks = {above.fingerprint: above}, []
        for url, what in saw.items():
            if isinstance(what, LookOutcome):
                looks.append(Look(url, "ecdsa", at, what))
                continue
            seen = seen_certificate(what)
            certificates[seen.fingerprint] = seen
            looks.append(Look(url, "ecdsa", at, LookOutcome.SEEN, (seen.fingerprint, above.fingerprint)))
        save_page(self.database, (discovery_id, 0), looks, certificates.values())
        mark_scanned(self.database, discovery_id)

    def adopt(self, discovery_id: str) -> AdoptionReport:
        def beat() -> None:
            self.beats += 1

        return resolve(Given(self.database, discovery_id, self.rules, NOW + timedelta(hours=9), self.new_id), beat)

    def new_id(self) -> str:
        self.number += 1
        return f"mc-{self.number:04}"

    def discover(self, discovery_id: str, saw: Saw, at: datetime = NOW) -> AdoptionReport:
        self.look(discovery_id, saw, at)
        return self.adopt(discovery_id)

    def heard(self) -> list[tuple[str, Observation]]:
        """What was not heard before, in its order."""
        page = unsent(self.database, 100_000)
        told = [(managed_id, notice_of(self.database, managed_id, notice_id)) for managed_id, notice_id in page]
        mark_sent(self.database, [notice_id for _, notice_id in page], NOW)
        return told


def url(number: int, sni: str = "") -> str:
    return f"tls://10.0.{number // 250}.{number % 250 + 1}:443" + (f"?sni={sni}" if sni else "")


def place(number: int, sni: str = "") -> Slot:
    return Slot(url(number, sni), "ecdsa")
