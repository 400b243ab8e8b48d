"""The rows of managed certificates, slots and findings, as adoption reads and writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.certificate import Slot
from domain.contracts import Observation, Terms
from domain.findings import Finding


@dataclass(frozen=True, slots=True)
class ManagedRow:
    """One managed certificate to write.  ``fingerprints``: newest last, those of its issued orders among them."""

    id: str
    fingerprints: tuple[str, ...]
    names: tuple[str, ...]
    terms: Terms

    @property
    def present(self) -> str:
        return self.fingerprints[-1]


@dataclass(frozen=True, slots=True)
class GovernedRow:
    """One managed certificate as the store knows it: not retired, with what its orders and its lifecycle have added.

    ``fingerprints``: newest last; ``names``: of the present certificate; ``policy_version``: of its terms;
    ``is_behind``: the row itself does not hold all of that yet.
    """

    id: str
    fingerprints: tuple[str, ...]
    names: tuple[str, ...]
    policy_version: str
    has_plan: bool
    is_behind: bool = False

    @property
    def present(self) -> str:
        return self.fingerprints[-1]


@dataclass(frozen=True, slots=True)
class SlotRow:
    """``target_key`` and ``target_chain``: the files of its deployment target; None where it has none.
    ``found``: the kinds of what discoveries found there, of the certificate ``found_of``; ``judged_in``: the newest of
    them that saw one there, empty for the one that is being adopted."""

    slot: Slot
    managed_id: str
    last_outcome: str
    last_fingerprint: str
    last_seen_at: datetime | None
    last_looked_at: datetime
    misses: int = 0
    last_ends_at: datetime | None = None
    last_chain_ok: bool = True
    last_flaw: str = ""
    last_rooted: bool = False
    target_key: str | None = None
    target_chain: str | None = None
    found: tuple[str, ...] = ()
    found_of: str = ""
    judged_in: str = ""

    @property
    def told(self) -> tuple[object, ...]:
        """What its lifecycle must hear of when it changes."""
        seen = (self.last_outcome, self.last_fingerprint)
        path = (self.last_ends_at, self.last_chain_ok, self.last_flaw, self.last_rooted)
        return self.managed_id, *seen, *path, tuple(self.found)


@dataclass(frozen=True, slots=True)
class FindingRow:
    fingerprint: str
    url: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class FileOwner:
    """A managed certificate with a plan whose ``slot`` has ``path`` as a file of its target.  ``name``: its first."""

    path: str
    slot: Slot
    managed_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to write, a batch at a time: in the order in which one refers to the other.

    ``new``: managed certificates that were not there; ``managed``: those whose row changes.
    """

    new: Sequence[ManagedRow] = ()
    managed: Sequence[ManagedRow] = ()
    slots: Sequence[SlotRow] = ()
    notices: Sequence[tuple[str, Observation]] = ()
    findings: Sequence[FindingRow] = ()
