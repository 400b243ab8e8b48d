"""DESIGN rule 4: never back to a certificate that is expired, revoked, compromised or past its escalation mark."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from domain.contracts import Plan, RevokeOrder
from formats.x509 import fingerprint_of, pem_of
from tests.activities.conftest import govern
from tests.activities.test_deployment import Site, site
from tests.activities.test_issuance_manual import OutsideCA

__all__ = ["site"]


@pytest.mark.parametrize("why", ["ended", "was revoked", "past its escalation mark"])
def test_a_failed_reload_never_puts_back_what_may_not_be_served(site: Site, plan: Plan, why: str) -> None:
    first = site.order(1, plan)
    site.deploy(1, first)
    if why == "ended":
        site.house.clock.advance(timedelta(days=91))
    elif why == "past its escalation mark":
        # 14 days, scaled by a life of 90 days: the last 7 of it.
        govern(site.house.engine, "mc-1")
        site.house.clock.advance(timedelta(days=84))
    else:
        site.house.issuance.revoke_order(RevokeOrder("mc-1.1.1.1", "cessationOfOperation"))
    second = site.order(2, plan)
    site.break_reload(1)
    [receipt] = site.deploy(2, second).receipts
    assert receipt.outcome == "refused"
    assert "config test failed" in receipt.detail
    assert why in receipt.detail
    assert "the new certificate stays" in receipt.detail
    assert site.served == second
    assert site.is_whole


def test_nothing_that_ended_or_was_revoked_is_put_back(site: Site, plan: Plan) -> None:
    short = replace(plan, validity_seconds=1200)
    first, second, third = site.order(1, plan), site.order(2, short), site.order(3, plan)
    site.deploy(1, first)
    site.deploy(2, second)
    site.house.issuance.revoke_order(RevokeOrder("mc-1.1.1.1", "keyCompromise"))
    [revoked] = site.roll_back(2, second).receipts
    assert revoked.outcome == "refused"
    assert "keyCompromise" in revoked.detail
    site.deploy(3, third)
    site.house.clock.advance(timedelta(hours=1))
    [ended] = site.roll_back(3, third).receipts
    assert ended.outcome == "refused"
    assert "ended" in ended.detail
    assert site.served == third


def test_an_ended_cross_certificate_of_a_root_that_the_policy_names_keeps_nothing_from_being_put_back(
    site: Site, plan: Plan
) -> None:
    now, csr = site.house.clock(), x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = csr.add_extension(x509.SubjectAlternativeName([x509.DNSName("nms.example.in")]), critical=False)
    root, ancient, key = OutsideCA(now), OutsideCA(now, "ancient root"), ec.generate_private_key(ec.SECP256R1())
    leaf = root.sign(csr.sign(key, SHA256()).public_bytes(Encoding.DER))
    old = pem_of([leaf, root.crossed(ancient, now - timedelta(days=30))])
    new = site.order(2, plan)
    for roots, outcome in (((), "refused"), ((pem_of([root.certificate]).decode(),), "installed")):
        site.trust(roots)
        (site.folder / "chain.pem").write_bytes(old)
        (site.folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        site.deploy(2, new)
        [receipt] = site.roll_back(2, new).receipts
        assert receipt.outcome == outcome, receipt.detail
    assert site.served == fingerprint_of(leaf)


def test_nothing_past_its_escalation_mark_is_put_back(site: Site, plan: Plan) -> None:
    govern(site.house.engine, "mc-1")
    first, second = site.order(1, plan), site.order(2, plan)
    site.deploy(1, first)
    site.deploy(2, second)
    site.house.clock.advance(timedelta(days=82))
    assert site.roll_back(2, second).receipts[0].outcome == "installed"
    site.deploy(2, second)
    site.house.clock.advance(timedelta(days=2))
    [late] = site.roll_back(2, second).receipts
    assert late.outcome == "refused"
    assert "past its escalation mark" in late.detail
    assert site.served == second
