"""E-mail through apprise; where that says no, the server is asked whether it will ever say yes."""

import smtplib
from urllib.parse import quote, urlencode, urlsplit

import apprise

from activities.notifiers.base import AddressRefused, Letter, Post
from domain.errors import BadInput, NotReady
from domain.tiers import Person

# A worker's thread waits for one server no longer than this for each answer.
TIMEOUT_SECONDS = 15


class EmailNotifier:
    """Implements Notifier."""

    def __init__(self, post: Post) -> None:
        parts = urlsplit(post.smtp_url)
        if post.smtp_url and (parts.scheme != "smtp" or not parts.hostname):
            raise BadInput("EVERLEAF_SMTP_URL", f"{post.smtp_url!r} is not smtp://host:port")
        self._host = parts.hostname or ""
        self._port = parts.port or 25
        self._sender = post.sender

    def send(self, letter: Letter, to: Person) -> None:
        if not self._host:
            raise AddressRefused("No mail server is configured: set EVERLEAF_SMTP_URL.")
        if to.email.count("@") != 1:
            raise AddressRefused(f"{to.id} has no e-mail address: correct the policy.")
        options = {
            "from": f"Everleaf <{self._sender}>",
            "mode": "insecure",
            "format": "text",
            "cto": str(TIMEOUT_SECONDS),
            "rto": str(TIMEOUT_SECONDS),
        }
        host = f"[{self._host}]" if ":" in self._host else self._host
        url = f"mailto://{host}:{self._port}/{quote(to.email, safe='')}?{urlencode(options)}"
        service = apprise.Apprise()
        if not service.add(url):
            raise AddressRefused(f"{to.id} has an e-mail address that no server would take: correct the policy.")
        if not service.notify(title=letter.subject, body=letter.body, body_format=apprise.NotifyFormat.TEXT):
            self._say_why(to)

    def _say_why(self, to: Person) -> None:
        """apprise says only yes or no: ask for the code (RFC 5321 4.2.1: 5yz will not get better by waiting)."""
        try:
            with smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_SECONDS) as server:
                server.ehlo_or_helo_if_needed()
                for code, said in (server.mail(self._sender), server.rcpt(to.email)):
                    if 500 <= code < 600:
                        words = said.decode(errors="replace")[:200].replace(to.email, "<address>")
                        raise AddressRefused(f"The mail server refuses {to.id}: {code} {words}")
        except (OSError, smtplib.SMTPException) as error:
            raise NotReady(f"The mail server does not answer: {type(error).__name__}.") from error
        raise NotReady("The mail server did not take the mail; it is tried again.")
