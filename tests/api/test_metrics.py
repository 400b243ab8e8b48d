"""What Prometheus reads: names that boards know, labels that hold, a bound that is said."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy.engine import Engine

from api.routes import metrics
from domain.certificate import Certificate
from store.sightings.looks import SeenCertificate, keep_certificates
from tests.api.conftest import House

LINE = re.compile(r'^([a-z_0-9]+)(?:\{((?:[a-zA-Z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9]+)$')


async def read(house: House) -> dict[str, list[tuple[str, int]]]:
    """Name -> (labels, value); every line must be one that Prometheus reads."""
    answer = await house.ask("GET", "/metrics", "noc")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, list[tuple[str, int]]] = {}
    for line in answer.text.splitlines():
        if line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, line
        found.setdefault(match[1], []).append((match[2] or "", int(match[3])))
    return found


async def test_certificates_are_counted_and_their_ends_told(house: House) -> None:
    found = await read(house)
    assert sum(value for _, value in found["everleaf_certificates"]) == 1
    assert len(found["everleaf_certificates"]) == 15
    assert found["everleaf_pending_approvals"] == [("", 1)]
    assert found["everleaf_event_streams"] == [("", 0)]
    assert found["everleaf_x509_certificates_left_out"] == [("", 0)]
    about, ends = found["x509_cert_not_after"][0]
    detail = (await house.ask("GET", "/v1/certificates/mc-1")).json()
    assert ends == int(datetime.fromisoformat(detail["not_after"]).timestamp())
    assert 'subject_CN="pay.example.in"' in about
    assert 'everleaf_id="mc-1"' in about
    assert [value for _, value in found["x509_cert_expired"]] == [0]


async def test_hostile_names_stay_inside_their_label(house: House, database: Engine) -> None:
    detail = (await house.ask("GET", "/v1/certificates/mc-1")).json()
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    facts = Certificate(
        fingerprint=detail["fingerprint"],
        subject='O=x,CN=a"} 1\nevil 2\\\\' + "y" * 500,
        issuer="CN=Example\\, Inc. CA,O=Example",
        serial="ff",
        names=("pay.example.in",),
        not_before=begins,
        not_after=begins,
        algorithm="rsa",
        key_bits=2048,
        signature_hash="sha256",
        spki_sha256="0" * 64,
    )
    keep_certificates(database, [SeenCertificate(detail["fingerprint"], b"der", facts)], begins)
    found = await read(house)
    assert "evil" not in found
    about = found["x509_cert_expired"][0][0]
    assert 'subject_CN="a\\"} 1\\nevil 2' in about
    assert 'issuer_CN="Example, Inc. CA"' in about
    assert 'serial_number="255"' in about
    assert len(about) < 700


async def test_what_the_bound_leaves_out_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_CERTIFICATES", 0)
    found = await read(house)
    assert found["everleaf_x509_certificates_left_out"] == [("", 1)]
    assert "x509_cert_not_after" not in found
