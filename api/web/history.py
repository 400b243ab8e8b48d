"""Recorded events as sentences: what happened, by whom.  What only a machine needs is left to the timeline of the API.

To add one: a row in SENTENCES; ``{name}`` takes a fact of the event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.web import text

# "" : of no interest to a person.
SENTENCES: dict[str, str] = {
    "notice_came": "",
    "notice_read": "",
    "consult_delayed": "",
    "adopted": "Adopted by discovery, with {slots_count} where it is served.",
    "terms_changed": "The policy changed what holds for it.",
    "slots_changed": "Served in {slots_count} now.",
    "slots_joined": "Served in {slots_count} more.",
    "slots_taken": "Another certificate has {slots_count} of it now.",
    "looks_taken": "",
    "look_scheduled": "",
    "case_opened": "Renewal case {number} opened: {cause_words}.",
    "approval_asked": "Asked for approval of plan {version}.",
    "became_unroutable": "No plan can renew it: {why}.",
    "decision_reserved": "",
    "code_burnt": "",
    "reservation_ended": "",
    "decision_refused": "A message ({message}) was refused: {reason}.",
    "approved": "Approved by {approver}{hold}.",
    "rejected": "Rejected by {approver}; it asks again.",
    "order_intended": "Order {order_key} intended.",
    "order_accepted": "Ordered: key made, request stored.",
    "order_pending": "The CA has not answered yet. {detail}",
    "certificate_issued": "Issued: a new certificate until {life_ends}.",
    "order_closed": "Order closed as {reason}. {detail}",
    "order_revoked": "The certificate of {order_key} was revoked.",
    "revocation_delayed": "Its revocation waits. {detail}",
    "step_failed": "{step} failed: {detail}",
    "retry_due": "",
    "budget_spent": "{failures} failures: its owner is called.",
    "installed": "Installed in {slots_count}; not yet looked at.",
    "verification_looked": "Looked: {verified_count} serve it, {wrong_count} something else, {silent_count} silent.",
    "rollback_ordered": "Roll-back ordered: {why}.",
    "rollback_withheld": "Not rolled back: {why}.",
    "rolled_back": "Rolled back in {slots_count}; the old one is served again.",
    "case_closed": "Case {number} closed: {outcome}{left_words}.",
    "generation_began": "Generation {generation} began, until {life_ends}.",
    "rungs_passed": "",
    "rung_fired": "{mark}: told {to_words}{again_words}{place_words}.",
    "owner_called": "Its owner was called: {why}.",
    "acknowledged": "Acknowledged for {level}: quiet until {until}. It approves nothing.",
    "question_asked": "Asked {to_words}: {question}. {detail}",
    "question_ended": "The question {question} was answered: {answer}.",
    "finding_raised": "Found: {finding}. {detail}",
    "finding_cleared": "No longer found: {finding}.",
    "foreign_seen": "A certificate that is not ours was seen in its place.",
    "served_ends": "",
    "end_moved": "The path that is served ends at another time now: {ends_at}.",
    "hold_moved": "Its order is held until {until}.",
    "suspect_seen": "A certificate renewed by hand was seen, look {looks}.",
    "suspect_forgotten": "",
    "told": "",
    "undeliverable": "A message could not be delivered.",
    "forked": "Its run was reset: it waits for a person.",
    "resumed": "Resumed.",
    "roll_asked": "",
    "rules_taken": "Led under the rules {rules} from here on.",
    "facts_read": "What was not written down before was read from its certificates.",
    "clock_doubted": "A look at {url} was dated ahead of us and moved nothing: a clock is wrong.",
    "clock_trusted": "A look with a right date came: the clock is trusted again.",
    "look_broke": "",
    "places_released": "Given up in {slots_count}: {why}.",
    "move_settled": "What has moved is served nowhere else.",
    "repair_promised": "To be repaired in {slots_count}.",
    "repair_made": "Said to be repaired in {slots_count}.",
    "judged": "The certificate {short_print} was judged: {verdict}.",
    "approval_ended": "The approval of plan {version} was not used in time, and is asked anew.",
    "revocation_owed": "Order {order_key} must be revoked by a person: {why}.",
    "question_changed": "",
    "delivery_mended": "Messages to {person} are said to arrive again.",
    "record_was_refused": "The store did not take what was recorded: {detail}",
    "record_gap": "A gap for ever: what was recorded as events {first} to {last} is lost. The store had said: {why}",
    "record_was_taken": "The store has taken what it had refused.",
    "retired": "Retired: {reason}.",
}
CAUSES = {"lead-time": "its time had come", "renew-now": "asked for by hand", "expired": "it had ended"}
AUDIENCE = {"security-head": "the head of IT security", "owner": "its owner"}


NameOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Happening:
    """``said``: our words, with foreign text inside: to be shown, not trusted.  ``times``: so often in a row, first
    at ``since``."""

    at: datetime
    said: str
    by: str
    times: int = 1
    since: datetime | None = None


def happenings(events: list[dict[str, Any]], name_of: NameOf, most: int = 40) -> list[Happening]:
    """Newest first, without what says nothing to a person; what was said again and again stands once."""
    found: list[Happening] = []
    for event in events:
        happening = happening_of(event, name_of)
        if happening is None:
            continue
        if found and (found[-1].said, found[-1].by) == (happening.said, happening.by):
            found[-1] = replace(found[-1], times=found[-1].times + 1, since=happening.at)
        else:
            found.append(happening)
    return found[:most]


def happening_of(event: Mapping[str, Any], name_of: NameOf = str) -> Happening | None:
    """None for what says nothing to a person; a kind of a later release is named as it is."""
    sentence = SENTENCES.get(event["kind"], f"{event['kind'].replace('_', ' ')}.")
    if not sentence:
        return None
    facts = _words(event["facts"])
    if "approver" in facts:
        facts["approver"] = name_of(facts["approver"])
    said = " ".join(sentence.format_map(_Facts(facts)).split())
    # A sentence that names who decided says it once.
    by = "" if event["by"] == "everleaf" or "approver" in facts else name_of(str(event["by"]))
    return Happening(datetime.fromisoformat(event["at"]), said, by)


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def _words(facts: Mapping[str, Any]) -> dict[str, str]:
    words = {name: str(value) for name, value in facts.items() if isinstance(value, str | int)}
    for name in ("slots", "verified", "wrong", "silent"):
        count = len(facts.get(name) or ())
        words[f"{name}_count"] = text.count(count, "place") if name == "slots" else str(count)
    words["cause_words"] = CAUSES.get(words.get("cause", ""), words.get("cause", ""))
    words["to_words"] = AUDIENCE.get(words.get("to", ""), "")
    words["again_words"] = " again" if facts.get("again") else ""
    words["place_words"] = f", for what is served at {words['place']}" if words.get("place") else ""
    left = len(facts.get("left_out") or ())
    words["left_words"] = f", and {text.count(left, 'place')} that did not answer left out" if left else ""
    words["short_print"] = words.get("fingerprint", "")[:16]
    words["version"] = words.get("plan_version", "")[:8]
    words["hold"] = f", held until {_day(facts['hold_until'])}" if facts.get("hold_until") else ""
    words["life_ends"] = _day(facts["life"]["ends_at"]) if facts.get("life") else ""
    words["ends_at"] = _day(words["ends_at"]) if "ends_at" in words else ""
    words["until"] = _day(words["until"]) if "until" in words else ""
    if "mark" in words:
        words["mark"] = words["mark"][:1].upper() + words["mark"][1:]
    return words


def _day(text: str) -> str:
    return f"{datetime.fromisoformat(text):%d %b %Y %H:%M} UTC"
