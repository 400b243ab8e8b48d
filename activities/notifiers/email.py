"""E-mail, each letter with an id and a thread of its own making: what arrives twice folds in a mailbox."""

import smtplib
from contextlib import suppress
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import urlsplit

from activities.notifiers.base import AddressRefused, Letter, Post
from domain.errors import BadInput, NotReady
from domain.tiers import Person

# A worker's thread waits for one server no longer than this for each answer.
TIMEOUT_SECONDS = 15
# What the standard library's parser raises over text that is no address.
NO_ADDRESS = (MessageError, ValueError, IndexError)


class EmailNotifier:
    """Implements Notifier."""

    def __init__(self, post: Post) -> None:
        parts = urlsplit(post.smtp_url)
        if post.smtp_url and (parts.scheme != "smtp" or not parts.hostname):
            raise BadInput("EVERLEAF_SMTP_URL", f"{post.smtp_url!r} is not smtp://host:port")
        self._host = parts.hostname or ""
        self._port = parts.port or 25
        self._sender = post.sender
        try:
            self._from = Address("Everleaf", addr_spec=post.sender)
        except NO_ADDRESS as error:
            raise BadInput("EVERLEAF_MAIL_FROM", f"{post.sender!r} is no e-mail address") from error

    def send(self, letter: Letter, to: Person) -> None:
        if not self._host:
            raise AddressRefused("No mail server is configured: set EVERLEAF_SMTP_URL.")
        if to.email.count("@") != 1:
            raise AddressRefused(f"{to.id} has no e-mail address: correct the policy.")
        mail = self._mail(letter, to)
        try:
            self._post(mail, to)
        # Their words and causes hold addresses, which must be in no history and no log: nothing is raised from them.
        except smtplib.SMTPRecipientsRefused as refused:
            # Of one recipient, one answer.
            raise _refusal(*refused.recipients[to.email], to) from None
        except smtplib.SMTPSenderRefused as refused:
            raise _refusal(refused.smtp_code, refused.smtp_error, to) from None
        except smtplib.SMTPNotSupportedError:
            raise AddressRefused(f"The mail server takes no address like {to.id}'s: correct the policy.") from None
        except smtplib.SMTPDataError:
            # This letter, not its reader: whatever the code, another server or a freed disk may take it.
            raise NotReady("The mail server did not take the mail; it is tried again.") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotReady(f"The mail server does not answer: {type(error).__name__}.") from error

    def _post(self, mail: EmailMessage, to: Person) -> None:
        server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            server.send_message(mail, self._sender, [to.email])
            # It was taken: a farewell that goes wrong must not send it once more.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
        finally:
            server.close()

    def _mail(self, letter: Letter, to: Person) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = letter.subject
        mail["From"] = self._from
        try:
            mail["To"] = Address(addr_spec=to.email)
        except NO_ADDRESS:
            words = "has an e-mail address that no server would take: correct the policy."
            raise AddressRefused(f"{to.id} {words}") from None
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = self._id(letter.id or f"{letter.subject}\n{letter.body}", to)
        if letter.thread:
            # RFC 5322 3.6.4.  It names a letter that was never sent, so that nobody must know which one arrived first:
            # a first letter that was dropped, or sent twice, takes no thread with it.
            mail["In-Reply-To"] = mail["References"] = self._id(letter.thread, to)
        # Seven bits and short lines, whatever names strangers chose: no server must be asked what it can take.
        mail.set_content(letter.body, cte="quoted-printable")
        return mail

    def _id(self, of: str, to: Person) -> str:
        """The same of the same, for one reader; tells nobody what it was made of."""
        digest = sha256(f"{to.id}\n{of}".encode()).hexdigest()[:32]
        return f"<{digest}@{self._sender.rpartition('@')[2]}>"


def _refusal(code: int, said: bytes | str, to: Person) -> AddressRefused | NotReady:
    """RFC 5321 4.2.1: what is refused with 5yz will not get better by waiting."""
    if not 500 <= code < 600:
        return NotReady("The mail server did not take the mail; it is tried again.")
    told = said.decode(errors="replace") if isinstance(said, bytes) else said
    words = told[:200].replace(to.email, "<address>")
    return AddressRefused(f"The mail server refuses {to.id}: {code} {words}")
