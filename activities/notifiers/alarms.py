"""The watcher's own ways out: mail without the workers, and a webhook.  To add one: a class, a line in ``routes_to``.

They are no channels to a person of the policy, so they are not in the table of this folder.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit

from activities.notifiers.base import AddressRefused, Letter, Post
from activities.notifiers.email import EmailNotifier
from domain.errors import BadInput, NotReady
from domain.tiers import Person, Role

TIMEOUT_SECONDS = 15


class Route(Protocol):
    def send(self, letter: Letter, key: str) -> None:
        """Hand ``letter`` over; ``key`` is the same at a repetition.  Raises NotReady: an alarm is tried again."""


def routes_to(post: Post, webhook: str, recipients: Callable[[], Sequence[str]]) -> dict[str, Route]:
    """The ways that are set, by name.  Raises BadInput where one cannot be one."""
    routes: dict[str, Route] = {}
    if post.smtp_url:
        # Refused here, at the start, and not by the first alarm.
        EmailNotifier(post)
        routes["mail"] = Mail(post, recipients)
    if webhook:
        routes["webhook"] = Webhook(webhook)
    return routes


@dataclass(frozen=True, slots=True)
class Mail:
    """``recipients``: whom the policy, or the settings, name at the moment."""

    post: Post
    recipients: Callable[[], Sequence[str]]

    def send(self, letter: Letter, key: str) -> None:
        """To each of them apart: one address that is refused keeps the letter from no other."""
        addresses = self.recipients()
        if not addresses:
            raise NotReady("nobody is named to be told: set EVERLEAF_WATCH_MAIL_TO")
        notifier, known = EmailNotifier(self.post), replace(letter, id=key)
        refused = []
        for number, address in enumerate(addresses, 1):
            try:
                notifier.send(known, Person(f"recipient {number}", "", address, Role.SECURITY_HEAD))
            except AddressRefused as problem:
                refused.append(str(problem))
        if len(refused) == len(addresses):
            raise NotReady(refused[0])


class Webhook:
    """``url`` may hold a token: it is in no error and no log."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput("EVERLEAF_WATCH_WEBHOOK", "is no address of HTTP", "Write https://host/path.")
        self._url = url

    def send(self, letter: Letter, key: str) -> None:
        """One POST of JSON, for a pager, a chat or an SMS gateway, which knows a repetition by the key."""
        body = json.dumps({"source": "everleaf watch", "subject": letter.subject, "text": letter.body, "key": key})
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        request = urllib.request.Request(self._url, body.encode(), headers, method="POST")  # noqa: S310 - see above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - see above
                pass
        except urllib.error.HTTPError as problem:
            raise NotReady(f"the webhook answers {problem.code}") from None
        except (OSError, ValueError) as problem:
            raise NotReady(f"the webhook does not answer: {type(problem).__name__}") from None
