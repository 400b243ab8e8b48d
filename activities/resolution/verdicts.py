"""How long what path building said of a chain holds, so that an unchanged estate costs no signature."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path as File

import cryptography
from cryptography.hazmat.backends.openssl.backend import backend
from sqlalchemy.engine import Connection

import domain
import formats
from domain.certificate import Certificate
from domain.errors import BadInput
from domain.paths import Path
from domain.tiers import Policy
from formats.roots import anchors_of
from formats.x509 import parse_certificate
from store.sightings.chains import JudgedChain, judged_chains

Chain = tuple[str, ...]


class Verdicts:
    """Of one judge: our code, the library below it, and the roots that the policy names."""

    def __init__(self, policy: Policy) -> None:
        roots = anchors_of(policy.roots)
        self._judge = hashlib.sha256(b"".join((_code(), *(hashlib.sha256(der).digest() for der in roots)))).hexdigest()
        self._dates: list[datetime] = []
        try:
            self._dates = _dates_of([parse_certificate(der) for der in roots])
            self._may_keep = True
        except BadInput:
            # A root without readable dates: nobody can say how long anything below it holds.
            self._may_keep = False

    def of(self, connection: Connection, chains: Mapping[Chain, datetime]) -> dict[Chain, JudgedChain]:
        """Those of ``chains`` that were judged before, as long as that holds at the time beside them."""
        keys = {_key(chain): chain for chain in chains}
        known = judged_chains(connection, keys, self._judge)
        return {keys[key]: one for key, one in known.items() if one.holds(chains[keys[key]])}

    def kept(self, chain: Chain, at: datetime, path: Path, facts: Sequence[Certificate]) -> list[JudgedChain]:
        """What may be kept of ``path``, said ``at`` that time of ``chain``, whose certificates are ``facts``."""
        dates = [*self._dates, *_dates_of(facts)]
        if not self._may_keep or at in dates:
            # At a date itself, whether it has passed already is for the judge to say, each time.
            return []
        begun = max((date for date in dates if date < at), default=None)
        ends = min((date for date in dates if date > at), default=None)
        return [JudgedChain(_key(chain), self._judge, begun, ends, path)]


def judging_files() -> list[File]:
    """The code of the judge.  More of it than judges, so that no import needs to be followed: the price is that some
    releases judge everything once more."""
    rooms = (File(domain.__path__[0]), File(formats.__path__[0]))
    return [file for room in rooms for file in sorted(room.glob("*.py"))]


@cache
def _code() -> bytes:
    """SHA-256 over all that judges: read from the files, for a number would be forgotten when one of them changes.

    OpenSSL checks the signatures, and may be another one under the same library.
    """
    below = (cryptography.__version__, backend.openssl_version_text())
    parts = [hashlib.sha256(file.read_bytes()).digest() for file in judging_files()]
    return hashlib.sha256(b"".join((*(version.encode() + b"\0" for version in below), *parts))).digest()


def _dates_of(certificates: Sequence[Certificate]) -> list[datetime]:
    return [date for one in certificates for date in (one.not_before, one.not_after)]


def _key(chain: Chain) -> str:
    return hashlib.sha256("\n".join(chain).encode()).hexdigest()
