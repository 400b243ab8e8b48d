"""Paths from a leaf to a root, through whatever a stranger put into one chain: in no order, with gaps and loops.

The peer is ``openssl verify`` at ``-auth_level 2``, without ``-x509_strict`` and without a purpose.  Every path is
tried and the best taken, where OpenSSL goes one way without turning back: what it calls good is good here, and what it
refuses is refused here unless another way through the same certificates is good.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from domain.errors import BadInput
from domain.paths import Path, Reason
from formats.extensions import word
from formats.links import Link, Name, signed_by
from formats.name_constraints import violation

# Bounds of the work that one hostile chain can ask for.  A TLS handshake carries some hundred certificates, a file of
# roots more; a path of the field has three.
MOST_SERVED = 300
LONGEST_PATH = 12
MOST_STEPS = 500
# The slowest signature that OpenSSL agrees to check takes some 2 ms.
MOST_SIGNATURES = 200
# Intermediates and roots are shared by thousands of leaves, and read once.
MOST_REMEMBERED = 2000

_CONSTRAINTS = "2.5.29.30"

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Way:
    """One way upwards, judged without a clock.  ``links``: the leaf first.

    ``flaw``: why no client takes it at any time; ``ends_at``: its earliest end below the root.
    """

    links: tuple[Link, ...]
    rooted: bool
    has_root: bool
    flaw: str
    ends_at: datetime

    def flaw_at(self, now: datetime) -> str:
        """Why a client refuses what stands above the leaf at ``now``.  A root's dates count, as they do in OpenSSL."""
        return next((found for one in self.links[1:] if (found := _untimely(one, now))), self.flaw)


@dataclass(frozen=True, slots=True)
class Ways:
    """All ways that one chain has, and what was served: a ``Path`` at any time costs no signature any more."""

    leaf: Link
    served: tuple[bytes, ...]
    above: tuple[Link, ...]
    found: tuple[Way, ...]
    has_anchors: bool

    def at(self, now: datetime) -> Path:
        """The best path at ``now``: the good one that ends last, one that ends at a root of the policy first.

        Where none is good, its end is the earliest of all that was found: an alarm may come early, never late.
        """
        best, flaw, ends_at = self._best([(way, way.flaw_at(now)) for way in self.found])
        own = _untimely(self.leaf, now) or _own_flaw(self.leaf, best)
        return self._path(best, ends_at, flaw, own, self._needless(best, now))

    def at_any_time(self) -> Path:
        """The same without a clock: of the ways that some client takes at some time, the one that ends last."""
        best, flaw, ends_at = self._best([(way, way.flaw) for way in self.found])
        return self._path(best, ends_at, flaw, _own_flaw(self.leaf, best), "")

    def _best(self, judged: Sequence[tuple[Way, str]]) -> tuple[Way, str, datetime]:
        good = [(way, flaw) for way, flaw in judged if not flaw]
        best, flaw = max(good or judged, key=lambda one: (one[0].rooted, one[0].ends_at))
        return best, flaw, best.ends_at if good else min(way.ends_at for way, _ in judged)

    def _path(self, best: Way, ends_at: datetime, flaw: str, own_flaw: str, superfluous: str) -> Path:
        row = self._row(best)
        issuer = best.links[1] if len(best.links) > 1 else best.links[0]
        return Path(
            ends_at=ends_at,
            flaw=flaw,
            own_flaw=own_flaw,
            rooted=best.rooted,
            has_strange_root=self.has_anchors and not best.rooted and best.has_root and len(best.links) > 1,
            issuer_spki=issuer.spki_sha256 if len(best.links) > 1 or issuer.is_self_signed else "",
            is_out_of_order=self.served[: len(row)] != row,
            superfluous=superfluous,
        )

    def row(self) -> tuple[bytes, ...]:
        """What was served of the way that ends last (DER), the leaf first, each behind what it issued."""
        return self._row(max(self.found, key=lambda way: (not way.flaw, way.rooted, way.ends_at)))

    def _row(self, way: Way) -> tuple[bytes, ...]:
        return tuple(link.der for link in way.links if link.der in self.served)

    def _needless(self, best: Way, now: datetime) -> str:
        """A second way, for clients that know another root, is no fault; what has ended or leads nowhere is one."""
        if len(self.found) == 1 and all(one in best.links for one in self.above):
            return ""
        useful = {link for way in self.found for link in way.links}
        needless = [one for one in self.above if one not in best.links and (one not in useful or one.not_after <= now)]
        if not needless:
            return ""
        more = f" and {len(needless) - 1} more" if len(needless) > 1 else ""
        return f"{needless[0]}{more}, which {'has ended' if needless[0].not_after <= now else 'issued nothing of it'}"


class PathBuilder:
    """Finds the ways of chains below ``anchors``: the roots (DER) that the policy names, or intermediates as such.

    Several threads may ask one.

    A path ends at the first of these; at a served certificate that is signed by its own key; or, as servers leave
    their root out (RFC 8446 4.4.2), at an intermediate whose issuer was not served.  A lone leaf whose issuer is
    neither served nor an anchor is a gap.  An anchor need not be self-signed (OpenSSL: ``-partial_chain``): whoever
    names an intermediate trusts it; but as it hangs on a root elsewhere, its end counts for E, and a root's does not.
    """

    def __init__(self, anchors: Sequence[bytes] = ()) -> None:
        self._links: dict[bytes, Link] = {}
        self._signed: dict[tuple[bytes, str], bool] = {}
        self._anchors: dict[Name, list[Link]] = {}
        for der in dict.fromkeys(anchors):
            if (link := self._remembered(der)) is not None:
                self._anchors.setdefault(link.subject, []).append(link)

    def ways(self, chain: Sequence[bytes]) -> Ways:
        """Of ``chain`` (DER as served, leaf first).  Raises BadInput where its leaf cannot be read."""
        if not chain:
            raise BadInput("chain", "is empty", "Give the leaf first.")
        leaf = Link(chain[0])
        others = list(dict.fromkeys(chain[1 : MOST_SERVED + 1]))
        pool = [link for der in others if der != leaf.der and (link := self._remembered(der)) is not None]
        walk = _Walk(self._anchors, sorted(pool, key=lambda one: one.not_after, reverse=True), self._is_signed)
        found = tuple(self._judged(*one) for one in walk.onwards((leaf,)))
        return Ways(leaf, tuple(chain), tuple(pool), found, bool(self._anchors))

    def _judged(self, links: tuple[Link, ...], flaw: str) -> Way:
        top = links[-1]
        rooted = top in self._anchors.get(top.subject, ())
        is_root = rooted or top.is_self_signed
        below = links[:-1] if len(links) > 1 and top.is_self_signed else links
        # A way that ends nowhere is not looked at any closer: a maze has hundreds of them.
        found = flaw or next(_flaws(links, is_root), "")
        return Way(links, rooted, top.is_self_signed, found, min(link.not_after for link in below))

    def _remembered(self, der: bytes) -> Link | None:
        """What cannot be read cannot stand in a path; that it was served is a finding of its own."""
        found = self._links.get(der)
        if found is None:
            try:
                found = Link(der)
            except BadInput:
                return None
            _keep(self._links, der, found)
        return found

    def _is_signed(self, lower: Link, upper: Link) -> bool:
        """Remembered by the key of ``upper``, so that twins of one key cost one signature."""
        pair = (lower.der, upper.spki_sha256)
        found = self._signed.get(pair)
        if found is None:
            found = bool(pair[1]) and signed_by(lower, upper)
            _keep(self._signed, pair, found)
        return found


def _keep(known: dict[K, V], key: K, value: V) -> None:
    """Looks run in threads: another one may empty ``known`` at any moment, so that nobody reads back what they kept."""
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = value


class _Walk:
    """From one leaf upwards, depth first, within the bounds.  ``pool``: what was served, the longest-lived first."""

    def __init__(
        self, anchors: Mapping[Name, Sequence[Link]], pool: Sequence[Link], is_signed: Callable[[Link, Link], bool]
    ) -> None:
        self._anchors, self._pool, self._is_signed = anchors, pool, is_signed
        self._steps = 0
        self._asked: set[tuple[bytes, str]] = set()

    def onwards(self, links: tuple[Link, ...]) -> Iterator[tuple[tuple[Link, ...], str]]:
        """Every way that begins with ``links``, each with what is wrong with how it ends."""
        self._steps += 1
        top = links[-1]
        if top in self._anchors.get(top.subject, ()) or top.is_self_signed:
            yield links, ""
            return
        served = [one for one in self._pool if one.subject == top.issuer]
        uppers = [one for one in (*self._anchors.get(top.issuer, ()), *served) if self._verifies(top, one)]
        fresh = [one for one in dict.fromkeys(uppers) if one not in links]
        if not fresh:
            yield links, self._gap(links, served, bool(uppers))
            return
        if told := self._bound(links):
            yield links, told
            return
        for upper in fresh:
            if self._steps < MOST_STEPS:
                yield from self.onwards((*links, upper))

    def _bound(self, links: tuple[Link, ...]) -> str:
        """Why no more is built upon ``links``, though something is there."""
        if len(links) >= LONGEST_PATH:
            return f"{Reason.TOO_LONG}: it goes on above {links[-1]}, number {LONGEST_PATH} of it"
        if self._steps >= MOST_STEPS:
            return f"{Reason.TOO_LONG}: no root was found in {MOST_STEPS} steps"
        return ""

    def _verifies(self, lower: Link, upper: Link) -> bool:
        pair = (lower.der, upper.spki_sha256)
        if pair not in self._asked and len(self._asked) >= MOST_SIGNATURES:
            return False
        self._asked.add(pair)
        return self._is_signed(lower, upper)

    def _gap(self, links: tuple[Link, ...], served: Sequence[Link], is_circle: bool) -> str:
        top = links[-1]
        if is_circle:
            return f"{Reason.MISSING_ISSUER}: what was served leads in a circle, and to no root"
        if any((top.der, one.spki_sha256) not in self._asked for one in served):
            return f"{Reason.TOO_LONG}: who issued {top} was not found with {MOST_SIGNATURES} signatures"
        # An anchor of that name and another key is another CA; one that was served stands for the issuer, wrongly.
        wrong = next((one for one in served if not one.mismatch(top)), None)
        if wrong is not None:
            return f"{Reason.BAD_SIGNATURE}: {top} names {wrong} as its issuer, whose key did not sign it"
        if len(links) == 1:
            return f"{Reason.MISSING_ISSUER}: the issuer of {top} was not served, and is no root that the policy names"
        return ""


def _flaws(links: tuple[Link, ...], is_root: bool) -> Iterator[str]:
    """What every client refuses at any time, the lowest first."""
    uppers = links[1:]
    for place, (lower, upper) in enumerate(zip(links, uppers, strict=False), 1):
        is_top = is_root and place == len(uppers)
        if objection := (upper.objection_as_root if is_top else upper.objection):
            yield f"{Reason.NOT_A_CA}: {upper}: {objection}"
        if upper.mismatch(lower):
            yield f"{Reason.KEY_IDENTIFIER}: {lower} asks for another issuer than {upper}"
        if lower.is_taken_for_self_signed:
            # There OpenSSL goes no further.
            yield f"{Reason.KEY_IDENTIFIER}: {lower} is issued by its own name, and names no other key"
        if weakness := upper.key_facts.weakness:
            yield f"{Reason.WEAK_KEY}: {upper}: {weakness}"
        if upper.weak_signature and not is_top:
            yield f"{Reason.WEAK_SIGNATURE}: {upper}: {upper.weak_signature}"
    for link in links:
        if refused := sorted(link.extensions.refused):
            yield f"{Reason.UNREADABLE}: {link}: its {word(refused[0])} cannot be read, or is there twice"
        if link.unhandled:
            yield f"{Reason.CRITICAL_EXTENSION}: {link}: {link.unhandled}"
    yield from _too_long(links)
    yield from _misnamed(links)


def _too_long(links: tuple[Link, ...]) -> Iterator[str]:
    """RFC 5280 6.1.4 (l) and (m): certificates that are issued to oneself do not count."""
    between = 0
    for upper in links[1:]:
        limit = upper.path_length
        if limit is not None and between > limit:
            yield f"{Reason.PATH_LENGTH}: {upper} allows {limit} CAs below it, and {between} are there"
        between += not upper.is_self_issued


def _misnamed(links: tuple[Link, ...]) -> Iterator[str]:
    for place, upper in enumerate(links[1:], 1):
        if _CONSTRAINTS not in upper.extensions.present:
            continue
        for lower in (links[0], *(one for one in links[1:place] if not one.is_self_issued)):
            if told := violation(upper, lower, is_leaf=lower is links[0]):
                yield f"{Reason.NAME_CONSTRAINTS}: {upper}: {told}"


def _own_flaw(leaf: Link, way: Way) -> str:
    if weakness := leaf.key_facts.weakness:
        return f"{Reason.WEAK_KEY}: {weakness}"
    is_own_root = len(way.links) == 1 and leaf.is_self_signed
    return f"{Reason.WEAK_SIGNATURE}: {leaf.weak_signature}" if leaf.weak_signature and not is_own_root else ""


def _untimely(link: Link, now: datetime) -> str:
    if link.not_after <= now:
        return f"{Reason.EXPIRED}: {link} ended at {link.not_after:%Y-%m-%d %H:%M} UTC"
    if link.not_before > now:
        return f"{Reason.NOT_YET_VALID}: {link} begins only at {link.not_before:%Y-%m-%d %H:%M} UTC"
    return ""
