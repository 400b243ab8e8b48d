"""What path validation said of one served chain (RFC 5280 6.1): decided in ``formats.paths``, read by every rule."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why a path is refused: the first words of every flaw."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WEAK_SIGNATURE = "weak signature"
    WEAK_KEY = "weak key"
    NAME_CONSTRAINTS = "name constraints violated"
    PATH_LENGTH = "path length exceeded"
    CRITICAL_EXTENSION = "unhandled critical extension"
    KEY_IDENTIFIER = "key identifier mismatch"
    NOT_A_CA = "issuer is no CA"
    UNREADABLE = "unreadable"
    BAD_SIGNATURE = "bad signature"
    MISSING_ISSUER = "missing issuer"
    # Of what was made to cost time, or has a dozen CAs: it may be good, and we do not build it to its end.
    TOO_LONG = "too long to build"


@dataclass(frozen=True, slots=True)
class Path:
    """The best path from a leaf upwards, through all that was served and the roots that the policy names.

    ``ends_at``: E, the earliest end on it below its root.  ``flaw``: why it is refused, ``reason: detail`` with the
    reason first; empty where it is good.  ``own_flaw``: the same of the leaf's own dates, key and signature, which are
    no fault of its chain and have findings of their own.
    ``rooted``: it ends at a root that the policy names.  ``has_strange_root``: the policy names roots, and it ends at a
    served root that is none of them.  ``issuer_spki``: SHA-256 (hex) of the key that verifies the leaf; empty where
    its issuer is not there.
    ``is_out_of_order``: what belongs to it was not served as one row, each behind what it issued.
    ``superfluous``: in words, what was served and does not belong to it; empty where nothing is.
    """

    ends_at: datetime
    flaw: str = ""
    own_flaw: str = ""
    rooted: bool = False
    has_strange_root: bool = False
    issuer_spki: str = ""
    is_out_of_order: bool = False
    superfluous: str = ""

    @property
    def is_good(self) -> bool:
        """The chain is as it should be; whether its leaf is, its own facts say."""
        return not self.flaw


def reason_of(flaw: str) -> Reason:
    """The reason with which ``flaw`` begins.  Raises ValueError for text that no path said."""
    return Reason(flaw.partition(":")[0])
