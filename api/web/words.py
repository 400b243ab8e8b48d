"""Facts of the read model as sentences: what happened, who must act, what happens next.

"You" is said only to the person meant; everybody else reads the role.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.refusals import is_blocked as is_blocked
from api.web.times import Times, number
from domain.lifecycle.rules import NEWEST, RULES
from domain.tiers import Person, Role
from store.access import Actor

Row = Mapping[str, Any]

SEVERITIES = ("critical", "major", "minor", "warning", "cleared")
TIERS = ("customer-facing", "network-critical", "internal", "unplaced")
HEAD = "the head of IT security"
ANSWERERS = (Role.OPERATOR, Role.SECURITY_HEAD, Role.ADMIN)
STAGES = {
    "awaiting-approval": "Awaiting approval",
    "rejected": "Rejected, asks again",
    "held": "Held",
    "ordering": "Ordering",
    "waiting-for-ca": "Waiting for the CA",
    "deploying": "Deploying",
    "unreachable-target": "Target unreachable",
    "verifying": "Verifying",
    "rolling-back": "Rolling back",
    "waiting-for-person": "Waiting for a person",
    "unroutable": "Unroutable",
    "sleeping": "Sleeping",
    "unseen": "Unseen",
    "retired": "Retired",
    "adopting": "Being adopted",
}
QUESTIONS = {
    "tier": "No rule places it. Which tier and service is it?",
    "owner": "Nobody owns it. Who answers for it?",
    "unseen": "It shows no certificate any more. Was it retired, moved, or is it broken?",
    "taken": "Another certificate has its place now. Was it retired, or did it move?",
    "moved-to": "It has moved. Where is it served now?",
    "repair": "It is to be repaired. Does it work again, or is it gone?",
    "different": "A certificate that differs from ours is served. Shall it take our place, or do we keep ours?",
    "foreign-certificate": "A certificate that is not ours is served. Is that known?",
    "drift": "An earlier certificate of ours is served again. Is that known?",
    "revocation": "A certificate must be revoked, and its CA does not do it for us. Did you revoke it?",
    "forked": "Its run was reset. Shall it go on from what is stored?",
    "undeliverable": "A message about it cannot be delivered. Is the address mended?",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and when; ``people``: whom the policy names; ``tokens``: id -> name of every token."""

    actor: Actor
    times: Times
    people: tuple[Person, ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_head(self) -> bool:
        return self.actor.role is Role.SECURITY_HEAD

    def name_of(self, actor: str) -> str:
        """Of "person/asha" the name that the policy gives her; anybody else as they are recorded."""
        kind, _, known_as = actor.partition("/")
        if kind == "token" and known_as in self.tokens:
            return f"the token “{self.tokens[known_as]}”"
        return next((one.name for one in self.people if kind == "person" and one.id == known_as), actor)

    def heads_but(self, actor: str) -> list[Person]:
        heads = [one for one in self.people if one.role is Role.SECURITY_HEAD]
        return [one for one in heads if f"person/{one.id}" != actor]

    def head(self, *, begin: bool = False) -> str:
        """The head of IT security, who reads "you"."""
        said = "you" if self.is_head else HEAD
        return said[0].upper() + said[1:] if begin else said


def happened(row: Row, reader: Reader) -> str:
    """One sentence: what stands in the way.  At most about 80 characters."""
    times, kinds = reader.times, {question["kind"] for question in row["questions"]}
    if row["retired"]:
        return "Retired: it is no longer governed. What happened, below, says by whom and why."
    findings = {str(finding).partition(":")[0] for finding in row["findings"]}
    stage = row.get("stage")
    if "rolled-back" in findings or row.get("rolled_back"):
        return "Rolled back: the new one was not served as it should be. The old one holds."
    for kind in SAID:
        if kind in kinds:
            return SAID[kind]
    if stage == "awaiting-approval":
        return _asked(row, reader)
    if stage == "rejected":
        who = f" by {reader.name_of(row['answered_by'])}" if row.get("answered_by") else ""
        return f"Its renewal was rejected{who}; it asks again {_soon(row.get('retry_at'), times)}."
    if stage == "unroutable":
        return f"No plan can renew it: {cause(row.get('failure') or 'no issuer or no target')}."
    if stage in ("waiting-for-person", "unreachable-target", "waiting-for-ca"):
        return f"{STAGES[stage]}: {cause(row.get('failure') or 'no answer yet')}."
    if stage == "held":
        return f"Held by its approver; ordered {_soon(row.get('retry_at'), times)}."
    if stage is not None:
        return f"{STAGES.get(stage, stage)}: a renewal is under way, opened {times.until(row['opened_at'])}."
    if "tier" in kinds:
        return "No rule places it: it runs on customer-facing dates until one does."
    if "owner" in kinds:
        return "Nobody owns it: name an owner for its service in the policy."
    if row["not_after"] <= times.now:
        return "Expired, and no case has been opened yet."
    return "; ".join(str(finding) for finding in row["findings"][:2]) or "Nothing to do."


SAID = {
    "revocation": "A certificate of it must be revoked by hand: its CA does not do it for us.",
    "different": "A certificate that differs from ours is served; somebody must say which of the two holds.",
    "foreign-certificate": "A certificate that is not ours is served in its place.",
    "drift": "Drift: an earlier certificate of ours is served again.",
    "forked": "Its run was reset in Temporal; it waits for a person before it goes on.",
    "unseen": "It shows no certificate any more. Its owner must say retired, moved or broken.",
    "taken": "Another certificate has its place now; its owner must say what became of it.",
    "moved-to": "It has moved, and nobody has said where to.",
    "repair": "It is to be repaired, and shows nothing yet.",
    "undeliverable": "A message about it could not be delivered: nobody has heard.",
}


def _asked(row: Row, reader: Reader) -> str:
    times = reader.times
    again = f"asks again {_soon(asks_again_at(row), times)}"
    if row["escalated"]:
        told = row.get("last_rung_at")
        when = f" {times.until(told)}" if told else ""
        quiet = row.get("acknowledged_until")
        if quiet is not None and quiet > times.now:
            return f"Escalated to {reader.head()}{when} and acknowledged; not approved, {again}."
        return f"Escalated to {reader.head()}{when}, no answer yet; {again}."
    asked = f" {times.until(row['asked_at'])}" if row.get("asked_at") else ""
    return f"Asked {reader.head()}{asked}; unanswered, it climbs {_soon(row.get('deadline'), times)}."


def asks_again_at(row: Row) -> datetime | None:
    """When the head hears of it next if nobody answers: the next rung, or the daily repetition of the last one."""
    if row["next_action"].startswith(TOLD_AGAIN):
        told_at: datetime | None = row["next_action_at"]
        return told_at
    coming = [row["deadline"]] if row.get("deadline") else []
    if row.get("last_rung_at"):
        repeated = row["last_rung_at"] + RULES[NEWEST].repeat_after
        coming.append(max(repeated, row.get("acknowledged_until") or repeated))
    return min(coming, default=None)


# ``domain.lifecycle.agenda`` says these of the ladder.
TOLD_AGAIN = ("the rung is repeated", "the head of IT security is told")


def cause(failure: str) -> str:
    """The first sentence of a failure: the rest stands in its timeline."""
    return failure.partition("\n")[0].partition(". ")[0].rstrip(".")


def _soon(at: datetime | None, times: Times) -> str:
    return times.until(at) if at is not None else "soon"


def verb(row: Row, reader: Reader) -> tuple[str, str]:
    """(label, address) of the one action that helps."""
    here = f"/certificates/{row['id']}"
    kinds = {question["kind"] for question in row["questions"]}
    if row.get("approval_id") and row.get("approval_state") in ("pending", "rejected") and not is_blocked(row):
        mine = reader.is_head and row.get("requested_by") != reader.actor.id
        return ("Review and approve" if mine else "Read the question"), f"/approvals/{row['approval_id']}"
    if kinds - {"tier", "owner"}:
        return ("Answer…" if reader.actor.role in ANSWERERS else "See what is asked"), f"{here}#questions"
    if row.get("stage") == "unroutable":
        return "See what is missing", here
    if "tier" in kinds:
        return ("Place it", f"{here}#tier") if reader.actor.role in ANSWERERS else ("See it", here)
    if "owner" in kinds:
        return "Find its owner", f"{here}#questions"
    if row.get("failure") or row.get("rolled_back"):
        return "See what broke", here
    return "See it", here


def stake(row: Row) -> tuple[str, str]:
    """(number, of what)."""
    if row["subscribers"]:
        return number(row["subscribers"]), "subscribers"
    return ("0", "subscribers") if row["service"] else ("?", "unknown")


def stands(row: Row, reader: Reader) -> str:
    """Where it stands, in a cell of a list."""
    kinds = {question["kind"] for question in row["questions"]}
    if row.get("rolled_back"):
        return "Rolled back"
    if row["state"] == "awaiting-approval":
        return f"Awaiting {'your' if reader.is_head else 'the head’s'} approval"
    for kind, said in (
        ("drift", "Drift"),
        ("different", "Another certificate"),
        ("foreign-certificate", "Foreign certificate"),
        ("forked", "Reset, waits"),
    ):
        if kind in kinds:
            return said
    if row["state"] == "sleeping" and row["next_action_at"] is not None:
        return f"Sleeps, next {reader.times.day(row['next_action_at'])}"
    return STAGES.get(row["state"], str(row["state"]))


def who_must_act(row: Row, reader: Reader) -> str:
    head = reader.head(begin=True)
    if row.get("approval_state") in ("pending", "rejected") and not is_blocked(row):
        return _who_approves(row, reader)
    levels = {question["level"] for question in row["questions"]}
    if "security-head" in levels:
        return f"{head}, because its owner has not answered."
    if row["questions"] and not row["owner"]:
        return f"{head}: nobody owns it, so what it asks is asked there."
    if row["questions"]:
        return f"Its owner, {row['owner']}; unanswered, it climbs to {reader.head()}."
    told = f" {head} {'have' if reader.is_head else 'has'} been told." if row["escalated"] else ""
    if row.get("rolled_back") or row.get("stage") in STUCK:
        who = f"Its owner, {row['owner']}" if row["owner"] else f"{head}, for nobody owns it"
        return f"{who}: what broke must be mended; then it goes on.{told}"
    return told.strip() or "Nobody: Everleaf does it by itself."


# Stages that a person must end: waiting alone mends nothing there.
STUCK = ("waiting-for-person", "unreachable-target", "unroutable")


def _who_approves(row: Row, reader: Reader) -> str:
    asker = row.get("requested_by") or ""
    if asker and not reader.heads_but(asker):
        asked = "you" if asker == reader.actor.id else reader.name_of(asker)
        return f"Nobody can: {asked} asked for it, and there is no other head of IT security. Name one in the policy."
    if asker and asker == reader.actor.id:
        return "Another head of IT security: you asked for it, and four eyes are two people."
    return f"{reader.head(begin=True)}. Whoever asked for it or changed its plan may not."


def next_sentence(row: Row, reader: Reader) -> str:
    at = row["next_action_at"]
    if row["retired"]:
        return "Nothing: it is retired."
    action = row["next_action"] or "it is looked at again"
    if action == "the rung is repeated":
        action = f"{reader.head()} {'are' if reader.is_head else 'is'} told again"
    action = {"look again": "it is looked at again"}.get(action, action)
    first = action[0].upper() + action[1:]
    when = f", {reader.times.until(at)}, {reader.times.short(at)}" if at is not None else ""
    if row["not_after"] <= reader.times.now:
        return f"{first}{when}. It has ended: {consequence(row)}"
    return f"{first}{when}. Without a replacement it ends {reader.times.short(row['not_after'])}: {consequence(row)}"


def consequence(row: Row) -> str:
    if row["subscribers"]:
        return f"{number(row['subscribers'])} subscribers of {row['service']} are hit."
    return f"whoever uses {row['service'] or 'it'} is hit."
