from datetime import timedelta

import pytest

from domain.certificate import Certificate, TrustClass
from domain.classify import Placement
from domain.findings import Kind, Severity, Standing, Subject, covers, findings_of, severity_of, sharers_of
from domain.tiers import Tier
from tests.domain.policies import NOW

LEAF = Certificate(
    "f" * 64, "CN=a", "CN=ca", "1", ("a.example",), NOW, NOW + timedelta(days=90), "rsa", 2048, "sha256", "s" * 64
)
PLACED = Placement(Tier.INTERNAL, "nms", "core", "rule")


@pytest.mark.parametrize(
    ("days_left", "severity"),
    [
        (-1, Severity.CRITICAL),
        (7, Severity.CRITICAL),
        (8, Severity.MAJOR),
        (30, Severity.MAJOR),
        (31, Severity.CLEARED),
    ],
)
def test_severity_rises_towards_the_end(days_left: int, severity: Severity) -> None:
    ends = NOW + timedelta(days=days_left)
    assert severity_of(Standing(ends - timedelta(days=365), ends, timedelta(days=30)), NOW) is severity


def test_marks_shrink_with_short_lives_and_a_verified_replacement_lowers_them() -> None:
    ends = NOW + timedelta(minutes=20)
    short = Standing(NOW - timedelta(minutes=20), ends, timedelta(days=30))
    assert severity_of(short, NOW) is Severity.CLEARED
    late = Standing(NOW - timedelta(days=365), NOW + timedelta(days=1), timedelta(days=30), True, needs_person=True)
    assert severity_of(late, NOW) is Severity.MINOR


def test_every_finding_is_found() -> None:
    old = NOW - timedelta(days=1000)
    bad = Certificate(
        "f" * 64, "CN=a", "CN=ca", "1", ("a.example",), old, NOW, "rsa", 1024, "sha1", "s" * 64, ("1.3.6.1.5.5.7.3.2",)
    )
    nobody = Placement(Tier.INTERNAL, "nms", "", "rule")
    subject = Subject(
        bad, ("b.example",), TrustClass.PUBLIC, nobody, is_chain_whole=False, is_root_strange=True, sharers=1
    )
    assert [finding.kind for finding in findings_of(subject, NOW)] == [
        Kind.EXPIRED,
        Kind.WEAK_KEY,
        Kind.WEAK_SIGNATURE,
        Kind.WRONG_NAME,
        Kind.BROKEN_CHAIN,
        Kind.UNKNOWN_ROOT,
        Kind.NO_OWNER,
        Kind.PUBLIC_CLIENT_AUTH,
        Kind.TOO_LONG_LIVED,
        Kind.SHARED_KEY,
    ]


def test_a_certificate_that_begins_later_is_found() -> None:
    early = findings_of(Subject(LEAF, (), TrustClass.PRIVATE, PLACED), NOW - timedelta(seconds=1))
    assert [(finding.kind, finding.severity) for finding in early] == [(Kind.NOT_YET_VALID, Severity.MAJOR)]


def test_a_good_certificate_has_no_finding() -> None:
    assert findings_of(Subject(LEAF, ("a.example",), TrustClass.PRIVATE, PLACED), NOW) == ()


def test_sharers_and_coverage() -> None:
    assert sharers_of({"a": "k", "b": "k", "c": "l", "d": ""}) == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert covers(("*.example.in",), "a.example.in") and not covers(("*.example.in",), "a.b.example.in")
    assert not covers(("*.0.0.1",), "127.0.0.1")
