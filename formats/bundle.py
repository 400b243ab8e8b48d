"""A PEM file may hold its certificates in any order, and may hold what does not belong together: which is the leaf."""

from collections.abc import Sequence

from domain.errors import BadInput
from formats.links import Link, signed_by
from formats.x509 import in_path_order, load_pem_chain, may_issue, parse_certificate

# More than this is a store of roots, and its square more signatures than are worth checking.
MAX_CHAIN = 12

_REMEDY = "Give each a file of its own, or take this one out of the scope."


def load_bundle(data: bytes) -> tuple[bytes, ...]:
    """The DER of every certificate in ``data``: the leaf first, then its path, then what else is there.

    The leaf is the one that issued none of the others; of several, the one that is no CA; of CAs alone, the one that
    another of the file issued.  A file that begins with its leaf keeps its order, for so it is served.
    Raises BadInput as ``load_pem_chain`` does, and where several could be the leaf: what is used is not guessed.
    """
    ders = load_pem_chain(data)
    once = tuple(dict.fromkeys(ders))
    leaf = once[0] if len(once) == 1 else _leaf(once)
    if leaf == ders[0]:
        return ders
    path = in_path_order((leaf, *(der for der in once if der != leaf)))
    return *path, *(der for der in once if der not in path)


def _leaf(ders: Sequence[bytes]) -> bytes:
    own = [der for der in ders if not may_issue(der)]
    if len(ders) > MAX_CHAIN:
        # A store of roots, or one leaf with a store behind it.
        found = own
    else:
        lowest = [der for der in ders if not any(_issued(der, other) for other in ders if other != der)]
        found = [der for der in lowest if der in own] or lowest
        if len(found) > 1 and not any(der in own for der in found):
            found = [der for der in found if any(_issued(other, der) for other in ders if other != der)]
    if len(found) == 1:
        return found[0]
    some = " and ".join(parse_certificate(der).subject[:60] for der in (found or ders)[:2])
    told = f"holds {len(ders)} certificates, and which of them is used cannot be told ({some}). {_REMEDY}"
    raise BadInput("chain", told)


def _issued(upper: bytes, lower: bytes) -> bool:
    above, below = Link(upper), Link(lower)
    return below.issuer == above.subject and signed_by(below, above)
