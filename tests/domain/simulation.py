"""A simulated world around one lifecycle: time, a CA, targets and looks that the test steers.

Longer than 300 lines because all that a lifecycle can meet is one world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from domain.certificate import Life, LookOutcome, Slot, TrustClass
from domain.contracts import (
    CollectOrder,
    Consult,
    Deploy,
    DeployReport,
    EventRecord,
    LookAgain,
    LookReport,
    Observation,
    OrderOutcome,
    OrderPlaced,
    PlaceOrder,
    Plan,
    Recall,
    Revoked,
    RevokeOrder,
    RollBack,
    SlotLook,
    SlotReceipt,
    Terms,
)
from domain.lifecycle import events as e
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.commands import (
    Command,
    DueMoments,
    MessageSent,
    NoticeArrived,
    Outcome,
    RecordForked,
    Redeemed,
    Reserve,
    Step,
    StepBroke,
    StepDone,
    TakeRules,
)
from domain.lifecycle.decide import base_of, decide
from domain.lifecycle.evolve import evolve
from domain.lifecycle.ladder import moved
from domain.lifecycle.next_step import next_step
from domain.lifecycle.refold import Recalled, refold
from domain.lifecycle.rules import NEWEST
from domain.lifecycle.standing import own_findings
from domain.lifecycle.state import LifecycleState, Question
from domain.lifecycle.succession import blocked_by
from domain.people.approval import calls
from domain.people.messages import Acknowledge, Answer, Decide, Receipt, Warranted
from domain.tiers import DEFAULT_TIERS, Audience, Tier, TierPolicy

START = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
SLOTS = (Slot("tls://127.40.0.1:443?sni=pay.example.in", "ecdsa"), Slot("tls://127.40.0.2:443", "ecdsa"))
NAMES = ("pay.example.in", "www.pay.example.in")


def fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def life(text: str, start: datetime, length: timedelta, **changes: object) -> Life:
    made = Life(
        fingerprint(text),
        NAMES,
        start,
        start + length,
        "ecdsa",
        256,
        TrustClass.PRIVATE,
        "CN=CA",
        text,
        signature_hash="sha256",
        issuer_spki=fingerprint("the key of the CA"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # any field


def plan(length: timedelta, version: str = "p1") -> Plan:
    return Plan(
        issuer="internal-ca",
        issuer_kind="private-ca",
        trust_class=TrustClass.PRIVATE,
        profile="server",
        validity_seconds=int(length.total_seconds()),
        names=NAMES,
        algorithm="ecdsa",
        key_bits=256,
        # As a real plan names them: the first ones.
        targets=tuple(f"file@{slot.url}" for slot in SLOTS[:20]),
        version=version,
    )


def terms(tier: Tier, length: timedelta, **changes: object) -> Terms:
    table = next(row for row in DEFAULT_TIERS if row.tier is tier)
    made = Terms("sha256:1", tier, "rule x", table, "payments", "billing", "p-owner", "p-head", plan=plan(length))
    return replace(made, **changes)  # type: ignore[arg-type]  # any field


@dataclass
class World:
    """``fail`` may turn a step into a failure; ``served`` is what a look sees; ``ca_ends_at`` bounds what is signed.

    ``happened`` is what the store holds; with ``store_is_away`` events wait in ``outbox``, as the workflow's do.
    """

    tier: Tier = Tier.INTERNAL
    length: timedelta = timedelta(days=365)
    age: timedelta = timedelta()
    now: datetime = START
    fail: Callable[[Step], StepBroke | None] = lambda step: None
    reload_lies: bool = False
    lying: set[Slot] = field(default_factory=set)
    # Targets that do not answer.
    unreachable: set[Slot] = field(default_factory=set)
    ca_ends_at: datetime | None = None
    pending: bool = False
    ca_refuses: bool = False
    state: LifecycleState = field(default_factory=lambda: LifecycleState("mc-1"))
    happened: list[e.Happened] = field(default_factory=list)
    outbox: list[e.Happened] = field(default_factory=list)
    store_is_away: bool = False
    served: dict[Slot, str] = field(default_factory=dict)
    before: dict[Slot, str] = field(default_factory=dict)
    dead: set[Slot] = field(default_factory=set)
    unreturnable: set[Slot] = field(default_factory=set)
    # When the path above the leaf ends where it is not the leaf that ends first, and where the chain has a gap.
    paths: dict[Slot, datetime] = field(default_factory=dict)
    gaps: set[Slot] = field(default_factory=set)
    # A second leaf behind one address, places for which a step had no time, those that lead to a root of the policy.
    pools: dict[Slot, tuple[str, ...]] = field(default_factory=dict)
    skipped: set[Slot] = field(default_factory=set)
    rooted: set[Slot] = field(default_factory=set)
    # How far the scanner's clock is ahead, and who hears each command with what it came to.
    clock_ahead: timedelta = timedelta()
    # How far the CA's is, and under which rule set the life is led.
    ca_ahead: timedelta = timedelta()
    rules: str = NEWEST
    mail_is_away: bool = False
    # Another ladder than the tier's own.
    table: TierPolicy | None = None
    hear: Callable[[LifecycleState, Command, tuple[e.Happened, ...]], None] = lambda before, command, happened: None
    revoked: set[str] = field(default_factory=set)
    # Where another managed certificate is served now: nothing of ours may be put there, nor anything back.
    anothers: set[Slot] = field(default_factory=set)
    certificates: dict[str, Life] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    planned: dict[str, timedelta] = field(default_factory=dict)
    steps: int = 0
    notices: dict[str, Observation] = field(default_factory=dict)
    codes: int = 0

    def adopt(self) -> None:
        self.adopt_this(life("first", self.now - self.age, self.length))

    def adopt_this(self, first: Life) -> None:
        self.certificates[first.fingerprint] = first
        self.served = dict.fromkeys(SLOTS, first.fingerprint)
        self.tell(TakeRules(self.rules))
        told = terms(self.tier, self.length)
        told = replace(told, table=self.table or told.table)
        self.notice(Observation("n-0", "adopted", self.now, told, first, SLOTS, self.looks(SLOTS)))

    def tell_terms(self, changed: Terms) -> None:
        self.notice(Observation(f"t-{len(self.notices)}", "terms", self.now, terms=changed))
        self.work()

    def notice(self, observation: Observation) -> None:
        self.notices[observation.notice_id] = observation
        self.tell(NoticeArrived(observation.notice_id))

    def tell(self, command: Command) -> Receipt:
        before = self.state
        receipt, events = decide(self.state, command, self.now)
        base = base_of(self.state, command)
        if base is not self.state or isinstance(command, RecordForked):
            self.outbox.clear()
        self.state = base
        for event in events:
            self.state = evolve(self.state, event)
        self.outbox.extend(events)
        self.hear(before, command, events)
        if not self.store_is_away:
            self.record()
        return receipt

    def record(self) -> None:
        """As the store does: what it holds under the same numbers must be the same, what follows is kept."""
        if self.state.life is None and self.state.recall is not None:
            return
        for event in self.outbox:
            if event.seq > len(self.happened):
                # A number is missing: it was put back, and takes nothing.
                return
            if event.seq == len(self.happened):
                self.happened.append(event)
            elif self.happened[event.seq].event != event.event:
                self.tell(RecordForked(len(self.happened) - 1))
                return
        self.outbox.clear()

    def end_by_hand(self) -> None:
        """Terminated or deleted in Temporal: what was not recorded is gone, and the next notice begins it anew."""
        self.state = LifecycleState(self.state.managed_id)
        self.outbox.clear()

    def reset_to(self, seq: int) -> None:
        """Reset by hand in Temporal, to just before event ``seq`` of the store was made."""
        self.state = refold(self.state.managed_id, self.happened[:seq])
        self.outbox.clear()

    def send(self, message: Warranted, actor: str = "person/head") -> Receipt:
        """Accept, redeem and tell, as the workflow's handler does."""
        receipt = self.tell(Reserve(message))
        return self.tell(Redeemed(message, actor)) if receipt.outcome == "accepted" else receipt

    def question(self, kind: str) -> Question:
        return next(question for question in self.state.questions if question.kind == kind)

    def asked(self) -> list[str]:
        return [question.kind for question in self.state.questions]

    def answer(self, kind: str, answer: str, about: str = "", actor: str = "person/a") -> Receipt:
        """Answer the open question of ``kind``; ``about``: of another one that was read before."""
        return self.send(Answer(self.code(), kind, answer, about=about or self.question(kind).about), actor)  # type: ignore[arg-type]  # drawn

    def acknowledge(self, level: Audience, until: datetime, about: str = "") -> Receipt:
        """Acknowledge the first call that reached ``level``."""
        mine = about or next((call.about for call in calls(self.state) if call.level == level), "none")
        return self.send(Acknowledge(self.code(), level, until, about=mine), "person/a")

    def finding(self, kind: str) -> str | None:
        return dict(own_findings(self.state, self.now)).get(kind)

    @property
    def blocked_by(self) -> str:
        return blocked_by(self.state, self.now)

    def code(self) -> str:
        self.codes += 1
        return f"code-{self.codes}"

    def decision(self, what: str = "approve") -> Decide:
        case = self.state.case
        assert case is not None
        assert case.plan is not None
        return Decide(self.code(), what, case.number, self.state.generation, case.plan.version)  # type: ignore[arg-type]  # drawn

    # --- the acting and telling lanes ---------------------------------------------------------------------------------

    def work(self, most: int = 60) -> None:
        """Do every step that may be done now."""
        for _ in range(most):
            for message in () if self.mail_is_away else self.state.untold:
                self.tell(MessageSent(message.id))
            step = next_step(self.state, self.now)
            recall, waits = self.state.recall, bool(self.outbox) and self.state.life is not None
            waits = waits and (recall is None or recall.why != "gap")
            if isinstance(step, Recall) and (self.store_is_away or waits):
                step = None
            if step is None:
                return
            self.steps += 1
            broken = self.fail(step)
            self.tell(broken if broken is not None else StepDone(step, self.perform(step)))
        raise AssertionError(f"the loop spins: {self.state}")

    def run_until(self, end: datetime, most: int = 20_000) -> None:
        """Sleep from moment to moment and act, as the interpreter does."""
        for _ in range(most):
            self.work()
            moment = next_moment(self.state, self.now)
            if moment is None or moment.at > end:
                self.now = max(self.now, end)
                return
            # The workflow's timers are whole seconds, rounded up.
            self.now = max(self.now, moment.at)
            self.tell(DueMoments())
        raise AssertionError(f"too many moments: {self.state}")

    def perform(self, step: Step) -> Outcome:
        match step:
            case Recall(managed_id=managed_id):
                known = refold(managed_id, self.happened) if self.happened else None
                return Recalled(known, len(self.happened) - 1)
            case Consult(notice_id=notice):
                return self.notices[notice]
            case PlaceOrder(order_key=key, plan=ordered):
                self.planned[key] = timedelta(seconds=ordered.validity_seconds)
                return OrderPlaced(key, "k-1", "00")
            case CollectOrder(order_key=key):
                return self.collect(key)
            case Deploy(fingerprint=print_, slots=slots):
                assert not self.anothers & {*slots}, "installed over another's certificate"
                if not self.reload_lies:
                    self.before = dict(self.served)
                    honest = [slot for slot in slots if slot not in self.lying | self.unreachable]
                    self.served.update(dict.fromkeys(honest, print_))
                return DeployReport(
                    tuple(
                        SlotReceipt(slot, "unreachable", "it does not answer")
                        if slot in self.unreachable
                        else SlotReceipt(slot, "installed")
                        for slot in slots
                    )
                )
            case RollBack(slots=slots):
                assert not self.anothers & {*slots}, "put back over another's certificate"
                back = [slot for slot in slots if slot not in self.unreturnable]
                self.served.update({slot: self.before[slot] for slot in back if slot in self.before})
                return DeployReport(
                    tuple(
                        SlotReceipt(slot, "installed") if slot in back else SlotReceipt(slot, "refused", "was revoked")
                        for slot in slots
                    )
                )
            case LookAgain(slots=slots, expected=expected):
                looks = self.looks(slots)
                others = {look.fingerprint for look in looks if look.fingerprint} - {expected}
                return LookReport(looks, tuple(self.certificates[other] for other in sorted(others)))
            case RevokeOrder(order_key=key):
                self.revoked.add(key)
                return Revoked(key, True)

    def collect(self, key: str) -> OrderOutcome:
        if self.pending:
            return OrderOutcome(key, "pending")
        if key not in self.orders:
            if self.ca_refuses:
                return OrderOutcome(key, "failed", detail="the CA refuses it")
            ends = moved(self.now, self.planned[key])
            if self.ca_ends_at is not None:
                ends = min(ends, self.ca_ends_at)
            if ends <= self.now:
                return OrderOutcome(key, "failed", detail="the CA ends", cause="issuer-ends-first")
            made = life(key, self.now + self.ca_ahead, ends - self.now)
            self.certificates[made.fingerprint] = made
            self.orders[key] = made.fingerprint
        return OrderOutcome(key, "issued", self.certificates[self.orders[key]])

    def looks(self, slots: tuple[Slot, ...]) -> tuple[SlotLook, ...]:
        return tuple(look for slot in slots for look in self.look_at(slot))

    def look_at(self, slot: Slot) -> tuple[SlotLook, ...]:
        """One look: nothing, one leaf, or two while half a pool is renewed."""
        if slot in self.skipped:
            return (SlotLook(slot, self.now, LookOutcome.NOT_LOOKED),)
        if slot in self.dead:
            return (SlotLook(slot, self.now, LookOutcome.REFUSED),)
        prints = (self.served[slot], *self.pools.get(slot, ()))
        return tuple(self.sighting(slot, print_) for print_ in prints)

    def sighting(self, slot: Slot, print_: str) -> SlotLook:
        known = self.certificates.get(print_)
        flaw = "it has a gap" if slot in self.gaps else ""
        ends_at = known.ends_at if known is not None else None
        if ends_at is not None and not flaw:
            ends_at = min(ends_at, self.paths.get(slot, ends_at))
        return SlotLook(
            slot,
            self.now + self.clock_ahead,
            LookOutcome.SEEN,
            print_,
            not flaw,
            ends_at,
            known.not_before if known is not None else None,
            flaw,
            rooted=slot in self.rooted,
            connections=1 if slot in self.pools else 2,
        )

    def replace_by_hand(self, new: Life, notice: str) -> None:
        """Somebody else puts ``new`` everywhere, and a discovery sees it."""
        self.certificates[new.fingerprint] = new
        self.served = dict.fromkeys(self.served, new.fingerprint)
        self.discover(notice)

    def discover(self, notice: str) -> None:
        looks = self.looks(self.state.slots)
        known = self.state.life.fingerprint if self.state.life else ""
        others = sorted({look.fingerprint for look in looks if look.fingerprint} - {known})
        candidates = tuple(self.certificates[other] for other in others)
        self.notice(Observation(notice, "looked", self.now, looks=looks, candidates=candidates))

    def join(self, slots: tuple[Slot, ...], notice: str) -> None:
        """More slots of its own, with what they serve."""
        looks = self.looks(slots)
        others = tuple(self.certificates[print_] for print_ in {look.fingerprint for look in looks} - {""})
        own = (*self.state.slots, *slots)
        self.notice(Observation(notice, "slots", self.now, slots=own, looks=looks, candidates=others))

    def kinds(self) -> list[str]:
        return [fact.event.kind for fact in self.happened]

    def count(self, kind: str) -> int:
        return self.kinds().count(kind)

    def first(self, kind: str) -> e.Happened:
        return next(fact for fact in self.happened if fact.event.kind == kind)


def stored(fact: e.Happened) -> EventRecord:
    """``fact`` in the form in which the store keeps it; which case it belonged to does not matter to a fold."""
    return EventRecord(fact.seq, fact.event.kind, fact.at, fact.cause, 1, 0, fact.by, e.facts(fact.event))


def broken(step: Step, detail: str = "down", permanent: bool = False) -> StepBroke:
    return StepBroke(step, detail, permanent)
