"""What a person brings as the answer of a CA: judged before it counts, and told whole so that one trip mends it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.contracts import Plan
from domain.errors import BadInput
from domain.paths import Path
from domain.profiles import Proof, brought_breaches
from domain.tiers import Issuer
from formats.links import Link, signed_by
from formats.paths import Ways
from formats.roots import paths_below
from formats.x509 import fingerprint_of, issuer_of, may_issue, parse_certificate, trust_class_of


@dataclass(frozen=True, slots=True)
class Judge:
    """By what it is judged: the policy's issuers, whose trust classes hold, its roots (PEM), and the time.

    ``present``: DER of the certificate that the order replaces; empty where none is known.
    """

    issuers: Sequence[Issuer]
    roots: Sequence[str]
    now: datetime
    present: bytes = b""


@dataclass(frozen=True, slots=True)
class Judged:
    """``chain``: what is to be served of it (DER): the leaf, its path, no root and nothing that does not belong there.

    ``wrong``: everything because of which it does not answer the order; empty where it does.
    """

    chain: tuple[bytes, ...]
    wrong: tuple[str, ...]


def judged(blocks: Sequence[bytes], asked: tuple[bytes, Plan], judge: Judge) -> Judged:
    """``blocks`` (DER, in any order, not empty) as the answer to ``asked`` = (CSR, plan).

    The leaf is the one that holds the request's key; CAs hand their bundles out in every order.  Where several do, as
    after a second try at one CA, the one with the fewest faults is meant, the longest-lived of those.
    Raises BadInput where a certificate cannot be read.
    """
    if not blocks:
        raise BadInput("chain", "is empty", "Bring the certificate and what stands between it and its root, in PEM.")
    csr, plan = asked
    request = x509.load_der_x509_csr(csr).public_key()
    key = fingerprint_of(request.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    once = tuple(dict.fromkeys(blocks))
    ours = [der for der in once if Link(der).spki_sha256 == key] or [_likeliest_leaf(once)]
    answers = (_Answer(der, once, judge) for der in ours)
    found = [Judged(answer.served(), answer.breaches(plan, key)) for answer in answers]
    return min(found, key=lambda one: (len(one.wrong), -Link(one.chain[0]).not_after.timestamp()))


def _likeliest_leaf(blocks: Sequence[bytes]) -> bytes:
    """Of what holds another key than the request: the one that can only be a leaf, so that its faults are told."""
    return next((der for der in blocks if not may_issue(der)), blocks[0])


class _Answer:
    """One leaf, with all that was brought beside it in whatever order."""

    def __init__(self, leaf: bytes, blocks: Sequence[bytes], judge: Judge) -> None:
        self._leaf, self._judge = leaf, judge
        self._chain = (leaf, *(der for der in blocks if der != leaf))
        self._ways: Ways = paths_below(judge.roots).ways(self._chain)
        self._path: Path = self._ways.at(judge.now)

    def breaches(self, plan: Plan, key: str) -> tuple[str, ...]:
        facts = parse_certificate(self._leaf)
        issuer = next((one for one in self._judge.issuers if one.name == plan.issuer), None)
        stranger = self._why_a_stranger(issuer, plan.issuer)
        if issuer is not None and not stranger:
            # Proven by a key: a name, which anybody may write, says nothing against it.
            trust_class = issuer.trust_class
        else:
            trust_class = trust_class_of(self._leaf, facts, self._judge.issuers)
        proof = Proof(self._judge.now, key, trust_class, self._path.flaw, stranger)
        return brought_breaches(facts, plan, proof)

    def served(self) -> tuple[bytes, ...]:
        """As RFC 8446 4.4.2 has it: the leaf, each behind what it issued, then further ways for other clients."""
        row = self._ways.row()
        useful = {link.der for way in self._ways.found for link in way.links if link.not_after > self._judge.now}
        rest = [der for der in self._chain if der not in row and der in useful]
        return (self._leaf, *(der for der in (*row[1:], *rest) if not Link(der).is_self_signed))

    def _why_a_stranger(self, issuer: Issuer | None, name: str) -> str:
        """Why it does not come from the plan's issuer, or empty.

        It does below a root that the policy names for that issuer.  For one without roots of its own, below any root
        of the policy, where the CA's name is one that it goes by.  And from the very key that signed the present
        certificate, where that came from this issuer.
        """
        if issuer is None:
            return f"the policy has no issuer {name} any more, so that nothing can come from it"
        if any(self._proofs(issuer)):
            return ""
        told = f"it does not come from {name}: no root that the policy names for it stands above it"
        return f"{told}, and another key than the present one's CA signed it (to name one: roots of issuer {name})"

    def _proofs(self, issuer: Issuer) -> Iterator[bool]:
        if issuer.roots:
            below = paths_below(issuer.roots).ways(self._chain).at(self._judge.now)
            # A way through what is no CA proves nothing.  Where no way at all is good, that is told by itself.
            yield below.rooted and (below.is_good or not self._path.is_good)
        else:
            yield self._path.rooted and self._is_called(self._leaf, issuer)
        present = self._judge.present
        if present and self._is_called(present, issuer):
            old = Link(present)
            uppers = (way.links[1] for way in self._ways.found if len(way.links) > 1)
            yield any(upper.subject == old.issuer and signed_by(old, upper) for upper in uppers)

    def _is_called(self, der: bytes, issuer: Issuer) -> bool:
        known = issuer_of(parse_certificate(der).issuer, self._judge.issuers)
        return known is not None and known.name == issuer.name
