"""The policy in force: that of the file, or the last good one of the store, by which the workers go meanwhile."""

import logging
from dataclasses import dataclass
from pathlib import Path

from api.parts import Parts
from domain.errors import BadPolicy, NotReady
from domain.tiers import Policy
from formats.policy import kept_policy, parse_policy
from store import access

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InForce:
    """``problem``: why the file is refused, so that it is not the policy; empty where it is, or where none is named."""

    policy: Policy
    problem: str = ""


def policy_in_force(parts: Parts) -> InForce | None:
    """None where this process is given no file and no worker ever took one up.

    Raises NotReady for a bad file that has no good one before it: whoever keeps the policy must correct it, and it is
    no mistake of the caller.
    """
    file = Path(parts.policy)
    refused: BadPolicy | None = None
    if parts.policy and file.is_file():
        try:
            return InForce(parse_policy(file.read_bytes(), file.name))
        except BadPolicy as error:
            refused = error
            log.warning("policy refused, the last good one holds", extra={"line": error.line, "field": error.field})
    kept = access.last_policy(parts.engine)
    if kept is None and refused is None:
        return None
    told = f"The policy file is refused: {refused}" if refused else ""
    if kept is None:
        raise NotReady(told)
    try:
        return InForce(kept_policy(kept.text, kept.version), told)
    except BadPolicy as error:
        raise NotReady(f"{told} The last good one cannot be read by this release: {error}".strip()) from error
