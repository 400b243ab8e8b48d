"""Tells people: ``send`` hands a message to its Courier, ``deliver`` posts what a Courier has batched."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy.exc
from sqlalchemy.engine import Engine
from temporalio import activity

from activities.notifiers.base import Notifier, Undeliverable
from activities.notifiers.text import Code, compose
from domain.contracts import Deliver, Delivery, Message, Sent
from domain.errors import NotReady
from domain.names import approval_id
from domain.tiers import Person, Role
from store import access, reader
from store.deliveries import finish_deliveries, queue_delivery, unfinished

log = logging.getLogger(__name__)

# The one channel that a policy's people have today.
CHANNEL = "email"

# DESIGN 4: a code by mail lives until the next rung, at most 7 days; rungs repeat daily where the read model lags.
LONGEST_CODE = timedelta(days=7)
USUAL_CODE = timedelta(days=1)
SHORTEST_CODE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class NotificationParts:
    """``hand_over``: gives a message to its person's Courier, whom it starts if need be."""

    engine: Engine
    notifiers: Mapping[str, Notifier]
    hand_over: Callable[[Message], Awaitable[None]]
    api_url: str
    clock: Callable[[], datetime]
    failpoint: Callable[[str], None] = lambda _: None


class NotificationActivities:
    def __init__(self, parts: NotificationParts) -> None:
        self._parts = parts
        # Addresses of people already written to: a rung's message still goes out while the database is down.
        self._routes: dict[str, Person] = {}

    @activity.defn
    async def send(self, message: Message) -> Sent:
        """Note the message and hand it over; a Courier takes each id once."""
        try:
            await asyncio.to_thread(queue_delivery, self._parts.engine, message, CHANNEL, self._parts.clock())
        except sqlalchemy.exc.OperationalError:
            log.warning("message is sent without a note: no database", extra={"message_id": message.id})
        await self._parts.hand_over(message)
        return Sent(message.id)

    @activity.defn
    def deliver(self, batch: Deliver) -> Delivery:
        """Post one letter about every message that was not posted yet.

        Delivered at least once: a crash between the server's yes and our note sends the letter again.  Raises NotReady
        while the mail server does not answer.
        """
        waiting = self._waiting(batch)
        if not waiting:
            return Delivery("delivered", "was delivered before")
        try:
            person = self._route(batch.person)
            notifier = self._parts.notifiers.get(batch.channel)
            if notifier is None:
                raise Undeliverable(f"There is no channel {batch.channel}.")
            self._parts.failpoint("send.begun")
            notifier.send(compose([(one, self._code(one)) for one in waiting], self._parts.api_url), person)
            self._parts.failpoint("send.delivered")
            delivery = Delivery("delivered")
        except Undeliverable as problem:
            delivery = Delivery("undeliverable", str(problem))
        self._note(batch, waiting, delivery)
        return delivery

    def _waiting(self, batch: Deliver) -> list[Message]:
        ids = [message.id for message in batch.messages]
        try:
            open_ids = unfinished(self._parts.engine, ids, batch.channel)
        except sqlalchemy.exc.OperationalError:
            open_ids = set(ids)
        return [message for message in batch.messages if message.id in open_ids]

    def _route(self, person_id: str) -> Person:
        try:
            found = access.person(self._parts.engine, person_id)
        except sqlalchemy.exc.OperationalError as error:
            found = self._routes.get(person_id)
            if found is None:
                raise NotReady("The database does not answer, and this person was never written to.") from error
        if found is None:
            raise Undeliverable(f"The policy names no person {person_id}.")
        self._routes[person_id] = found
        return found

    def _note(self, batch: Deliver, waiting: list[Message], delivery: Delivery) -> None:
        outcome = (delivery, self._parts.clock())
        try:
            for message in waiting:
                queue_delivery(self._parts.engine, message, batch.channel, outcome[1])
            finish_deliveries(self._parts.engine, [message.id for message in waiting], batch.channel, outcome)
        except sqlalchemy.exc.OperationalError:
            # Failing here would post the letter again; the Courier carries the outcome to the lifecycle.
            log.warning("delivery is not noted: no database", extra={"person": batch.person})

    def _code(self, message: Message) -> Code | None:
        """A one-time code for a security head who is asked, or None where there is nothing to decide."""
        facts = dict(message.facts)
        if message.topic not in ("ask", "rung") or message.level != "security-head":
            return None
        if not facts.get("plan_version") or facts.get("stage", "awaiting-approval") != "awaiting-approval":
            return None
        now = self._parts.clock()
        case, generation = int(facts["case"]), int(facts["generation"])
        binding = access.Binding(message.managed_id, "decide", case, generation, facts["plan_version"])
        actor = access.Actor(f"person/{message.person}", Role.SECURITY_HEAD, may_decide=True)
        try:
            lives = self._lives(approval_id(message.managed_id, generation, case), now)
            code = access.mint_warrant(self._parts.engine, actor=actor, bound_to=binding, lives=lives, now=now)
        except sqlalchemy.exc.OperationalError:
            return None
        return Code(code, uuid.uuid4().hex, case, generation, facts["plan_version"], now + lives)

    def _lives(self, approval: str, now: datetime) -> timedelta:
        asked = reader.find_approval(self._parts.engine, approval)
        until_next_rung = asked["deadline"] - now if asked and asked["state"] == "pending" else USUAL_CODE
        return max(SHORTEST_CODE, min(LONGEST_CODE, until_next_rung))
