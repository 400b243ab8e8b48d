"""The ways to reach a person, by the name of the channel."""

from collections.abc import Callable

from activities.notifiers.base import AddressRefused, Letter, Notifier, Post
from activities.notifiers.email import EmailNotifier

NOTIFIERS: dict[str, Callable[[Post], Notifier]] = {
    "email": EmailNotifier,
}

__all__ = ["NOTIFIERS", "AddressRefused", "Letter", "Notifier", "Post"]
