"""CertificateLifecycle: the interpreter of domain.lifecycle, with one door and three lanes.

Longer than 300 lines because Temporal wants every message handler of a workflow on its one class.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

from domain.contracts import (
    ArchiveRun,
    CollectOrder,
    Consult,
    Deploy,
    EventRecord,
    LookAgain,
    Message,
    PlaceOrder,
    Recall,
    RecordBatch,
    RedeemWarrant,
    RevokeOrder,
    RollBack,
)
from domain.lifecycle import commands as do
from domain.lifecycle import events as e
from domain.lifecycle import view
from domain.lifecycle.agenda import Moment, agenda, next_moment
from domain.lifecycle.decide import base_of, decide
from domain.lifecycle.evolve import evolve
from domain.lifecycle.explaining import Because, explain
from domain.lifecycle.next_step import next_step
from domain.lifecycle.rules import OLDEST, RuleSet
from domain.lifecycle.state import LifecycleState
from domain.names import DELIVERED_SIGNAL, LIFECYCLE_WORKFLOW, OBSERVE_SIGNAL, UPGRADE_SIGNAL
from domain.people import messages as m
from domain.people.approval import refusal
from workflows import steps
from workflows.courier import DeliveryNews
from workflows.search import attributes_of

# In the memo of a lifecycle: the address of its page.
PAGE_MEMO = "EverleafPage"


@dataclass(frozen=True, slots=True)
class Start:
    """``state`` None: a new lifecycle.  ``answered``: the last update ids with their receipts, because the server
    forgets them between runs.  ``outbox`` and ``unarchived``: what is not recorded yet, so that neither constant
    load nor a database that is away keeps a run from continuing as new; recording is idempotent."""

    managed_id: str
    state: LifecycleState | None = None
    answered: tuple[tuple[str, m.Receipt], ...] = ()
    outbox: tuple[EventRecord, ...] = ()
    unarchived: tuple[ArchiveRun, ...] = ()
    # The generation that the run before this one was of; it is archived under it.
    continued_generation: int = 1
    # The rule set that this run goes by, from its first moment to its last; a run is never brought under another.
    rules: str = OLDEST


@workflow.defn(name=LIFECYCLE_WORKFLOW)
class CertificateLifecycle:
    """One managed certificate; one run per generation."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        self.state = replace(start.state or LifecycleState(start.managed_id), roll=False)
        self.answered: dict[str, m.Receipt] = dict(start.answered)
        self.outbox: list[EventRecord] = list(start.outbox)
        self.unarchived: list[ArchiveRun] = list(start.unarchived)
        self.continued_generation, self.generation = start.continued_generation, self.state.generation
        self.acting_now = False
        # The state and the instant of which the next step was asked last, and what it was.
        self.asked_of: tuple[LifecycleState, datetime] | None = None
        self.next: do.Step | None = None
        self.recording_since: datetime | None = None
        self.messages = 0
        self.shown: tuple[SearchAttributeUpdate[Any], ...] = ()
        # Before anything else can be told: what is decided by a number is decided by this set's.
        self.tell(do.TakeRules(start.rules))

    # --- the door -----------------------------------------------------------------------------------------------------

    def tell(self, command: do.Command, cause: str = "") -> m.Receipt:
        """The only place where the state changes: no await between reading and writing."""
        receipt, happened = decide(self.state, command, workflow.now(), cause)
        base = base_of(self.state, command)
        if base is not self.state or isinstance(command, do.RecordForked):
            # The store's events stand under these numbers: ours are never recorded.
            self.outbox.clear()
        if base is not self.state:
            self.state, self.generation = base, base.generation
        for fact in happened:
            self.state = evolve(self.state, fact)
            self.outbox.append(record_of(self.state, fact))
        self.messages += 1
        return receipt

    @workflow.run
    async def run(self, start: Start) -> None:
        lanes = [asyncio.create_task(lane()) for lane in (self.acting, self.telling, self.recording)]
        while True:
            self.tell(do.DueMoments())
            self.show()
            if self.may_end():
                return
            if self.may_roll():
                workflow.continue_as_new(self.successor())
            await self.news_or_moment(lanes)
            for lane in lanes:
                if lane.done():
                    # Never a FailureError: that would end the lifecycle, instead of its task until the code is mended.
                    raise RuntimeError("a lane of the lifecycle has died") from lane.exception()

    async def news_or_moment(self, lanes: list[asyncio.Task[None]]) -> None:
        seq, now = self.state.seq, workflow.now()
        moment = next_moment(self.state, now)
        patience = None if moment is None else whole_seconds(moment.at, now, self.state.led_by.overdue)
        if self.wants_to_roll() and self.fits():
            door = self.state.led_by.door
            patience = door if patience is None else min(door, patience)
        try:
            await workflow.wait_condition(
                lambda: (
                    self.state.seq != seq or self.may_roll() or self.may_end() or any(lane.done() for lane in lanes)
                ),
                timeout=patience,
                timeout_summary="" if moment is None else moment.what,
            )
        except TimeoutError:
            return
        except asyncio.CancelledError:
            # Nobody stops a lifecycle but by retiring it with a reason (DESIGN rule 3).
            workflow.logger.warning("a cancellation was asked for and is not a way to end a lifecycle")

    # --- three lanes, each one step at a time -------------------------------------------------------------------------

    async def acting(self) -> None:
        while True:
            await workflow.wait_condition(lambda: not self.wants_to_roll() and self.step() is not None)
            step = self.step()
            if step is None:
                continue
            self.acting_now = True
            self.tell(await self.perform(step), cause=type(step).__name__)
            self.acting_now = False

    def step(self) -> do.Step | None:
        # Temporal asks this condition many times in one task, and of thousands of places each answer takes long.
        asked = (self.state, workflow.now())
        if self.asked_of is None or self.asked_of[0] is not asked[0] or self.asked_of[1] != asked[1]:
            self.asked_of, self.next = asked, next_step(*asked)
        step = self.next
        # What the store is asked for must be there; but nothing of a lifecycle without a life will ever be taken.
        if isinstance(step, Recall) and self.outbox and self.state.life is not None and not self.gives_up_what_waits():
            return None
        return step

    def gives_up_what_waits(self) -> bool:
        """Whether somebody has signed for a gap: what the store refuses is offered to it no more."""
        return self.state.recall is not None and self.state.recall.why == "gap"

    async def perform(self, step: do.Step) -> do.StepDone | do.StepBroke:
        urgent = view.is_escalated(self.state)
        try:
            match step:
                case Recall():
                    return do.StepDone(step, await steps.recall(step))
                case Consult():
                    consult = steps.consult.at_once if self.state.life is None else steps.consult
                    return do.StepDone(step, await consult(step))
                case PlaceOrder():
                    return do.StepDone(step, await steps.place_order(step, urgent=urgent))
                case CollectOrder():
                    return do.StepDone(step, await steps.collect_order(step, urgent=urgent))
                case RevokeOrder():
                    return do.StepDone(step, await steps.revoke_order(step))
                case Deploy():
                    return do.StepDone(step, await steps.deploy(step, urgent=urgent))
                case RollBack():
                    return do.StepDone(step, await steps.roll_back(step, urgent=urgent))
                case LookAgain():
                    return do.StepDone(step, await steps.look_again(step, urgent=urgent))
        except ActivityError as error:
            cause = error.cause
            permanent = isinstance(cause, ApplicationError) and cause.non_retryable
            return do.StepBroke(step, getattr(cause, "message", "") or str(error), permanent)

    async def telling(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self.state.untold) and not self.rolls_at_once())
            await self.send(self.state.untold[0])

    async def send(self, message: Message) -> None:
        try:
            await steps.send(message, summary=f"tell {message.person}: {message.topic}")
        except ActivityError:
            self.tell(do.DeliveryReported(message.id, "undeliverable", message.person))
            return
        self.tell(do.MessageSent(message.id), cause=f"sent/{message.id}")

    async def recording(self) -> None:
        info = workflow.info()
        if info.continued_run_id is not None:
            self.unarchived.append(ArchiveRun(info.workflow_id, info.continued_run_id, self.continued_generation))
        while True:
            await workflow.wait_condition(lambda: self.has_to_record() and not self.rolls_soon())
            self.recording_since = workflow.now()
            if self.unarchived:
                await self.archive(self.unarchived[0])
                self.unarchived = self.unarchived[1:]
            else:
                await self.record(batch_of(self.outbox, self.state.led_by))
            self.recording_since = None

    def has_to_record(self) -> bool:
        """A lifecycle without a life that asks the store for it makes events that the store has under these numbers.

        One whose first notice is being looked up waits for it: "a notice came" is no batch of its own, which saves each
        of thousands that begin at once a task, an activity and a transaction.
        """
        state = self.state
        is_looked_up = bool(state.unread) and state.consult_at is None
        is_void = state.life is None and (state.recall is not None or is_looked_up)
        return bool(self.unarchived) or (bool(self.outbox) and not is_void and not self.gives_up_what_waits())

    async def archive(self, run: ArchiveRun) -> None:
        try:
            await steps.archive(run)
        except ActivityError:
            # Only what can never succeed comes here: Temporal has forgotten the run, longer ago than its retention.
            workflow.logger.error("a history is lost: its run is gone from Temporal", extra={"run": run.run_id})

    async def record(self, events: tuple[EventRecord, ...]) -> None:
        snapshot = view.snapshot(self.state, workflow.now())
        batch = RecordBatch(self.state.managed_id, workflow.info().run_id, events, snapshot)
        # The first batch of all: a task and an activity less for each of thousands that begin at once.
        record = steps.record.at_once if events[0].seq == 0 else steps.record
        try:
            recorded = await record(batch)
        except ActivityError as error:
            if self.is_replaced(events):
                return
            # The store refuses the batch for good; it stays in the outbox, and the head of IT security is asked.
            self.tell(do.RecordRefused(str(error.cause or error)))
            await self.refused()
            return
        if self.is_replaced(events):
            return
        if recorded.outcome == "forked":
            self.tell(do.RecordForked(recorded.head))
        else:
            self.outbox = self.outbox[len(events) :]
            if self.state.record_refused and "remedies-say" in self.state.led_by.flags:
                self.tell(do.RecordTaken())

    async def refused(self) -> None:
        """Until what was refused is offered again: in a while, or as soon as a person says so."""
        again, summary = self.state.led_by.refused_again, "the store refused what was recorded"
        # A retired one asks nobody, so there is nothing that a person could resume.
        if "remedies-say" not in self.state.led_by.flags or not self.state.record_refused:
            await workflow.sleep(again, summary=summary)
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: not self.state.record_refused, timeout=again, timeout_summary=summary)

    def is_replaced(self, events: tuple[EventRecord, ...]) -> bool:
        """Whether the store's state came while ``events`` were under way: what became of them concerns nobody."""
        return tuple(self.outbox[: len(events)]) != events

    # --- rolling and ending -------------------------------------------------------------------------------------------

    def wants_to_roll(self) -> bool:
        suggested = workflow.info().is_continue_as_new_suggested()
        return self.state.roll or self.messages >= self.state.led_by.messages_per_run or suggested

    def is_idle(self) -> bool:
        """Nothing is asked of a send that is under way: its message travels with the state, its Courier takes it once.

        Waiting for one would let a mail server, a Courier that hangs or a person without an address hold up the next
        generation (DESIGN rule 3).
        """
        return not self.acting_now and workflow.all_handlers_finished()

    def fits(self) -> bool:
        """What is not recorded travels with the state, but no more than a payload holds; the rest is recorded first.

        So a database that is away may hold up the next generation of a certificate in thousands of places; without the
        store it could order nothing.
        """
        return weight_of(self.outbox) <= self.state.led_by.most_carried

    def rolls_soon(self) -> bool:
        """Only handlers are still waited for: a batch that is begun now would be waited for as well, and under constant
        messages so would the next one."""
        return self.wants_to_roll() and not self.acting_now and self.fits()

    def rolls_at_once(self) -> bool:
        """Whether what is begun now would be cut off in the same breath."""
        return self.rolls_soon() and self.is_idle()

    def may_roll(self) -> bool:
        """A batch that is being recorded is waited for, but not for as long as a database may be away."""
        since = self.recording_since
        waits = since is not None and workflow.now() - since < self.state.led_by.door
        return self.rolls_at_once() and not waits

    def may_end(self) -> bool:
        return self.state.is_over and not self.outbox and not self.unarchived and self.is_idle()

    def successor(self) -> Start:
        answered = tuple(self.answered.items())[-self.state.led_by.answers_kept :]
        return Start(
            self.state.managed_id,
            self.state,
            answered,
            tuple(self.outbox),
            tuple(self.unarchived),
            self.generation,
            self.state.rules_wanted or self.state.rules,
        )

    def show(self) -> None:
        page: str = workflow.memo_value(PAGE_MEMO, "")
        workflow.set_current_details(view.details(self.state, workflow.now(), page))
        now_shown = attributes_of(self.state, workflow.now())
        changed = [attribute for attribute in now_shown if attribute not in self.shown]
        if changed:
            self.shown = now_shown
            workflow.upsert_search_attributes(changed)

    # --- what people send: updates with a warrant ---------------------------------------------------------------------

    def check(self, message: m.Warranted) -> None:
        """The validator of every update: what the state alone can refuse leaves nothing in the history."""
        info = workflow.current_update_info()
        if info is not None and info.id in self.answered:
            return
        why = refusal(self.state, message, workflow.now())
        if why:
            raise ApplicationError(why, type=why.partition(":")[0], non_retryable=True)

    async def warranted(self, name: str, message: m.Warranted) -> m.Receipt:
        info = workflow.current_update_info()
        assert info is not None
        if info.id in self.answered:
            return self.answered[info.id]
        cause = f"update/{name}/{info.id}"
        receipt = self.tell(do.Reserve(message), cause)
        if receipt.outcome == "accepted":
            receipt = self.tell(await self.redeem(name, message, info.id), cause)
        self.answered[info.id] = receipt
        return receipt

    async def redeem(self, name: str, message: m.Warranted, command_id: str) -> do.Redeemed | do.NotRedeemed:
        bound = message if isinstance(message, m.Decide) else None
        warrant = RedeemWarrant(
            code_sha256=m.code_hash(message.code),
            code=m.clean_code(message.code),
            command_id=command_id,
            managed_id=self.state.managed_id,
            message=name,
            case=bound.case if bound else 0,
            generation=bound.generation if bound else 0,
            plan_version=bound.plan_version if bound else "",
            requested_by=self.state.case.requested_by if bound and self.state.case is not None else "",
        )
        try:
            redeemed = await steps.redeem(warrant, summary=f"check the code for {name}")
        except ActivityError:
            return do.NotRedeemed(message, "busy: the code could not be checked; ask for a new one")
        if not redeemed.allowed:
            return do.NotRedeemed(message, redeemed.reason, redeemed.actor)
        return do.Redeemed(message, redeemed.actor, redeemed.person, redeemed.asker)

    @workflow.update(description="Approve, reject or hold the renewal that is asked; needs a one-time code")
    async def decide(self, message: m.Decide) -> m.Receipt:
        return await self.warranted("decide", message)

    @decide.validator
    def check_decide(self, message: m.Decide) -> None:
        self.check(message)

    @workflow.update(description="Stop repeats of the current rung to one level until a date")
    async def acknowledge(self, message: m.Acknowledge) -> m.Receipt:
        return await self.warranted("acknowledge", message)

    @acknowledge.validator
    def check_acknowledge(self, message: m.Acknowledge) -> None:
        self.check(message)

    @workflow.update(description="Answer an open question")
    async def answer(self, message: m.Answer) -> m.Receipt:
        return await self.warranted("answer", message)

    @answer.validator
    def check_answer(self, message: m.Answer) -> None:
        self.check(message)

    @workflow.update(description="Open a renewal case before its time")
    async def renew_now(self, message: m.RenewNow) -> m.Receipt:
        return await self.warranted("renew_now", message)

    @renew_now.validator
    def check_renew_now(self, message: m.RenewNow) -> None:
        self.check(message)

    @workflow.update(description="Try the waiting step again now")
    async def resume(self, message: m.Resume) -> m.Receipt:
        return await self.warranted("resume", message)

    @resume.validator
    def check_resume(self, message: m.Resume) -> None:
        self.check(message)

    @workflow.update(description="A certificate was uploaded for the open order")
    async def supply(self, message: m.Supply) -> m.Receipt:
        return await self.warranted("supply", message)

    @supply.validator
    def check_supply(self, message: m.Supply) -> None:
        self.check(message)

    @workflow.update(description="End this lifecycle, with a reason")
    async def retire(self, message: m.Retire) -> m.Receipt:
        return await self.warranted("retire", message)

    @retire.validator
    def check_retire(self, message: m.Retire) -> None:
        self.check(message)

    # --- unwarranted signals carry ids only ---------------------------------------------------------------------------

    @workflow.signal(name=OBSERVE_SIGNAL, description="A notice is in the store; its id")
    def observe(self, notice_id: str) -> None:
        self.tell(do.NoticeArrived(notice_id), cause=f"notice/{notice_id}")

    @workflow.signal(name=DELIVERED_SIGNAL, description="From a Courier: what became of a message")
    def delivered(self, news: DeliveryNews) -> None:
        if news.state == "undeliverable":
            reported = do.DeliveryReported(news.message_id, "undeliverable", news.person)
            self.tell(reported, cause=f"delivery/{news.message_id}")

    @workflow.signal(name=UPGRADE_SIGNAL, description="Continue as new, under the rule set that is named")
    def upgrade(self, rules: str = "") -> None:
        self.tell(do.Upgrade(rules))

    @workflow.query(name="state", description="The whole state")
    def query_state(self) -> LifecycleState:
        return self.state

    @workflow.query(name="explain", description="Why these dates, with their sums")
    def query_explain(self) -> tuple[Because, ...]:
        return explain(self.state)

    @workflow.query(name="agenda", description="What happens next")
    def query_agenda(self) -> tuple[Moment, ...]:
        return agenda(self.state, workflow.now())


def record_of(state: LifecycleState, fact: e.Happened) -> EventRecord:
    """``fact`` as it is stored; ``state`` is the one after it."""
    number = state.case.number if state.case is not None else 0
    return EventRecord(
        fact.seq, fact.event.kind, fact.at, fact.cause, state.generation, number, fact.by, e.facts(fact.event)
    )


def batch_of(outbox: Sequence[EventRecord], rules: RuleSet) -> tuple[EventRecord, ...]:
    """The first of ``outbox`` that fit into one payload; always one at least, for no event is left behind."""
    batch: list[EventRecord] = []
    weight = 0
    for record in outbox[: rules.events_at_once]:
        weight += weight_of([record])
        if batch and weight > rules.most_together:
            break
        batch.append(record)
    return tuple(batch)


def weight_of(records: Iterable[EventRecord]) -> int:
    """Roughly the characters that they have as JSON, with all that stands beside their facts."""
    return sum(len(repr(record)) for record in records)


def whole_seconds(at: datetime, now: datetime, overdue: timedelta) -> timedelta:
    """From ``now`` until ``at``, rounded up to whole seconds: a timer never wakes a moment before its instant."""
    left = at - now
    if left <= timedelta():
        return overdue
    return timedelta(seconds=-(-left // timedelta(microseconds=1) // 1_000_000))
