"""What a deployer offers; to add one: a file here, and a line in the table of this folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from temporalio import activity

from domain.certificate import Life
from domain.terms import Target


def beat() -> None:
    """Tell Temporal that we live: before every wait, which must be shorter than the step's heartbeat (45 s)."""
    if activity.in_activity():
        activity.heartbeat()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a target needs: ``chain`` in PEM, leaf first; ``key`` is shown by nobody's repr."""

    fingerprint: str
    chain: bytes
    key: bytes = field(repr=False)


class Deployer(Protocol):
    def install(self, bundle: Bundle, target: Target) -> str:
        """Put ``bundle`` where ``target`` serves it, and make it serve; gives the fingerprint it replaced, or "".

        Idempotent per (bundle.fingerprint, target).  All or nothing: on error the old certificate is still served.
        Never a proof: what is really served is seen from outside.
        Raises TargetUnreachable (try again) or TargetRefused (a person must act).
        """

    def roll_back(self, fingerprint: str, target: Target) -> str:
        """Put back what ``target`` served before ``fingerprint``; gives the fingerprint that stands there now.

        Nothing happens where ``fingerprint`` does not stand there any more.  Raises as ``install`` does, TargetRefused
        also where nothing was kept or what was kept must not be served again.
        """


@dataclass(frozen=True, slots=True)
class DeployerParts:
    """``may_return(life, fingerprint)``: why ``life`` must not be served again in place of ``fingerprint``, or empty.

    Asked by every way back: an ordered roll-back, and the restoring after a reload that failed (DESIGN rule 4).
    ``roots``: of the policy in force, in PEM; they decide when what was there before ends.
    """

    clock: Callable[[], datetime]
    may_return: Callable[[Life, str], str] = lambda _life, _fingerprint: ""
    failpoint: Callable[[str], None] = lambda _: None
    roots: Callable[[], Sequence[str]] = tuple
