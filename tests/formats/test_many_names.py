"""A certificate with more names than anybody keeps: bounded, told, and never renewed without those left out."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.certificate import Slot
from domain.contracts import Plan
from domain.lifecycle import events as e
from domain.lifecycle.served import out_of_name
from domain.terms import plan_for
from domain.tiers import Tier
from formats.paths import PathBuilder
from formats.x509 import life_of, parse_certificate
from tests.domain.policies import POLICY
from tests.domain.simulation import SLOTS, World, terms
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
def test_names_that_a_lifecycle_has_no_room_for_are_counted_and_keep_it_from_being_renewed(text: str) -> None:
    der = certificate(*(x509.DNSName(f"{text}{n}.example.in") for n in range(480)))
    facts = parse_certificate(der)
    assert (len(facts.names), facts.flaws) == (480, ())
    life = life_of(der, POLICY.issuers, PathBuilder().ways([der]).at_any_time())
    assert 50 < len(life.names) < 480
    assert life.other_names == (f"{480 - len(life.names)} more than are kept",)
    refused = plan_for(POLICY, life, SLOTS, asks=True)
    assert not isinstance(refused, Plan) and "more than are kept: renew it where it was made" in refused


def test_a_name_that_was_left_out_is_no_wrong_name() -> None:
    asked = f"{'z' * 60}479.example.in"
    slot = Slot(f"tls://127.40.0.1:443?sni={asked}", "ecdsa")
    der = certificate(*(x509.DNSName(f"{'z' * 60}{n}.example.in") for n in range(480)))
    life = life_of(der, POLICY.issuers, PathBuilder().ways([der]).at_any_time())
    assert asked not in life.names
    w = World(tier=Tier.CUSTOMER_FACING)
    w.adopt_this(life)
    w.work()
    seen = replace(w.state.places[0], slot=slot)
    assert out_of_name(replace(w.state, places=(seen,))) == ()


def test_more_names_than_are_read_are_counted_too() -> None:
    facts = parse_certificate(certificate(*(x509.DNSName(f"h{n}.example.in") for n in range(520))))
    assert len(facts.names) == 500
    assert facts.flaws == ("it holds 520 names, of which 500 are kept",)
    assert facts.other_names == ("20 more than are kept",)


def test_a_serial_of_thousands_of_octets_is_cut_and_told() -> None:
    """RFC 5280 4.1.2.2: twenty at most; the library refuses to make one, and reads it."""
    der = with_serial(certificate(x509.DNSName("a.example.in")), b"\x7f" * 40_000)
    facts = parse_certificate(der)
    assert len(facts.serial) == 42
    assert facts.flaws == ("its serial has 40000 octets (RFC 5280 4.1.2.2: 20 at most)",)


def with_serial(der: bytes, serial: bytes) -> bytes:
    """``der`` with another serial; its signature holds no more, which nobody asks who reads its facts."""
    old = b"\x02\x01\x07"
    assert der.count(old) >= 1
    whole, body = _length(der), der[_head(der) :]
    tbs = body[: _head(body) + _length(body)]
    inner = tbs[_head(tbs) :].replace(old, b"\x02" + _written(len(serial)) + serial, 1)
    made = b"\x30" + _written(len(inner)) + inner + body[len(tbs) :]
    assert whole
    return b"\x30" + _written(len(made)) + made


def _head(der: bytes) -> int:
    return 2 if der[1] < 128 else 2 + (der[1] & 127)


def _length(der: bytes) -> int:
    return der[1] if der[1] < 128 else int.from_bytes(der[2 : _head(der)], "big")


def _written(length: int) -> bytes:
    if length < 128:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([128 + len(octets)]) + octets


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
