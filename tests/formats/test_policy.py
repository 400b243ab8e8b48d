import re
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import BadPolicy
from domain.retention import KEPT
from domain.tiers import Policy, Tier
from formats.policy import parse_policy, policy_json_schema
from tests.policies import whole

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


def read(text: str) -> Policy:
    return parse_policy(whole(text).encode(), "p.yaml")


def test_a_good_policy_is_read_with_the_standard_tiers() -> None:
    policy = read(GOOD)
    assert policy.tier(Tier.INTERNAL).escalates == timedelta(days=14)
    assert policy.tier(Tier.CUSTOMER_FACING).rungs[0].lead == timedelta(days=30)
    assert policy.profiles[1].validity == timedelta(0)
    assert policy.version.startswith("sha256:")
    assert read(GOOD) == policy


def test_how_long_a_private_certificate_may_live_is_a_setting() -> None:
    assert read(GOOD).longest_private == timedelta(days=825)
    assert read(f"{GOOD}longest_private: 400d\n").longest_private == timedelta(days=400)
    for wrong in ("0d", "4000d", "-1d", "long"):
        with pytest.raises(BadPolicy) as refused:
            read(f"{GOOD}longest_private: {wrong}\n")
        assert (refused.value.line, refused.value.field) == (GOOD.count("\n") + 1, "longest_private")


GOOD_TARGETS = ("mode: '0640'\n    owner: root:ssl-cert", "mode: '0440'\n    owner: :ssl-cert", "owner: www-data")


@pytest.mark.parametrize("extra", [*GOOD_TARGETS, "reload: [systemctl, reload, 'nginx@{port}']"])
def test_a_group_may_read_a_key_where_it_is_named(extra: str) -> None:
    read(GOOD.replace("key.pem\n", f"key.pem\n    {extra}\n"))


def test_how_long_things_are_kept_is_a_part_with_defaults_and_bounds() -> None:
    assert read(GOOD).retention == KEPT
    kept = read(f"{GOOD}retention:\n  looks: 30d\n  changes: 2h\n").retention
    assert (kept.looks, kept.changes, kept.findings) == (timedelta(days=30), timedelta(hours=2), KEPT.findings)
    for text, field in (("looks: 1d", "retention.looks"), ("security_events: 90d", "retention.security_events")):
        with pytest.raises(BadPolicy) as refused:
            read(f"{GOOD}retention:\n  {text}\n")
        assert (refused.value.line, refused.value.field) == (GOOD.count("\n") + 2, field)
    with pytest.raises(BadPolicy, match=r"retention\.events: is not a field of a policy"):
        read(f"{GOOD}retention:\n  events: 1d\n")


@pytest.mark.parametrize("server", ["ntp.example.in", "192.0.2.1:1123", "'[2001:db8::1]:123'"])
def test_a_time_server_is_a_host_and_perhaps_a_port(server: str) -> None:
    assert read(GOOD).ntp == ""
    assert read(f"{GOOD}ntp: {server}\n").ntp == server.strip("'")
    for wrong in (
        "ntp://a",
        "a b",
        "me@a",
        "a:0",
        "a/b",
        "2001:db8::1",
        "127.0.0.1:99999",
        "[:::::]",
        "a..b",
        "a" * 64,
    ):
        with pytest.raises(BadPolicy) as refused:
            read(f"{GOOD}ntp: '{wrong}'\n")
        assert (refused.value.line, refused.value.field) == (GOOD.count("\n") + 1, "ntp")


def test_names_are_asked_for_at_their_address_or_where_dns_says() -> None:
    names = "ports: [443]\n  names: [pay.example.in, PAY.example.in@10.0.0.7, localhost]"
    assert len(read(GOOD.replace("ports: [443]", names)).scope.names) == 3


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
    ("head@example.in", '"a@x.test\\nBcc: e@x.test"', "people[0].email", 2, "control character"),
    ("head@example.in", '"Head <a@x.test>"', "people[0].email", 2, "is not an address"),
    ("head@example.in", '"a@x.test,b@x.test"', "people[0].email", 2, "is not an address"),
    ("head@example.in", "a@b@x.test", "people[0].email", 2, "is not an address"),
    ("name: Head", 'name: "Head\\e[2J"', "people[0].name", 2, "control character"),
    ("validity: 90d", "validity: 0d", "profiles[0].validity", 16, "write 90d, or same"),
    ("validity: 90d", "validity: 9000d", "profiles[0].validity", 16, "longer than 3650d"),
    ("validity: 90d", "validity: 90d, algorithms: []", "profiles[0].algorithms", 16, "no key that could be made"),
    ("validity: 90d", "validity: 90d, algorithms: [other]", "profiles[0].algorithms", 16, "no key that could be made"),
    ("validity: 90d", "validity: 90d, permitted_names: []", "profiles[0].permitted_names", 16, "nothing could be"),
    ('{names: ["*.nms.*"]}', "{ports: [99999]}", "rules[0].when.ports[0]", 10, "99999 is not a port"),
    ("/etc/ssl/{address}/key", "/etc/ssl/../{address}/key", "targets[0].key", 24, "plain path of a file"),
    ("{address}/key.pem", "{address}/", "targets[0].key", 24, "plain path of a file"),
    ("key.pem\n", "key.pem\n    reload: ['{sni}']\n", "targets[0].reload[0]", 25, "choose the program"),
    ("key.pem\n", "key.pem\n    mode: '0644'\n", "targets[0].mode", 25, "lets others read"),
    ("key.pem\n", "key.pem\n    mode: '0640'\n", "targets[0].mode", 25, "names none"),
    ("key.pem\n", "key.pem\n    mode: '0640'\n    owner: www\n", "targets[0].mode", 25, "names none"),
    ("key.pem\n", "key.pem\n    mode: '0660'\n    owner: :ssl\n", "targets[0].mode", 25, "not a mode for a key"),
    ("key.pem\n", "key.pem\n    mode: '0200'\n", "targets[0].mode", 25, "not a mode for a key"),
    ("key.pem\n", "key.pem\n    owner: 'a:b:c'\n", "targets[0].owner", 25, "is no account"),
    ("ports: [443]", "ports: []", "scope.ports", 27, "is empty"),
    ("ports: [443]", "ports: [443]\n  names: [a@10.0.1.1]", "scope.names[0]", 28, "outside the cidrs"),
    ("ports: [443]", "ports: [443]\n  names: [a@b.example]", "scope.names[0]", 28, "is not an address"),
    ("ports: [443]", "ports: [443]\n  names: ['*.example']", "scope.names[0]", 28, "is not a host name"),
    ("ports: [443]", "ports: [443]\n  names: ['a b']", "scope.names[0]", 28, "is not a host name"),
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
        read(text)
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
        ("999999d", "60d", HEAD % "14d", "no time may be longer than 3650d"),
    ],
)
def test_a_ladder_that_could_miss_is_refused(opens: str, issues: str, rungs: str, problem: str) -> None:
    with pytest.raises(BadPolicy, match=problem):
        read(GOOD + LADDER % (opens, issues, rungs))


@pytest.mark.parametrize("text", [b"a: [", b"- list", b"\xff\xfe", b"", b"a: &x 1\nb: *y"])
def test_what_is_not_a_policy_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text, "p.yaml")


def test_more_than_thirty_rules_are_refused() -> None:
    rules = "".join(
        f"  - {{name: r{i}, when: {{ports: [{i + 1}]}}, tier: internal, service: nms}}\n" for i in range(30)
    )
    with pytest.raises(BadPolicy, match="31 rules are more than 30"):
        read(GOOD.replace("issuers:\n", rules + "issuers:\n", 1))


def test_the_schema_describes_durations_as_text() -> None:
    schema: dict[str, Any] = policy_json_schema()
    assert schema["$defs"]["_Rung"]["properties"]["lead"]["type"] == "string"
    assert "people" in schema["required"]


def test_what_the_schema_shows_as_a_default_may_be_written() -> None:
    schema = policy_json_schema()
    shown = [schema["properties"]["longest_private"], schema["$defs"]["_Tier"]["properties"]["retry_for"]]
    assert [(one["default"], bool(re.match(one["pattern"], one["default"]))) for one in shown] == [
        ("825d", True),
        ("24h", True),
    ]
    for one in schema["$defs"]["_Retention"]["properties"].values():
        assert re.match(one["pattern"], one["default"])
