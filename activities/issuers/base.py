"""What an issuer offers; to add one: a file here, and a line in the table of this folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy.engine import Engine

from domain.errors import CARefused
from domain.tiers import Issuer as IssuerTerms
from domain.tiers import Profile
from store.orders import Order


class IssuerEndsFirst(CARefused):
    """The CA's own certificate ends before what was ordered: every order to it would fail alike."""


class CertificateAuthority(Protocol):
    def issue(self, order: Order) -> tuple[bytes, ...] | None:
        """The chain (DER, leaf first, root left out) of ``order``; None while the CA has not answered.

        At most one certificate ever comes out of an order: a repetition gives the first.  Its facts are those of the
        order's plan.  Raises CARefused (never for this order) or CAUnavailable (try again).
        """

    def revoke(self, order: Order, reason: str) -> str:
        """Make the certificate of ``order`` invalid; empty once done, else what a person must do."""


@dataclass(frozen=True, slots=True)
class IssuerParts:
    """What issuers are made of.

    ``terms``, ``profiles`` and ``roots`` (PEM): of the policy in force, read when needed; a profile that is not there
    signs nothing.  ``failpoint``: test only.
    """

    engine: Engine
    kek: bytes = field(repr=False)
    clock: Callable[[], datetime]
    terms: Callable[[], Sequence[IssuerTerms]] = tuple
    profiles: Callable[[], Sequence[Profile]] = tuple
    failpoint: Callable[[str], None] = lambda _: None
    roots: Callable[[], Sequence[str]] = tuple
