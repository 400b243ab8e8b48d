"""What a person brings as the answer of a CA: judged before it counts, and told whole so that one trip mends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.contracts import Plan
from domain.profiles import brought_breaches
from domain.tiers import Issuer
from formats.roots import paths_below
from formats.x509 import fingerprint_of, parse_certificate, trust_class_of


@dataclass(frozen=True, slots=True)
class Judge:
    """By what it is judged: the policy's issuers, whose trust classes hold, its roots (PEM), and the time."""

    issuers: Sequence[Issuer]
    roots: Sequence[str]
    now: datetime


def wrong_with(chain: Sequence[bytes], asked: tuple[bytes, Plan], judge: Judge) -> tuple[str, ...]:
    """Everything because of which ``chain`` (DER, leaf first, not empty) does not answer ``asked`` = (CSR, plan).

    Raises BadInput where a certificate cannot be read.
    """
    csr, plan = asked
    leaf, *_ = [parse_certificate(der) for der in chain]
    request = x509.load_der_x509_csr(csr).public_key()
    key = fingerprint_of(request.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    path = paths_below(judge.roots).ways(chain).at(judge.now)
    return brought_breaches(leaf, plan, (key, trust_class_of(chain[0], leaf, judge.issuers), path.flaw, judge.now))
