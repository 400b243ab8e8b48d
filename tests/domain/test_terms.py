import json
from dataclasses import asdict, replace
from datetime import timedelta
from hashlib import sha256

import pytest

from domain.certificate import Life, Slot, TrustClass
from domain.classify import Seen, classify
from domain.contracts import Terms
from domain.profiles import USAGE_OIDS
from domain.terms import expand_target, plan_version, terms_for
from domain.tiers import Matcher, Policy, Tier
from tests.domain.policies import POLICY, SLOT, life

SERVER, CLIENT = USAGE_OIDS["server"], USAGE_OIDS["client"]
PLACED = classify(POLICY, Seen.at((SLOT,), ("a.nms.example",)))


def test_a_renewal_keeps_the_trust_class_even_when_another_issuer_matches_first() -> None:
    private = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    public = terms_for(POLICY, PLACED, life(TrustClass.PUBLIC), (SLOT,)).plan
    assert private is not None and (private.issuer, private.profile) == ("nms-ca", "server-90")
    assert private.validity_seconds == 90 * 86400 and private.key_bits == 256
    assert public is not None and public.issuer == "public-ca"
    assert public.validity_seconds == 200 * 86400, "profile `same` renews for the present life"


def test_for_as_long_as_before_is_no_plan_for_a_certificate_that_ends_before_it_begins() -> None:
    backwards = replace(life(TrustClass.PUBLIC), not_before=life().ends_at + timedelta(days=1))
    terms = terms_for(POLICY, PLACED, backwards, (SLOT,))
    assert terms.plan is None
    assert "profile same" in terms.unroutable and "a validity of its own" in terms.unroutable


def test_a_self_signed_certificate_is_unroutable_and_says_why() -> None:
    terms = terms_for(POLICY, PLACED, life(TrustClass.SELF_SIGNED), (SLOT,))
    assert terms.plan is None
    assert "self-signed" in terms.unroutable and "person's approval" in terms.unroutable


def test_a_slot_without_a_target_is_named() -> None:
    lost = Slot("tls://10.200.0.1:443", "ecdsa")
    terms = terms_for(POLICY, PLACED, life(), (SLOT, lost))
    assert terms.plan is None and "tls://10.200.0.1:443" in terms.unroutable


def test_a_name_that_the_profile_does_not_permit_is_unroutable() -> None:
    terms = terms_for(POLICY, PLACED, life(names=("a.nms.example", "b.nms.test")), (SLOT,))
    assert "does not permit the name b.nms.test" in terms.unroutable


def test_the_version_of_a_plan_changes_with_every_other_field_and_only_then() -> None:
    plan = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    assert plan is not None
    again = terms_for(replace(POLICY, version="sha256:other"), PLACED, life(), (SLOT,)).plan
    assert again == plan
    for change in ({"issuer": "x"}, {"names": ("b",)}, {"targets": ("t",)}, {"validity_seconds": 1}):
        assert plan_version(replace(plan, **change)) != plan.version


FILE = Slot("file://localhost/etc/vpn/c1.pem", "rsa")


def targeted(**changes: object) -> Policy:
    """The policy with another nginx target."""
    nginx, files = POLICY.targets
    return replace(POLICY, version="sha256:other", targets=(replace(nginx, **changes), files))  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    "changes",
    [
        {"chain": "/srv/elsewhere.pem"},
        {"key": "/home/eve/{address}.key"},
        {"reload": ("sh", "-c", "id")},
        {"reload": ("systemctl", "reload", "nginx@ 8443")},
        {"owner": "eve"},
        {"mode": 0o644},
    ],
)
def test_a_plan_is_another_one_when_its_target_does_something_else(changes: dict[str, object]) -> None:
    plan = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    other = terms_for(targeted(**changes), PLACED, life(), (SLOT,)).plan
    assert plan is not None and other is not None
    assert plan.targets == other.targets
    assert plan.version != other.version
    # Another place is nobody's plan here.
    there = terms_for(POLICY, PLACED, life(), (FILE,)).plan
    assert there is not None
    assert terms_for(targeted(**changes), PLACED, life(), (FILE,)).plan == there


def test_a_policy_that_writes_the_same_target_otherwise_is_the_same_plan() -> None:
    plan = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    spelled = targeted(chain="/srv/10.1.2.3_{port}//{sni}/ecdsa.pem", when=Matcher(hosts=("10.1.2.3/32",)))
    assert terms_for(spelled, PLACED, life(), (SLOT,)).plan == plan


def test_a_plan_tells_neither_paths_nor_commands_of_its_targets() -> None:
    plan = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    assert plan is not None
    assert not any(word in str(plan) for word in ("/srv", ".key", "systemctl"))


def test_a_plan_of_before_its_targets_were_digested_keeps_its_version() -> None:
    plan = terms_for(POLICY, PLACED, life(), (SLOT,)).plan
    assert plan is not None
    before = {name: value for name, value in asdict(plan).items() if name not in ("version", "targets_sha256", "loses")}
    text = json.dumps(before, sort_keys=True, separators=(",", ":"))
    assert plan_version(replace(plan, targets_sha256=None)) == sha256(text.encode()).hexdigest()


def used(*words: str) -> Life:
    oids = {"server": SERVER, "client": CLIENT, "any": "2.5.29.37.0", "ike": "1.3.6.1.5.5.7.3.17"}
    return replace(life(), extended_key_usages=tuple(oids[word] for word in words))


def terms_of(tier: Tier, present: Life) -> Terms:
    return terms_for(POLICY, replace(PLACED, tier=tier), present, (SLOT,))


@pytest.mark.parametrize("words", [(), ("any",), ("server",), ("any", "server")])
def test_a_renewal_that_loses_no_usage_is_planned_without_a_word(words: tuple[str, ...]) -> None:
    plan = terms_of(Tier.INTERNAL, used(*words)).plan
    assert plan is not None and plan.loses == ()


@pytest.mark.parametrize(("words", "lost"), [(("server", "client"), "clientAuth"), (("server", "ike"), "ipsecIKE")])
def test_a_usage_that_would_be_lost_is_approved_by_a_person_or_not_lost(words: tuple[str, ...], lost: str) -> None:
    asked = terms_of(Tier.CUSTOMER_FACING, used(*words)).plan
    assert asked is not None and asked.loses == (lost,)
    unasked = terms_of(Tier.INTERNAL, used(*words))
    assert unasked.plan is None
    assert f"would take {lost} from it" in unasked.unroutable and "a tier that asks" in unasked.unroutable
    assert ("add client to its usages" in unasked.unroutable) is (lost == "clientAuth")


@pytest.mark.parametrize("tier", list(Tier))
def test_a_certificate_that_would_keep_none_of_its_usages_is_unroutable_for_everybody(tier: Tier) -> None:
    terms = terms_of(tier, used("client"))
    assert terms.plan is None and terms.unroutable.endswith("add client to its usages")


@pytest.mark.parametrize("tier", list(Tier))
def test_a_name_of_a_kind_that_no_order_gives_is_never_lost_silently(tier: Tier) -> None:
    terms = terms_of(tier, replace(life(), other_names=("URI:spiffe://try/ns/a",)))
    assert terms.plan is None and "URI:spiffe://try/ns/a would be lost" in terms.unroutable


def test_a_plan_that_loses_nothing_has_the_version_that_it_had() -> None:
    plan = terms_of(Tier.INTERNAL, life()).plan
    assert plan is not None
    assert plan_version(replace(plan, loses=("clientAuth",))) != plan.version
    fields = {name: value for name, value in asdict(plan).items() if name not in ("version", "loses")}
    assert plan.version == sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def test_an_unplaced_certificate_reaches_the_head() -> None:
    terms = terms_for(POLICY, classify(POLICY, Seen()), life(), (SLOT,))
    assert not terms.placed and terms.owner_contact == terms.head == "head"


def test_templates_are_filled_and_never_climb_out() -> None:
    target = expand_target(POLICY, SLOT)
    assert target is not None
    assert target.chain == "/srv/10.1.2.3_8443/a.nms.example/ecdsa.pem"
    assert target.reload == ("systemctl", "reload", "nginx@8443")
    file = expand_target(POLICY, Slot("file://localhost/etc/vpn/c1.pem", "rsa"))
    assert file is not None and (file.chain, file.key) == ("/etc/vpn/c1.pem", "/etc/vpn/c1.key")
    for sni in ("..%2F..%2Fetc", "..", "-rf"):
        assert expand_target(POLICY, Slot(f"tls://10.1.2.3:8443?sni={sni}", "ecdsa")) is None


def test_a_ca_certificate_is_never_replaced_by_that_of_a_server() -> None:
    file, served = Slot("file://localhost/etc/vpn/c1.pem", "ecdsa"), SLOT
    for slots in ((file,), (served,), (served, file)):
        terms = terms_for(POLICY, PLACED, replace(life(), is_ca=True), slots)
        assert terms.plan is None and terms.unroutable.startswith("it is a CA certificate")
        assert ("/etc/vpn/c1.pem out of the scope" in terms.unroutable) is (file in slots)


def test_a_self_signed_one_that_says_ca_is_a_servers_own_only_where_it_is_served_and_in_no_file() -> None:
    own = replace(life(TrustClass.SELF_SIGNED), is_ca=True)
    file = Slot("file://localhost/etc/vpn/c1.pem", "ecdsa")
    assert "person's approval" in terms_for(POLICY, PLACED, own, (SLOT,)).unroutable
    for slots in ((file,), (SLOT, file), (Slot("client://phone", "ecdsa"),)):
        assert terms_for(POLICY, PLACED, own, slots).unroutable.startswith("it is a CA certificate")
