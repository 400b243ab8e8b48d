"""A small policy for tests of the domain."""

from datetime import UTC, datetime, timedelta

from domain.certificate import Life, Slot, TrustClass
from domain.tiers import (
    DEFAULT_TIERS,
    Issuer,
    Matcher,
    Owner,
    Person,
    Policy,
    Profile,
    Renewal,
    Role,
    Rule,
    Scope,
    Service,
    TargetRule,
    Tier,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SLOT = Slot("tls://10.1.2.3:8443?sni=a.nms.example", "ecdsa")

POLICY = Policy(
    version="sha256:test",
    tiers=DEFAULT_TIERS,
    people=(
        Person("head", "Head", "head@example.in", Role.SECURITY_HEAD),
        Person("noc", "Noc", "noc@example.in", Role.OPERATOR),
    ),
    owners=(Owner("core", "noc"), Owner("bank", "noc", outside=True)),
    services=(Service("nms", "core", 12),),
    rules=(Rule("network management", Matcher(names=("*.nms.*",)), Tier.NETWORK_CRITICAL, "nms"),),
    issuers=(
        Issuer("public-ca", "private-ca", TrustClass.PUBLIC, ("*Trust Co*",), 9000),
        Issuer("nms-ca", "private-ca", TrustClass.PRIVATE, ("*Telecom*",)),
    ),
    profiles=(
        Profile("server-90", timedelta(days=90), permitted_names=("*.example",)),
        Profile("same", timedelta(0)),
    ),
    renewals=(
        Renewal(Matcher(names=("*.nms.*",)), "public-ca", "same"),
        Renewal(Matcher(names=("*.nms.*",)), "nms-ca", "server-90"),
    ),
    targets=(
        TargetRule(
            "nginx",
            Matcher(hosts=("10.1.0.0/16",)),
            "file",
            "/srv/{address}_{port}/{sni}/{algorithm}.pem",
            "/srv/{address}_{port}/{sni}/{algorithm}.key",
            ("systemctl", "reload", "nginx@{port}"),
        ),
        TargetRule("files", Matcher(paths=("/etc/vpn/*.pem",)), "file", "{path}", "{stem}.key"),
    ),
    scope=Scope(),
)


def life(trust_class: TrustClass = TrustClass.PRIVATE, names: tuple[str, ...] = ("a.nms.example",)) -> Life:
    return Life(
        fingerprint="f" * 64,
        names=names,
        not_before=NOW - timedelta(days=100),
        ends_at=NOW + timedelta(days=100),
        algorithm="ecdsa",
        key_bits=224,
        trust_class=trust_class,
        issuer="CN=NMS CA,O=Telecom",
        serial="1",
    )
