"""The ways to reach a person, by the name of the channel."""

from collections.abc import Callable

from activities.notifiers.base import Letter, Notifier, Post, Undeliverable
from activities.notifiers.email import EmailNotifier

NOTIFIERS: dict[str, Callable[[Post], Notifier]] = {
    "email": EmailNotifier,
}

__all__ = ["NOTIFIERS", "Letter", "Notifier", "Post", "Undeliverable"]
