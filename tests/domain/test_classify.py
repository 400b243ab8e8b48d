import dataclasses

from domain.certificate import Slot
from domain.classify import Seen, classify, match
from domain.tiers import Matcher, Rule, Tier
from tests.domain.policies import POLICY


def test_the_first_rule_that_matches_wins_and_says_why() -> None:
    placement = classify(POLICY, Seen(names=("a.nms.example",), hosts=("10.1.2.3",)))
    assert (placement.tier, placement.service, placement.owner) == (Tier.NETWORK_CRITICAL, "nms", "core")
    assert placement.reason == "rule 'network management': name a.nms.example matches *.nms.*"


def test_every_given_field_must_match_and_an_own_owner_wins() -> None:
    premises = Rule("premises", Matcher(hosts=("10.9.0.0/16",), ports=(443,)), Tier.INTERNAL, "nms", "bank")
    policy = dataclasses.replace(POLICY, rules=(premises,))
    assert classify(policy, Seen(hosts=("10.9.1.1",), ports=(443, 8443))).owner == "bank"
    assert not classify(policy, Seen(hosts=("10.9.1.1",), ports=(8443,))).placed


def test_what_no_rule_places_runs_on_customer_facing_lead_times() -> None:
    placement = classify(POLICY, Seen(names=("unknown.example",)))
    assert placement.tier is Tier.CUSTOMER_FACING
    assert not placement.placed and placement.owner == ""


def test_matchers_read_cidrs_issuers_and_paths() -> None:
    file = Slot("file://localhost/etc/vpn/Client-1.pem", "rsa")
    seen = Seen.at((file, Slot("tls://[fd00::1]:8443?sni=a.b", "rsa")), ("x.y",), "CN=Old CA,O=Telecom")
    assert match(Matcher(paths=("/etc/vpn/Client-*.pem",)), seen) is not None
    assert match(Matcher(paths=("/etc/vpn/client-*.pem",)), seen) is None
    assert match(Matcher(hosts=("fd00::/8",), issuers=("*o=telecom",)), seen) is not None
    assert match(Matcher(ports=(443,)), seen) is None
