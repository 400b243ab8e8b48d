from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path as File
from typing import Any

import pytest

from domain.certificate import Algorithm, Certificate, TrustClass
from domain.classify import Placement
from domain.findings import CLIENT_AUTH, Kind, Severity, Subject, covers, findings_of, severity_of_kind
from domain.paths import Path, Reason
from domain.tiers import Tier
from tests.domain.policies import NOW

LEAF = Certificate(
    "f" * 64, "CN=a", "CN=ca", "1", ("a.example",), NOW, NOW + timedelta(days=90), "rsa", 2048, "sha256", "s" * 64
)
RUNBOOK = File(__file__).parents[2] / "docs" / "runbook.md"
PLACED = Placement(Tier.INTERNAL, "nms", "core", "rule")


def found(leaf: Certificate, now: datetime = NOW, **subject: Any) -> list[tuple[Kind, str]]:
    told = {"asked": (), "trust_class": TrustClass.PRIVATE, "placement": PLACED, **subject}
    return [(finding.kind, finding.detail) for finding in findings_of(Subject(leaf, **told), now)]


def kinds(leaf: Certificate, now: datetime = NOW, **subject: Any) -> list[Kind]:
    return [kind for kind, _ in found(leaf, now, **subject)]


def test_every_finding_is_found() -> None:
    old = NOW - timedelta(days=1000)
    bad = Certificate(
        "f" * 64, "CN=a", "CN=ca", "1", ("a.example",), old, NOW, "rsa", 1024, "sha1", "s" * 64, ("1.3.6.1.5.5.7.3.2",)
    )
    nobody = Placement(Tier.INTERNAL, "nms", "", "rule")
    path = Path(NOW, "missing issuer: x", has_strange_root=True, is_out_of_order=True)
    odd = replace(bad, flaws=("its keyUsage cannot be read",))
    told: dict[str, Any] = {
        "asked": ("b.example",),
        "trust_class": TrustClass.PUBLIC,
        "placement": nobody,
        "path": path,
        "sharers": 1,
    }
    assert kinds(odd, **told) == [
        Kind.EXPIRED,
        Kind.WEAK_KEY,
        Kind.WEAK_SIGNATURE,
        Kind.WRONG_NAME,
        Kind.BROKEN_CHAIN,
        Kind.UNTIDY_CHAIN,
        Kind.UNKNOWN_ROOT,
        Kind.NO_OWNER,
        Kind.PUBLIC_CLIENT_AUTH,
        Kind.TOO_LONG_LIVED,
        Kind.SHARED_KEY,
        Kind.MALFORMED,
    ]


@pytest.mark.parametrize("reason", list(Reason))
def test_the_reason_of_a_path_is_the_finding_and_its_words_the_detail(reason: Reason) -> None:
    flaw = f"{reason}: CN=ca says so"
    kind = {
        Reason.EXPIRED: Kind.EXPIRED_ISSUER,
        Reason.NOT_YET_VALID: Kind.NOT_YET_VALID,
        Reason.WEAK_KEY: Kind.WEAK_KEY,
        Reason.WEAK_SIGNATURE: Kind.WEAK_SIGNATURE,
    }.get(reason, Kind.BROKEN_CHAIN)
    assert found(LEAF, path=Path(LEAF.not_after, flaw)) == [(kind, flaw)]


def test_a_weak_leaf_is_weak_and_its_chain_is_not_broken() -> None:
    weak = replace(LEAF, signature_hash="sha1")
    path = Path(LEAF.not_after, own_flaw="weak signature: it is signed with sha1")
    assert found(weak, path=path) == [(Kind.WEAK_SIGNATURE, "signed with sha1")]


def test_what_is_said_twice_of_one_kind_is_one_finding() -> None:
    path = Path(LEAF.not_after, "weak signature: CN=ca: it is signed with md5")
    told = "signed with sha1; weak signature: CN=ca: it is signed with md5"
    assert found(replace(LEAF, signature_hash="sha1"), path=path) == [(Kind.WEAK_SIGNATURE, told)]


@pytest.mark.parametrize(
    ("algorithm", "bits", "flaw", "is_weak"),
    [
        ("rsa", 2047, "", True),
        ("rsa", 2048, "", False),
        ("rsa", 4096, "RSA with the exponent 1", True),
        ("ecdsa", 224, "", True),
        ("ecdsa", 256, "", False),
        ("ecdsa", 512, "", False),
        ("ed25519", 256, "", False),
        ("other", 456, "", False),
        ("other", 3072, "DSA of 3072 bits, which no client of today takes", True),
    ],
)
def test_a_weak_key_is_found_whatever_is_weak_about_it(
    algorithm: Algorithm, bits: int, flaw: str, is_weak: bool
) -> None:
    leaf = replace(LEAF, algorithm=algorithm, key_bits=bits, key_flaw=flaw)
    assert kinds(leaf) == [Kind.WEAK_KEY] * is_weak


SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("begins", "days"),
    [
        ("2020-08-31 23:59:59", 825),
        ("2020-09-01 00:00:00", 398),
        ("2026-02-01 00:00:00", 398),
        ("2026-03-14 23:59:59", 398),
        ("2026-03-15 00:00:00", 200),
        ("2026-10-01 00:00:00", 200),
        ("2027-03-14 23:59:59", 200),
        ("2027-03-15 00:00:00", 100),
        ("2029-03-14 23:59:59", 100),
        ("2029-03-15 00:00:00", 47),
    ],
)
def test_a_public_certificate_lives_too_long_by_the_day_of_its_issue(begins: str, days: int) -> None:
    start = datetime.fromisoformat(f"{begins}+00:00")
    for life, is_too_long in ((days * DAY - SECOND, False), (days * DAY, True)):
        leaf = replace(LEAF, not_before=start, not_after=start + life)
        told = found(leaf, start + DAY, trust_class=TrustClass.PUBLIC)
        assert [kind for kind, _ in told] == [Kind.TOO_LONG_LIVED] * is_too_long
        assert all(f"{days} are allowed" in detail for _, detail in told)
        assert kinds(replace(leaf, is_ca=True), start + DAY, trust_class=TrustClass.PUBLIC) == []


def test_a_private_certificate_lives_as_long_as_the_policy_lets_it() -> None:
    long = replace(LEAF, not_after=NOW + 825 * DAY)
    longer = replace(LEAF, not_after=NOW + 825 * DAY + SECOND)
    assert (kinds(long), kinds(longer)) == ([], [Kind.TOO_LONG_LIVED])
    assert kinds(longer, longest_private=826 * DAY) == []
    assert kinds(long, longest_private=824 * DAY) == [Kind.TOO_LONG_LIVED]
    assert kinds(longer, trust_class=TrustClass.SELF_SIGNED) == []


def test_the_end_of_client_auth_is_the_same_day_in_the_finding_and_in_the_runbook() -> None:
    told = dict(found(replace(LEAF, extended_key_usages=(CLIENT_AUTH,)), trust_class=TrustClass.PUBLIC))
    row = next(line for line in RUNBOOK.read_text().splitlines() if line.startswith("| public clientAuth |"))
    assert "from 15 March 2027 on" in told[Kind.PUBLIC_CLIENT_AUTH]
    assert "from 15 March 2027 on" in row


def test_a_common_name_is_no_name() -> None:
    bare = replace(LEAF, names=("a.example",), false_names=("a.example",))
    told = dict(found(bare, asked=("a.example",)))
    assert list(told) == [Kind.WRONG_NAME, Kind.MISSING_SAN]
    assert "its common name is none" in told[Kind.WRONG_NAME]
    assert kinds(bare, asked=()) == [Kind.MISSING_SAN]
    assert kinds(replace(bare, extended_key_usages=(CLIENT_AUTH,))) == []
    assert kinds(replace(bare, is_ca=True)) == []


@pytest.mark.parametrize(
    ("names", "others", "told"),
    [
        (("a@b.example",), (), "only a@b.example"),
        (("a@b.example",), ("URI:spiffe://a/b",), "only a@b.example, URI:spiffe://a/b"),
        ((), ("URI:spiffe://a/b",), "only URI:spiffe://a/b"),
        ((), (), "no subjectAltName that clients could match"),
        (("a.example", "a@b.example"), (), ""),
        (("10.0.0.1",), (), ""),
    ],
)
def test_a_server_is_known_by_a_dns_name_or_an_address_alone(
    names: tuple[str, ...], others: tuple[str, ...], told: str
) -> None:
    leaf = replace(LEAF, names=names, other_names=others)
    assert [kind for kind, _ in found(leaf)] == [Kind.MISSING_SAN] * bool(told)
    assert all(told in detail for _, detail in found(leaf))
    assert kinds(replace(leaf, extended_key_usages=(CLIENT_AUTH,))) == []


@pytest.mark.parametrize(
    ("names", "asked", "is_covered"),
    [
        (("*.example.in",), "a.example.in", True),
        (("*.example.in",), "A.Example.IN.", True),
        (("*.example.in",), "a.b.example.in", False),
        (("*.example.in",), "example.in", False),
        (("a*.example.in",), "ab.example.in", False),
        (("a.*.in",), "a.b.in", False),
        (("*",), "localhost", False),
        (("*.0.0.1",), "127.0.0.1", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("::1",), "0:0:0:0:0:0:0:1", True),
    ],
)
def test_names_cover_as_rfc_9525_has_it(names: tuple[str, ...], asked: str, is_covered: bool) -> None:
    assert covers(names, asked) is is_covered


def test_an_address_that_is_written_as_a_dns_name_covers_nothing() -> None:
    leaf = replace(LEAF, names=("10.0.0.1", "a.example"), false_names=("10.0.0.1",))
    assert kinds(leaf, asked=("10.0.0.1",)) == [Kind.WRONG_NAME]
    assert kinds(leaf, asked=("a.example",)) == []


def test_what_clients_refuse_today_is_no_mere_warning() -> None:
    refused = ("expired", "expired-issuer", "not-yet-valid", "wrong name", "missing SAN", "broken-chain")
    assert all(severity_of_kind(kind).rank <= Severity.MAJOR.rank for kind in refused)
    assert severity_of_kind("untidy chain") is severity_of_kind("too long-lived") is Severity.WARNING


def test_a_certificate_that_begins_later_is_found() -> None:
    early = findings_of(Subject(LEAF, (), TrustClass.PRIVATE, PLACED), NOW - timedelta(seconds=1))
    assert [(finding.kind, finding.severity) for finding in early] == [(Kind.NOT_YET_VALID, Severity.MAJOR)]


def test_a_good_certificate_has_no_finding() -> None:
    assert findings_of(Subject(LEAF, ("a.example",), TrustClass.PRIVATE, PLACED), NOW) == ()
