"""The words of a message: what happened, until when, what to do.  Made from ids, times and words of ours."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.notifiers.base import Letter
from domain.contracts import COMPARISON, Message
from domain.names import certificate_workflow

# The most urgent first: a letter with several messages opens with what cannot wait.
URGENCY = ("rung", "unroutable", "ask", "failed", "question", "closed")

HAPPENED = {
    "ask": "{names}: its renewal waits for your approval",
    "rung": "{names}: not replaced yet, it ends {ends}",
    "failed": "{names}: its renewal failed",
    "question": "{names}: a question only you can answer",
    "unroutable": "{names}: cannot be renewed as things stand",
    "closed": "{names}: its renewal is closed ({outcome})",
}

TO_DO = {
    "ask": "Read the plan, then approve, reject or hold it.",
    "rung": "Decide now, or find out what it waits for. It fires again until a replacement is verified.",
    "failed": "Look at what it said, repair the cause, then resume the case.",
    "question": "Answer on the certificate's page. Unanswered, the question climbs.",
    "unroutable": "Add what is missing to the policy. Unanswered, it climbs.",
    "closed": "Nothing: this ends what you were told before.",
}
GO_ON = "What was begun again goes on by itself. What is stuck, overdue or unknown needs an administrator."

# Facts that the letter words itself; every other one is listed as it is.
WORDED = frozenset(
    {"names", "more_names", "outcome", "generation", "plan_version", "case", "tier_reason", "again", "rung", "mark"}
)
LONGEST_NAMES = 120
LONGEST_HEADLINE = 160
NOT_WHOLE = (
    "The database of Everleaf does not answer now: details could not be read, no one-time code could be made, and\n"
    "this may have been told before. What follows is from the certificate's own workflow. Renewals wait for the\n"
    "database too: bring it back first, then open the page.\n\n"
)


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code by mail, and what it is good for."""

    code: str
    command_id: str
    case: int
    generation: int
    plan_version: str
    expires_at: datetime

    def paste(self) -> str:
        """What an approver pastes into "Send update" of the Temporal UI, for the update ``decide``."""
        shown = {
            "command_id": self.command_id,
            "code": self.code,
            "decision": "approve",
            "case": self.case,
            "generation": self.generation,
            "plan_version": self.plan_version,
            "seen": "awaiting-approval",
        }
        return json.dumps(shown)


def compose(messages: Sequence[tuple[Message, Code | None]], api_url: str, *, whole: bool = True) -> Letter:
    """One letter to one person about ``messages``, the most urgent first.

    Not ``whole``: the store could not be read, and the letter says so.
    """
    ordered = sorted(messages, key=lambda one: (_urgency(one[0]), one[0].ends_at or one[0].at))
    subject = _subject([message for message, _ in ordered])
    parts = [_part(message, code, api_url) for message, code in ordered]
    foot = "Everleaf sends this because the policy names you. Codes work once; do not forward them."
    body = ("" if whole else NOT_WHOLE) + "\n\n---\n\n".join(parts)
    told = [message for message, _ in messages]
    return Letter(line(f"[Everleaf] {subject}")[:200], f"{body}\n\n-- \n{foot}\n", _id(told), _thread(told))


def _id(told: Sequence[Message]) -> str:
    """Of the messages, not of the words: each attempt has a code of its own."""
    return " ".join(sorted(message.id for message in told))


def _thread(told: Sequence[Message]) -> str:
    """What a letter is about: one case, or exactly the same few; so what is told daily of the same is one thread.

    Each comparison of inventory and engine is a matter of its own, and so is a letter that has one among others.
    """
    if any(message.subject == COMPARISON for message in told):
        return ""
    return " ".join(sorted({_matter(message) for message in told}))


def _matter(message: Message) -> str:
    """Of a case everything is one matter; without one, each question and each life apart."""
    facts = dict(message.facts)
    of = f"case {facts['case']}" if "case" in facts else f"{message.topic} {message.subject}"
    return f"{message.managed_id}/{facts.get('generation', '')}/{of}"


def _urgency(message: Message) -> int:
    """What was lost comes right behind what is about to end."""
    return 1 if message.subject == COMPARISON else 2 * URGENCY.index(message.topic)


def _subject(messages: Sequence[Message]) -> str:
    """Counts certificates, not messages, and calls nothing urgent that only tells of an end."""
    first = _headline(messages[0])
    waiting = {message.managed_id for message in messages if message.topic != "closed"}
    told = {message.managed_id for message in messages}
    if len(waiting) > 1:
        return f"{len(waiting)} certificates need attention; first {first}"
    if len(told) > 1:
        others = len(told) - 1
        of = "no other needs attention" if waiting else "nothing needs attention"
        return f"{first}, and news of {others} more; {of}"
    return first


def _headline(message: Message) -> str:
    facts = dict(message.facts)
    if message.subject == COMPARISON:
        # Each of its facts is told in sentences, the gravest first.
        return next(iter(facts.values()), "inventory and engine differ").partition(". ")[0][:LONGEST_HEADLINE]
    names = facts.get("names", message.managed_id)[:LONGEST_NAMES]
    more = facts.get("more_names", "0")
    if more not in ("", "0"):
        names += f" and {more} more"
    ends = when(message.ends_at) if message.ends_at else "at an unknown time"
    return HAPPENED[message.topic].format(names=names, ends=ends, outcome=facts.get("outcome", "closed"))


def _part(message: Message, code: Code | None, api_url: str) -> str:
    lines = [_headline(message), ""]
    if message.ends_at is not None:
        # What a closed message knows is the certificate that was replaced.
        replaced = dict(message.facts).get("outcome") in ("verified", "superseded")
        lines.append(f"{'Old one ends:' if replaced else 'Ends:':<13}{' ' * replaced}{when(message.ends_at)}")
    if message.subject == COMPARISON:
        lines = [value for _, value in message.facts]
    else:
        lines += [f"{_label(name):<12} {value}" for name, value in message.facts if name not in WORDED and value]
    lines += ["", f"What to do:  {GO_ON if message.subject == COMPARISON else TO_DO[message.topic]}"]
    page = "/" if message.subject == COMPARISON else f"/certificates/{message.managed_id}"
    lines.append(f"Page:        {api_url}{page}")
    if code is not None:
        lines += _instructions(message, code)
    return "\n".join(map(line, lines))


def _instructions(message: Message, code: Code) -> list[str]:
    return [
        "",
        f"To approve without our pages, open the workflow {certificate_workflow(message.managed_id)} in the Temporal",
        "UI, choose Send update, name it decide and paste the following. Write reject or hold instead of approve if",
        f"you mean that. The code works once, until {when(code.expires_at)}:",
        "",
        code.paste(),
    ]


def when(at: datetime) -> str:
    return f"{at:%d %b %Y %H:%M} UTC"


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize() + ":"


def line(text: str) -> str:
    """Names come from certificates, which strangers write: one line, nothing that moves a cursor or a header."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
