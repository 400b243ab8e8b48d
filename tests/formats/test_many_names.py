"""A certificate with more names than anybody keeps: bounded, told, and never renewed without those left out."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.contracts import Plan
from domain.lifecycle import events as e
from domain.terms import plan_for
from domain.tiers import Tier
from formats.paths import PathBuilder
from formats.x509 import life_of, parse_certificate
from tests.domain.policies import POLICY
from tests.domain.simulation import SLOTS, terms
from tests.formats.test_x509 import NOW, name


def certificate(*names: x509.GeneralName, usages: int = 1) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("many"))
        .issuer_name(name("many"))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    oids = [x509.ObjectIdentifier(f"1.3.6.1.5.5.7.3.{number}") for number in range(1, usages + 1)]
    builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_ordinary_names_are_all_kept() -> None:
    facts = parse_certificate(certificate(*(x509.DNSName(f"h{n}.example.in") for n in range(300))))
    assert len(facts.names) == 300
    assert (facts.other_names, facts.flaws) == ((), ())


@pytest.mark.parametrize("text", ["a" * 60, '"' * 60, "\\" * 30], ids=["plain", "quotes", "backslashes"])
def test_names_that_there_is_no_room_for_are_counted_and_keep_it_from_being_renewed(text: str) -> None:
    der = certificate(*(x509.DNSName(f"{text}{n}.example.in") for n in range(480)))
    facts = parse_certificate(der)
    assert 50 < len(facts.names) < 480
    assert facts.flaws == (f"it holds 480 names, of which {len(facts.names)} are kept",)
    assert facts.other_names == (f"{480 - len(facts.names)} more than are kept",)
    life = life_of(der, POLICY.issuers, PathBuilder().ways([der]).at_any_time())
    refused = plan_for(POLICY, life, SLOTS, asks=True)
    assert not isinstance(refused, Plan) and "more than are kept would be lost" in refused


def test_the_first_event_of_one_with_names_of_every_kind_is_one_that_the_store_takes() -> None:
    every = [x509.DNSName(f"{chr(34) * 50}{n}.example.in") for n in range(500)]
    other = [x509.UniformResourceIdentifier(f"spiffe://{'a' * 200}/{n}") for n in range(200)]
    der = certificate(*every, *other, usages=300)
    life = life_of(der, POLICY.issuers, PathBuilder().ways([der]).at_any_time())
    told = terms(Tier.INTERNAL, life.length)
    assert told.plan is not None
    told = replace(told, plan=replace(told.plan, names=life.names))
    event = e.Adopted(told, life, SLOTS)
    assert len(json.dumps(e.facts(event), ensure_ascii=False).encode()) < 50_000
