"""What a CA may sign: a plan as a fence around one certificate, checked on the finished bytes' facts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from domain.certificate import Certificate, TrustClass
from domain.contracts import Plan
from domain.paths import Reason
from domain.tiers import Profile

# RFC 5280 4.2.1.12.
USAGE_OIDS = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2"}
# RFC 5280 4.2.1.12: as good as no extension at all.
ANY_USE = "2.5.29.37.0"
_USAGE_WORDS = {
    USAGE_OIDS["server"]: "serverAuth",
    USAGE_OIDS["client"]: "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    ANY_USE: "anyExtendedKeyUsage",
}

# NIST SP 800-57 and CA/B Forum BR 6.1.5: weaker keys are not signed by anybody we would ask.
LEAST_KEY_BITS = {"rsa": 2048, "ecdsa": 256, "ed25519": 256}

# CA/B Forum BR 7.1.3.2 and RFC 6151: whoever can make two of one hash can make a certificate.
WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})

# DESIGN rule 1: back-dating is at most L/20; five minutes span the clock skew of what reads it.
LARGEST_BACKDATE = timedelta(minutes=5)

TRUST_RANK = {TrustClass.SELF_SIGNED: 0, TrustClass.PRIVATE: 1, TrustClass.PUBLIC: 2}


def backdate(validity: timedelta) -> timedelta:
    """How long before now a certificate of ``validity`` begins."""
    return min(LARGEST_BACKDATE, validity / 20)


def usage_oids(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted(USAGE_OIDS[usage] for usage in plan.usages))


def usage_word(oid: str) -> str:
    return _USAGE_WORDS.get(oid, oid)


def lost_usages(present: Sequence[str], coming: Sequence[str]) -> tuple[str, ...]:
    """OIDs that ``present`` names and ``coming`` does not allow.

    One that may be used for anything, by anyExtendedKeyUsage or without the extension, names no use that could be lost.
    """
    if not coming or ANY_USE in coming:
        return ()
    return tuple(sorted(set(present) - {ANY_USE} - set(coming)))


def plan_breaches(plan: Plan, profile: Profile) -> tuple[str, ...]:
    """Why ``profile``, as the policy in force has it, does not let a CA sign ``plan``; empty when it does.

    Checked again by the CA itself: what reaches it came through hands that may not weaken its profile.
    """
    globs = [glob.lower() for glob in profile.permitted_names]
    strangers = [name for name in plan.names if not any(fnmatchcase(name.lower(), glob) for glob in globs)]
    found = [f"profile {profile.name} does not permit the name {name}" for name in strangers[:3]]
    # A profile without a life of its own renews for as long as before.
    if profile.validity and timedelta(seconds=plan.validity_seconds) > profile.validity:
        found.append(f"profile {profile.name} lives {profile.validity} at most")
    if not set(plan.usages) <= set(profile.usages):
        found.append(f"profile {profile.name} allows {', '.join(profile.usages)} alone")
    if plan.algorithm not in profile.algorithms:
        found.append(f"profile {profile.name} does not allow {plan.algorithm} keys")
    return tuple(found)


def breaches(made: Certificate, plan: Plan, spki_sha256: str) -> tuple[str, ...]:
    """Why ``made`` is not what ``plan`` and the request's key asked for; empty when it is."""
    least = LEAST_KEY_BITS.get(made.algorithm, 1 << 30)
    checks = (
        (made.spki_sha256 == spki_sha256, "it holds another key than the request"),
        (made.names == tuple(sorted(plan.names)), "its names are not the ordered ones"),
        (made.algorithm == plan.algorithm, f"its key is {made.algorithm}, not {plan.algorithm}"),
        (made.key_bits >= max(least, plan.key_bits), f"its key has {made.key_bits} bits"),
        (made.signature_hash not in WEAK_HASHES, f"it is signed with {made.signature_hash}"),
        (not made.is_ca, "it is a CA certificate"),
    )
    return tuple(problem for holds, problem in checks if not holds)


def own_breaches(made: Certificate, plan: Plan, spki_sha256: str) -> tuple[str, ...]:
    """The stricter fence around what our own CA signs: exactly the usages and the life that were ordered."""
    found = list(breaches(made, plan, spki_sha256))
    if made.extended_key_usages != usage_oids(plan):
        found.append("its usages are not the ordered ones")
    if made.lifetime > timedelta(seconds=plan.validity_seconds):
        found.append(f"it lives {made.lifetime}, longer than ordered")
    return tuple(found)


def brought_breaches(made: Certificate, plan: Plan, proof: tuple[str, TrustClass, str, datetime]) -> tuple[str, ...]:
    """The same for what a person brought; ``proof`` = (request's key, trust class found, flaw of its path, now)."""
    spki_sha256, trust_class, flaw, now = proof
    found = list(breaches(made, plan, spki_sha256))
    usages = set(made.extended_key_usages)
    if usages and not usages >= set(usage_oids(plan)):
        found.append("its usages do not cover the ordered ones")
    if TRUST_RANK[trust_class] < TRUST_RANK[plan.trust_class]:
        found.append(f"its trust class is {trust_class.value}, not {plan.trust_class.value}")
    if flaw.startswith(Reason.MISSING_ISSUER):
        found.append("its chain does not lead from the certificate to its CA: add the CA's certificate")
    elif flaw:
        found.append(f"clients refuse its chain ({flaw})")
    if made.not_before > now + LARGEST_BACKDATE:
        found.append(f"it begins only at {made.not_before:%Y-%m-%d %H:%M} UTC")
    # A renewal must gain at least half a life (DESIGN rule 1), else the next case opens at once.
    if made.not_after - now < timedelta(seconds=plan.validity_seconds) / 2:
        found.append(f"it ends at {made.not_after:%Y-%m-%d %H:%M} UTC, sooner than half the ordered life")
    return tuple(found)
