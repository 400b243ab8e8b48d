"""Tells people: ``send`` hands a message to its Courier, ``deliver`` posts what a Courier has batched."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Engine
from temporalio import activity

from activities.notifiers.base import AddressRefused, Notifier
from activities.notifiers.text import Code, compose
from domain.contracts import Deliver, Delivery, Message, Sent, Undelivered
from domain.errors import NotReady
from domain.names import approval_id
from domain.tiers import Person, Role
from store import access, reader
from store.deliveries import finish_deliveries, queue_delivery, unfinished
from store.engine import NO_DATABASE

log = logging.getLogger(__name__)

# The one channel that a policy's people have today.
CHANNEL = "email"

# DESIGN 4: a code by mail lives until the next rung, at most 7 days; rungs repeat daily where the read model lags.
LONGEST_CODE = timedelta(days=7)
USUAL_CODE = timedelta(days=1)
SHORTEST_CODE = timedelta(minutes=15)

# Outcomes that wait for the database; past these the oldest are forgotten, the letters were sent all the same.
MOST_UNNOTED = 1000


@dataclass(frozen=True, slots=True)
class NotificationParts:
    """``hand_over``: gives a message to its person's Courier, whom it starts if need be.

    ``people``: of the policy in force, asked where the database does not answer.
    """

    engine: Engine
    notifiers: Mapping[str, Notifier]
    hand_over: Callable[[Message], Awaitable[None]]
    api_url: str
    clock: Callable[[], datetime]
    failpoint: Callable[[str], None] = lambda _: None
    people: Callable[[], Iterable[Person]] = tuple


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of ``messages`` over ``channel``."""

    messages: tuple[Message, ...]
    channel: str
    delivery: Delivery
    at: datetime


class NotificationActivities:
    def __init__(self, parts: NotificationParts) -> None:
        self._parts = parts
        # Addresses as they were last read: a rung's message still goes out while the database is down.
        self._routes: dict[str, Person] = {}
        self._unnoted: deque[Outcome] = deque(maxlen=MOST_UNNOTED)

    @activity.defn
    async def send(self, message: Message) -> Sent:
        """Note the message and hand it over; a Courier takes each id once."""
        try:
            await asyncio.to_thread(queue_delivery, self._parts.engine, message, CHANNEL, self._parts.clock())
        except NO_DATABASE:
            log.warning("message is sent without a note: no database", extra={"message_id": message.id})
        await self._parts.hand_over(message)
        return Sent(message.id)

    @activity.defn
    def deliver(self, batch: Deliver) -> Delivery:
        """Post one letter about every message that was not posted yet.

        Delivered at least once: a crash between the server's yes and our note sends the letter again, and so may a
        database that does not say what was posted: a doubled alarm is better than a lost one.  Raises NotReady while
        the mail server does not answer.
        """
        waiting, store_answers = self._waiting(batch)
        if not waiting:
            return Delivery("delivered", "was delivered before")
        try:
            person = self._route(batch.person, store_answers)
            notifier = self._parts.notifiers.get(batch.channel)
            if notifier is None:
                raise AddressRefused(f"There is no channel {batch.channel}.")
            self._parts.failpoint("send.begun")
            # Asked once per letter, not once per message: a host that is gone costs seconds each time.
            codes = [self._code(one) if store_answers else None for one in waiting]
            letter = compose(list(zip(waiting, codes, strict=True)), self._parts.api_url, whole=store_answers)
            notifier.send(letter, person)
            self._parts.failpoint("send.delivered")
            delivery = Delivery("delivered")
        except AddressRefused as problem:
            delivery = Delivery("undeliverable", str(problem))
        self._note(Outcome(tuple(waiting), batch.channel, delivery, self._parts.clock()))
        return delivery

    @activity.defn
    def note_undelivered(self, given_up: Undelivered) -> Delivery:
        """Note what a Courier has given up, unless it arrived after all.  Never waits for a database that is away."""
        delivery = Delivery("undeliverable", given_up.detail)
        batch = given_up.batch
        self._note(Outcome(batch.messages, batch.channel, delivery, self._parts.clock()))
        return delivery

    def note_what_waits(self) -> None:
        """Note the outcomes that wait for the database; the worker asks every minute."""
        try:
            self._note_the_unnoted()
        except NO_DATABASE:
            log.warning("outcomes wait for the database", extra={"outcomes": len(self._unnoted)})

    def _waiting(self, batch: Deliver) -> tuple[list[Message], bool]:
        """(What was not posted yet, whether the store could say so.)  Where it could not, what this worker knows."""
        ids = [message.id for message in batch.messages]
        try:
            self._note_the_unnoted()
            open_ids, store_answers = unfinished(self._parts.engine, ids, batch.channel), True
        except NO_DATABASE:
            ours = {one.id for outcome in tuple(self._unnoted) for one in outcome.messages}
            open_ids, store_answers = set(ids) - ours, False
        return [message for message in batch.messages if message.id in open_ids], store_answers

    def _route(self, person_id: str, store_answers: bool) -> Person:
        """As the store says; while it does not, as it said last or as the policy's file says."""
        try:
            found = access.person(self._parts.engine, person_id) if store_answers else self._known(person_id)
        except NO_DATABASE:
            found, store_answers = self._known(person_id), False
        if found is None and not store_answers:
            # The policy may have named them until a minute ago: nothing is given up on a guess.
            raise NotReady(f"The database does not answer, and the policy's file names no person {person_id}.")
        if found is None:
            raise AddressRefused(f"The policy names no person {person_id}.")
        self._routes[person_id] = found
        return found

    def _known(self, person_id: str) -> Person | None:
        named = {person.id: person for person in self._parts.people()}
        return named.get(person_id) or self._routes.get(person_id)

    def _note(self, outcome: Outcome) -> None:
        self._unnoted.append(outcome)
        try:
            self._note_the_unnoted()
        except NO_DATABASE:
            # Failing here would post the letter again.  It is noted within a minute of the database's return; the
            # Courier carries what could not be delivered to the lifecycle meanwhile.
            log.warning("an outcome is not noted yet: no database", extra={"messages": len(outcome.messages)})

    def _note_the_unnoted(self) -> None:
        while self._unnoted:
            try:
                outcome = self._unnoted.popleft()
            except IndexError:
                # Another thread has taken the last one.
                return
            try:
                for message in outcome.messages:
                    queue_delivery(self._parts.engine, message, outcome.channel, outcome.at)
                ids = [message.id for message in outcome.messages]
                finish_deliveries(self._parts.engine, ids, outcome.channel, (outcome.delivery, outcome.at))
            except NO_DATABASE:
                self._unnoted.appendleft(outcome)
                raise

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
        except NO_DATABASE:
            return None
        return Code(code, uuid.uuid4().hex, case, generation, facts["plan_version"], now + lives)

    def _lives(self, approval: str, now: datetime) -> timedelta:
        asked = reader.find_approval(self._parts.engine, approval)
        until_next_rung = asked["deadline"] - now if asked and asked["state"] == "pending" else USUAL_CODE
        return max(SHORTEST_CODE, min(LONGEST_CODE, until_next_rung))
