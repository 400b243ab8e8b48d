"""Why a certificate may not stand where another one should: a chain of named checks, each with reason and message.

Longer than 300 lines because it is one list: every check that there is, and who asks it.

Succession, what a person brings for an order, and the last fence of our own CA each hold a certificate against a
standard, with the checks that concern them.  To add one: a function below, and its line in the chains that ask it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from domain.certificate import Algorithm, Certificate, Life, TrustClass
from domain.paths import Reason
from domain.usages import ANY_USE as ANY_USE
from domain.usages import usage_word

# CA/B Forum BR 6.1.5 and NIST SP 800-57: a weaker key than this is never asked for again, even where it is served.
LEAST_BITS: Mapping[str, int] = {"rsa": 2048, "ecdsa": 256, "ed25519": 256}
WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})
TRUST_RANK = {TrustClass.SELF_SIGNED: 0, TrustClass.PRIVATE: 1, TrustClass.PUBLIC: 2}
# Clocks of CAs differ: RFC 5280 gives no margin, so ours is the skew that a reader of certificates forgives.
CLOCK_MARGIN = timedelta(minutes=5)

# NIST SP 800-57 part 1, table 2: comparable strengths in bits.
RSA_STRENGTH = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))


def strength(algorithm: Algorithm, key_bits: int, of_rsa: tuple[tuple[int, int], ...] = RSA_STRENGTH) -> int:
    """The security of a key in bits; an elliptic curve has half of its size."""
    if algorithm == "rsa":
        return next((bits for size, bits in of_rsa if key_bits >= size), 0)
    return key_bits // 2


@dataclass(frozen=True, slots=True)
class Objection:
    """``reason``: the name of the check, for machines and tests; ``message``: the words for a person.

    ``bad``: no answer helps.  ``different``: a named answer may accept exactly this, of exactly that certificate.
    """

    reason: str
    message: str
    sort: Literal["bad", "different"] = "bad"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is judged.  ``flaw``: why its path is bad; ``rooted``: it leads to a root that the policy names.

    ``stranger``: why it does not come from the issuer that was asked, empty where it does or nobody was asked.
    ``issuer_spki``: SHA-256 of the key that verifies its signature, empty where that is unknown.
    """

    names: tuple[str, ...]
    other_names: tuple[str, ...]
    usages: tuple[str, ...]
    algorithm: Algorithm
    key_bits: int
    signature_hash: str
    not_before: datetime
    ends_at: datetime
    trust_class: TrustClass
    is_ca: bool = False
    flaw: str = ""
    rooted: bool = False
    issuer_spki: str = ""
    spki: str = ""
    key_flaw: str = ""
    stranger: str = ""

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.not_before


@dataclass(frozen=True, slots=True)
class Standard:
    """What it is held against.  ``usages`` and ``names`` as dotted OIDs and SAN entries of what it would replace.

    ``least_key_bits``: as ordered; ``strength``: of the key that it replaces, in bits.  ``ends_at``: of what it
    replaces; ``shortest`` and ``longest``: the life that was planned, with its tolerance taken off or added.
    ``issuer_spki``: of the CA of what it replaces.  ``least_bits`` by kind of key, ``weak_hashes``, ``rsa_strength``:
    of today, or of the rule set of a life.  What is None or empty asks nothing.
    """

    now: datetime
    names: tuple[str, ...]
    trust_class: TrustClass
    other_names: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    algorithm: Algorithm | None = None
    least_key_bits: int = 0
    strength: int = 0
    ends_at: datetime | None = None
    shortest: timedelta | None = None
    longest: timedelta | None = None
    issuer_spki: str = ""
    spki: str = ""
    may_be_ca: bool = False
    least_bits: Mapping[str, int] = field(default_factory=lambda: LEAST_BITS)
    weak_hashes: frozenset[str] = WEAK_HASHES
    rsa_strength: tuple[tuple[int, int], ...] = RSA_STRENGTH


Check = Callable[[Candidate, Standard], Objection | None]


def of_life(life: Life, flaw: str = "", rooted: bool = False) -> Candidate:
    """A certificate that was seen somewhere, with the worst path on which it was."""
    return Candidate(
        names=life.names,
        other_names=life.other_names,
        usages=life.extended_key_usages,
        algorithm=life.algorithm,
        key_bits=life.key_bits,
        signature_hash=life.signature_hash,
        not_before=life.not_before,
        ends_at=life.ends_at,
        trust_class=life.trust_class,
        is_ca=life.is_ca,
        flaw=flaw,
        rooted=rooted,
        issuer_spki=life.issuer_spki,
        key_flaw=life.key_flaw,
    )


def of_certificate(made: Certificate, trust_class: TrustClass, flaw: str = "", stranger: str = "") -> Candidate:
    """A certificate that was made for an order.  A name that no client takes, as a common name alone, is none."""
    return Candidate(
        names=tuple(name for name in made.names if name not in made.false_names),
        other_names=made.other_names,
        usages=made.extended_key_usages,
        algorithm=made.algorithm,
        key_bits=made.key_bits,
        signature_hash=made.signature_hash,
        not_before=made.not_before,
        ends_at=made.not_after,
        trust_class=trust_class,
        is_ca=made.is_ca,
        flaw=flaw,
        spki=made.spki_sha256,
        key_flaw=made.key_flaw,
        stranger=stranger,
    )


def objections(candidate: Candidate, standard: Standard, chain: tuple[Check, ...]) -> tuple[Objection, ...]:
    """Everything that ``chain`` has against ``candidate``, in its order, so that one trip mends it all."""
    return tuple(found for check in chain if (found := check(candidate, standard)) is not None)


# --- the checks -----------------------------------------------------------------------------------------------------


def ca_certificate(it: Candidate, standard: Standard) -> Objection | None:
    if it.is_ca and not standard.may_be_ca:
        return Objection("ca-certificate", "it is a CA certificate")
    return None


def other_key(it: Candidate, standard: Standard) -> Objection | None:
    if standard.spki and it.spki != standard.spki:
        return Objection("other-key", "it holds another key than the request")
    return None


def trust_class(it: Candidate, standard: Standard) -> Objection | None:
    if it.trust_class is not standard.trust_class:
        wanted = standard.trust_class.value
        return Objection("trust-class", f"its trust class is {it.trust_class.value}, not {wanted}")
    return None


def lower_trust(it: Candidate, standard: Standard) -> Objection | None:
    """What a person brings may be trusted by more than was ordered, never by fewer."""
    if TRUST_RANK[it.trust_class] < TRUST_RANK[standard.trust_class]:
        wanted = standard.trust_class.value
        return Objection("trust-class", f"its trust class is {it.trust_class.value}, not {wanted}")
    return None


def other_issuer(it: Candidate, standard: Standard) -> Objection | None:
    """Whoever is asked answers: another CA that gives the same names is not the one that somebody approved."""
    return Objection("other-issuer", it.stranger) if it.stranger else None


def other_ca(it: Candidate, standard: Standard) -> Objection | None:
    """By the key that verifies it, never by a name: anybody may call a CA as they like (DESIGN rule 9)."""
    if it.trust_class is TrustClass.SELF_SIGNED or it.rooted:
        return None
    if it.issuer_spki and it.issuer_spki == standard.issuer_spki:
        return None
    told = "it comes from another CA than the present one, and its path leads to no root that the policy names"
    return Objection("other-ca", told)


def bad_path(it: Candidate, standard: Standard) -> Objection | None:
    if it.flaw.startswith(Reason.MISSING_ISSUER):
        told = "its chain does not lead from the certificate to its CA: add the CA's certificate"
        return Objection("bad-path", told)
    if it.flaw.startswith(Reason.TOO_LONG):
        return Objection("bad-path", f"nobody can say whether clients take its chain ({it.flaw})")
    return Objection("bad-path", f"clients refuse its chain ({it.flaw})") if it.flaw else None


def weaker_key(it: Candidate, standard: Standard) -> Objection | None:
    if strength(it.algorithm, it.key_bits, standard.rsa_strength) < standard.strength:
        return Objection("weaker-key", "its key is weaker than the present one's")
    if it.key_flaw:
        return Objection("weaker-key", f"its key is not safe: {it.key_flaw}")
    if it.key_bits < standard.least_bits.get(it.algorithm, 0):
        return Objection("weaker-key", f"its key has {it.key_bits} bits, fewer than anybody may rely on")
    return None


def ordered_key(it: Candidate, standard: Standard) -> Objection | None:
    if standard.algorithm is not None and it.algorithm != standard.algorithm:
        return Objection("other-algorithm", f"its key is {it.algorithm}, not {standard.algorithm}")
    # A kind of key that nobody here knows has no least size that it could reach.
    if it.algorithm not in standard.least_bits or it.key_bits < max(
        standard.least_bits[it.algorithm], standard.least_key_bits
    ):
        return Objection("short-key", f"its key has {it.key_bits} bits")
    return None


def weak_signature(it: Candidate, standard: Standard) -> Objection | None:
    if it.signature_hash in standard.weak_hashes:
        return Objection("weak-signature", f"it is signed with {it.signature_hash}")
    return None


def not_begun(it: Candidate, standard: Standard) -> Objection | None:
    if it.not_before > standard.now:
        return Objection("not-begun", f"it begins only at {_minute(it.not_before)}")
    return None


def begins_late(it: Candidate, standard: Standard) -> Objection | None:
    if it.not_before > standard.now + CLOCK_MARGIN:
        return Objection("not-begun", f"it begins only at {_minute(it.not_before)}")
    return None


def ended(it: Candidate, standard: Standard) -> Objection | None:
    return Objection("ended", "it has ended") if it.ends_at <= standard.now else None


def no_common_name(it: Candidate, standard: Standard) -> Objection | None:
    if standard.names and not set(standard.names) & set(it.names):
        return Objection("no-common-name", "it holds none of the names of the present one")
    return None


def names_lost(it: Candidate, standard: Standard) -> Objection | None:
    lost = sorted(set(standard.names) - set(it.names))
    return Objection("names-lost", f"it does not hold {_some(lost)}", "different") if lost else None


def other_names_lost(it: Candidate, standard: Standard) -> Objection | None:
    lost = sorted(set(standard.other_names) - set(it.other_names))
    return Objection("other-names-lost", f"it does not hold {_some(lost)}", "different") if lost else None


def _some(names: list[str]) -> str:
    """Three of them, and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def other_names_than_ordered(it: Candidate, standard: Standard) -> Objection | None:
    lacking, strange = sorted(set(standard.names) - set(it.names)), sorted(set(it.names) - set(standard.names))
    told = [f"it lacks {_some(lacking)}"] if lacking else []
    told += [f"{_some(strange)} {'were' if len(strange) > 1 else 'was'} not ordered"] if strange else []
    if not told:
        return None
    return Objection("other-names", f"its names are not the ordered ones: {', and '.join(told)}")


def unordered_other_names(it: Candidate, standard: Standard) -> Objection | None:
    """An order holds none: a login name or a URI that a CA adds lets the key in where nobody meant it to."""
    if it.other_names:
        return Objection("unordered-names", f"it holds {_some(list(it.other_names))}, which no order asks for")
    return None


def usages_lost(it: Candidate, standard: Standard) -> Objection | None:
    if not it.usages or ANY_USE in it.usages:
        return None
    lost = sorted(set(standard.usages) - {ANY_USE} - set(it.usages))
    return Objection("usages-lost", f"it may not be used for {', '.join(lost)}", "different") if lost else None


def usages_gained(it: Candidate, standard: Standard) -> Objection | None:
    """More uses than before are somebody's choice too: a key that may sign code is another risk."""
    if not standard.usages or ANY_USE in standard.usages:
        return None
    gained = sorted(set(it.usages) - set(standard.usages)) if it.usages else [ANY_USE]
    return (
        Objection("usages-gained", f"it may be used for {', '.join(gained)} as well", "different") if gained else None
    )


def usages_not_exact(it: Candidate, standard: Standard) -> Objection | None:
    """Without the extension it may be used for anything (RFC 5280 4.2.1.12), which is more than was ordered."""
    if it.usages == standard.usages:
        return None
    lacking = sorted(set(standard.usages) - set(it.usages)) if it.usages else []
    more = sorted(set(it.usages or (ANY_USE,)) - set(standard.usages))
    told = [f"it lacks {_some([*map(usage_word, lacking)])}"] if lacking else []
    told += [f"{_some([*map(usage_word, more)])} was not ordered"] if more else []
    return Objection("other-usages", f"its usages are not the ordered ones: {', and '.join(told)}")


def ends_sooner(it: Candidate, standard: Standard) -> Objection | None:
    """Lives shrink (398, 200, 100, 47 days), so an earlier end may be ordinary: as long as a new one would be."""
    if standard.ends_at is None or it.ends_at >= standard.ends_at:
        return None
    told = f"it ends at {_minute(it.ends_at)}, before the present one"
    if standard.shortest is None or it.length < standard.shortest:
        return Objection("ends-too-soon", f"{told}, and lives shorter than a new one would")
    return Objection("ends-sooner", told, "different")


def too_short(it: Candidate, standard: Standard) -> Objection | None:
    """What is brought must gain half of the ordered life, else the next case opens at once (DESIGN rule 1)."""
    if standard.shortest is not None and it.ends_at - standard.now < standard.shortest:
        return Objection("ends-too-soon", f"it ends at {_minute(it.ends_at)}, sooner than half the ordered life")
    return None


def too_long(it: Candidate, standard: Standard) -> Objection | None:
    if standard.longest is not None and it.length > standard.longest:
        return Objection("too-long", f"it lives {it.length}, longer than ordered: {standard.longest} at most")
    return None


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


# --- the chains: bad before different, so that what no answer helps is read first -----------------------------------

SUCCESSION: tuple[Check, ...] = (
    ca_certificate,
    trust_class,
    other_ca,
    bad_path,
    weaker_key,
    weak_signature,
    not_begun,
    ended,
    no_common_name,
    ends_sooner,
    names_lost,
    other_names_lost,
    usages_lost,
    usages_gained,
)
_ORDERED: tuple[Check, ...] = (other_key, other_names_than_ordered, ordered_key, weak_signature, ca_certificate)
BROUGHT: tuple[Check, ...] = (
    *_ORDERED,
    unordered_other_names,
    usages_not_exact,
    other_issuer,
    lower_trust,
    bad_path,
    begins_late,
    too_short,
    too_long,
)
LAST_FENCE: tuple[Check, ...] = (*_ORDERED, usages_not_exact, too_long)
