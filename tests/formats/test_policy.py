from datetime import timedelta
from typing import Any

import pytest

from domain.errors import BadPolicy
from domain.tiers import Tier
from formats.policy import parse_policy, policy_json_schema

GOOD = """\
people:
  - {id: head, name: Head, email: head@example.in, role: security-head}
  - {id: noc, name: Noc, email: noc@example.in, role: operator}
owners:
  - {id: core, contact: noc}
services:
  - {id: nms, owner: core, subscribers: 10}
rules:
  - name: network management
    when: {names: ["*.nms.*"]}
    tier: network-critical
    service: nms
issuers:
  - {name: internal-ca, kind: private-ca, trust_class: private, recognise: ["*Everleaf*"]}
profiles:
  - {name: server-90, validity: 90d}
  - {name: same-life, validity: same}
renewals:
  - {when: {names: ["*"]}, issuer: internal-ca, profile: server-90}
targets:
  - name: nginx
    when: {hosts: [10.0.0.0/8]}
    chain: /etc/ssl/{address}/chain.pem
    key: /etc/ssl/{address}/key.pem
scope:
  cidrs: [10.0.0.0/24]
  ports: [443]
"""


def test_a_good_policy_is_read_with_the_standard_tiers() -> None:
    policy = parse_policy(GOOD.encode())
    assert policy.tier(Tier.INTERNAL).escalates == timedelta(days=14)
    assert policy.tier(Tier.CUSTOMER_FACING).rungs[0].lead == timedelta(days=30)
    assert policy.profiles[1].validity == timedelta(0)
    assert policy.version.startswith("sha256:")
    assert parse_policy(GOOD.encode()) == policy


LADDER = "\ntiers:\n  - {tier: internal, opens: %s, issues: %s, asks: false, rungs: [%s]}\n"
HEAD = "{lead: %s, to: security-head}"
BAD: list[tuple[str, str, str, int, str]] = [
    ("contact: noc}", "contact: nobody}", "owners[0].contact", 5, "'nobody' is not among people"),
    ("service: nms\n", "service: nmx\n", "rules[0].service", 12, "'nmx' is not among services"),
    ("tier: network-critical", "tier: vital", "rules[0].tier", 11, "'customer-facing'"),
    ("issuer: internal-ca,", "issuer: other-ca,", "renewals[0].issuer", 19, "'other-ca' is not among issuers"),
    ("profile: server-90}", "profile: x}", "renewals[0].profile", 19, "'x' is not among profiles"),
    ("validity: 90d", "validity: 90 days", "profiles[0].validity", 16, "is not a duration"),
    ("{address}/key", "{host}/key", "targets[0].key", 24, "{host} is not a placeholder"),
    ("10.0.0.0/24", "10.0.0.1/24", "scope.cidrs[0]", 26, "has host bits set"),
    ("ports: [443]", "ports: [0]", "scope.ports[0]", 27, "0 is not a port"),
    ("role: security-head", "role: operator", "people", 1, "nobody is a security-head"),
    ("subscribers: 10}", "subscribes: 10}", "services[0].subscribes", 7, "is not a field of a policy"),
    ("head@example.in", "head", "people[0].email", 2, "is not an address"),
    ("10.0.0.0/8", "10.0.0.0/99", "targets[0].when.hosts[0]", 22, "does not appear to be"),
    ('{names: ["*.nms.*"]}', "{}", "rules[0].when", 10, "matches everything"),
    ("id: noc,", "id: head,", "people[1].id", 3, "stands there twice"),
]


@pytest.mark.parametrize(("old", "new", "field", "line", "problem"), BAD)
def test_a_bad_policy_is_refused_with_line_field_and_remedy(
    old: str, new: str, field: str, line: int, problem: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if field == "people[1].id":
        text = text.replace("contact: noc", "contact: head")
    with pytest.raises(BadPolicy) as refused:
        parse_policy(text.encode(), "p.yaml")
    assert (refused.value.field, refused.value.line) == (field, line)
    assert problem in refused.value.problem
    assert refused.value.remedy and str(refused.value).startswith(f"p.yaml:{line}: {field}")


@pytest.mark.parametrize(
    ("opens", "issues", "rungs", "problem"),
    [
        ("60d", "90d", HEAD % "14d", "must hold"),
        ("60d", "14d", HEAD % "14d", "must hold"),
        ("60d", "60d", f"{HEAD % '7d'}, {HEAD % '7d'}", "fall strictly"),
        ("60d", "60d", "{lead: 14d, to: owner}", "no rung reaches the security head"),
        ("60d", "60d", HEAD % "0d", "longer than nothing"),
    ],
)
def test_a_ladder_that_could_miss_is_refused(opens: str, issues: str, rungs: str, problem: str) -> None:
    with pytest.raises(BadPolicy, match=problem):
        parse_policy((GOOD + LADDER % (opens, issues, rungs)).encode())


@pytest.mark.parametrize("text", [b"a: [", b"- list", b"\xff\xfe", b"", b"a: &x 1\nb: *y"])
def test_what_is_not_a_policy_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text, "p.yaml")


def test_more_than_thirty_rules_are_refused() -> None:
    rules = "".join(
        f"  - {{name: r{i}, when: {{ports: [{i + 1}]}}, tier: internal, service: nms}}\n" for i in range(30)
    )
    with pytest.raises(BadPolicy, match="31 rules are more than 30"):
        parse_policy(GOOD.replace("issuers:\n", rules + "issuers:\n", 1).encode())


def test_the_schema_describes_durations_as_text() -> None:
    schema: dict[str, Any] = policy_json_schema()
    assert schema["$defs"]["_Rung"]["properties"]["lead"]["type"] == "string"
    assert "people" in schema["required"]
