"""Random lives: for any sequence of commands, answers, failures and lifetimes the promises hold.

Longer than 300 lines because Hypothesis wants all rules and invariants of a machine on its one class.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.certificate import Slot, TrustClass
from domain.contracts import CollectOrder, Deploy, LookAgain, Observation, PlaceOrder, RollBack, Terms
from domain.lifecycle import events as e
from domain.lifecycle.agenda import next_moment
from domain.lifecycle.commands import DeliveryReported, Step, StepBroke
from domain.lifecycle.decoding import happened_of
from domain.lifecycle.refold import refold
from domain.lifecycle.state import Stage
from domain.people.messages import ANSWERS, Answer, Decide, RenewNow, Resume, Retire
from domain.tiers import FULL_LIFE, Audience, Rung, Tier
from tests.domain.moving import move_a_slot
from tests.domain.oracle import Oracle
from tests.domain.simulation import World, life, plan, stored, terms

LENGTHS = st.one_of(
    st.timedeltas(timedelta(minutes=10), timedelta(days=3650)),
    st.sampled_from([timedelta(minutes=10), timedelta(minutes=30), timedelta(days=47), timedelta(days=365)]),
)
BREAKABLE = {"place": PlaceOrder, "collect": CollectOrder, "deploy": Deploy, "look": LookAgain, "back": RollBack}


def planned_life(now: Terms) -> timedelta:
    return timedelta(seconds=now.plan.validity_seconds if now.plan is not None else 0)


class Lifecycle(RuleBasedStateMachine):
    """One lifecycle in a hostile world; the invariants are the promises of the design."""

    @initialize(length=LENGTHS, share=st.integers(0, 1300), tier=st.sampled_from(list(Tier)), lies=st.booleans())
    def begin(self, length: timedelta, share: int, tier: Tier, lies: bool) -> None:
        self.world = World(tier=tier, length=length, age=length * share // 1000, reload_lies=lies)
        self.broken: set[str] = set()
        self.world.fail = self.fail
        self.notices = 0
        self.read = 0
        self.present = self.began = self.world.now
        self.asked_by = ""
        self.approved = self.order_is_open = self.verified = self.asks = False
        self.ordered_plan = self.approver = ""
        self.now_version = "p1"
        self.planned = self.now_planned = length
        self.ca_may_end = False
        self.terms_at = self.world.now
        self.oracle = Oracle(self.world)
        self.world.adopt()
        self.advance(0)

    def fail(self, step: Step) -> StepBroke | None:
        for name in sorted(self.broken):
            if isinstance(step, BREAKABLE[name]):
                return StepBroke(step, f"{name} is down", permanent=False)
        return None

    def advance(self, share: int) -> None:
        """Let a share (of 1,000) of the life pass, from moment to moment; the work per moment is bounded."""
        world = self.world
        before, steps = world.now, world.steps
        moments = len(world.happened)
        # Long lives pass in shorter stretches: they begin at every age, so nothing is lost but the daily repeats.
        world.run_until(before + min(self.world.length * share // 1000, timedelta(days=40)))
        passed = (world.now - before) / max(world.length, timedelta(minutes=10))
        hours = (world.now - before) / timedelta(hours=1)
        # A part that is down is asked at most every half hour, or as often as a life this short can bear.
        assert world.steps - steps <= 2 * hours + 4000 * passed + 200, "the loop spins: too many steps"
        assert len(world.happened) - moments <= 8 * hours + 12_000 * passed + 400, "the loop spins: too many events"

    @rule(share=st.integers(1, 300))
    def time_passes(self, share: int) -> None:
        self.advance(share)

    @rule(share=st.integers(500, 1000))
    def much_time_passes(self, share: int) -> None:
        self.advance(share)

    @rule(name=st.sampled_from(sorted(BREAKABLE)))
    def something_breaks(self, name: str) -> None:
        self.broken.add(name)

    @rule()
    def everything_is_mended(self) -> None:
        self.broken.clear()
        self.world.reload_lies = self.world.ca_refuses = False
        self.world.lying.clear()
        self.world.dead.clear()
        self.world.paths.clear()
        self.world.gaps.clear()
        self.world.pools.clear()
        self.world.skipped.clear()
        self.world.clock_ahead = timedelta()

    @rule()
    def the_ca_refuses(self) -> None:
        self.world.ca_refuses = True

    @rule(version=st.sampled_from(["p1", "p2", "half"]), share=st.integers(1, 300))
    def an_order_fails_and_the_policy_changes_before_the_next(self, version: str, share: int) -> None:
        self.the_ca_refuses()
        self.somebody_asks_for_a_renewal()
        if self.world.state.case is not None and self.world.state.case.plan is not None:
            self.somebody_decides("approve", "person/b")
        self.the_policy_changes(version, True, self.world.tier)
        self.advance(share)

    @rule()
    def one_target_lies(self) -> None:
        self.world.lying.add(next(iter(self.world.served)))

    @rule(which=st.integers(0, 9))
    def an_endpoint_falls_silent(self, which: int) -> None:
        self.world.dead.add(self.slot(which))
        self.discover()

    @rule()
    def what_was_silent_answers_again(self) -> None:
        self.world.dead.clear()
        self.discover()

    @rule(which=st.integers(0, 9), number=st.integers(0, 5), ends=st.integers(-500, 2000), how=st.integers(0, 5))
    def a_stranger_stands_at_one_place(self, which: int, number: int, ends: int, how: int) -> None:
        """Another one at each, as long as it likes, good or bad in every way that rule 9 knows."""
        world = self.world
        kinds: dict[int, dict[str, object]] = {
            0: {},
            1: {"trust_class": TrustClass.SELF_SIGNED},
            2: {"names": ("pay.example.in",)},
            3: {"issuer_spki": "another CA"},
            4: {"extended_key_usages": ("1.3.6.1.5.5.7.3.3",)},
            5: {"names": ("other.example.in",)},
        }
        begins = world.now - timedelta(minutes=1)
        length = max(world.length * ends // 1000, timedelta(minutes=2))
        stranger = life(f"stranger-{number}-{self.notices}", begins, length, **kinds[how])
        world.certificates[stranger.fingerprint] = stranger
        world.served[self.slot(which)] = stranger.fingerprint
        self.discover()

    @rule(which=st.integers(0, 9))
    def half_a_pool_serves_an_earlier_one(self, which: int) -> None:
        earlier = self.world.state.earlier
        if earlier:
            self.world.pools[self.slot(which)] = (earlier[-1],)
            self.discover()

    @rule()
    def pools_are_whole_again(self) -> None:
        self.world.pools.clear()
        self.discover()

    @rule(minutes=st.sampled_from([0, 5, 10_000]))
    def the_scanners_clock_steps(self, minutes: int) -> None:
        self.world.clock_ahead = timedelta(minutes=minutes)
        self.discover()

    @rule(which=st.integers(0, 9), skip=st.booleans())
    def a_look_has_no_time_for_a_place(self, which: int, skip: bool) -> None:
        (self.world.skipped.add if skip else self.world.skipped.discard)(self.slot(which))

    def slot(self, which: int) -> Slot:
        return sorted(self.world.served)[which % len(self.world.served)]

    @rule(share=st.integers(-200, 2000))
    def the_ca_will_end(self, share: int) -> None:
        self.ca_may_end = True
        self.world.ca_ends_at = self.world.now + self.world.length * share // 1000

    @precondition(lambda self: self.world.state.case is not None and self.world.state.case.plan is not None)
    @rule(what=st.sampled_from(["approve", "reject", "hold"]), actor=st.sampled_from(["person/a", "person/b"]))
    def somebody_decides(self, what: str, actor: str) -> None:
        case = self.world.state.case
        assert case is not None
        assert case.plan is not None
        self.world.send(self.world.decision(what), actor)
        self.advance(0)

    @precondition(lambda self: self.world.state.case is not None and self.world.state.case.plan is not None)
    @rule(share=st.integers(1, 40))
    def it_is_approved_while_one_target_lies(self, share: int) -> None:
        """By chance alone the three meet too seldom for a slot that is forgotten to be noticed."""
        self.one_target_lies()
        self.world.send(self.world.decision("approve"), "person/b")
        self.advance(share)

    @rule(number=st.integers(1, 3), generation=st.integers(1, 3), version=st.sampled_from(["p0", "p1", "p2"]))
    def somebody_pastes_an_old_decision(self, number: int, generation: int, version: str) -> None:
        world = self.world
        case = world.state.case
        right = (
            case is not None
            and case.plan is not None
            and (case.number, world.state.generation, case.plan.version) == (number, generation, version)
        )
        approvals = world.count("approved")
        world.send(Decide(world.code(), "approve", number, generation, version), "person/c")
        approved = [fact for fact in world.happened if fact.event.kind == "approved" and fact.by == "person/c"]
        assert right or not approved or world.count("approved") == approvals or approved[-1] is not world.happened[-1]
        if not right:
            assert world.count("approved") == approvals or world.happened[-1].by != "person/c"
        self.advance(0)

    @rule(version=st.sampled_from(["p1", "p2", "half"]), routable=st.booleans(), tier=st.sampled_from(list(Tier)))
    def the_policy_changes(self, version: str, routable: bool, tier: Tier) -> None:
        world = self.world
        validity = world.length / (2 if version == "half" else 1)
        new_plan = plan(validity, version) if routable else None
        self.under(terms(tier, world.length, plan=new_plan, unroutable="" if routable else "no issuer"))

    @precondition(lambda self: self.world.state.terms is not None)
    @rule(rungs=st.lists(st.sampled_from(["owner", "security-head"]), min_size=1, max_size=6))
    def the_policy_has_other_rungs(self, rungs: list[Audience]) -> None:
        """Of both audiences, in any order; the head is reached by one of them, as a policy must say."""
        now = self.world.state.terms
        assert now is not None
        whom: list[Audience] = [*rungs, "security-head"]
        leads = [timedelta(days=days) for days in (45, 30, 21, 14, 7, 3, 1)]
        made = tuple(Rung(lead, to) for lead, to in zip(leads, whom, strict=False))
        self.under(replace(now, table=replace(now.table, rungs=made)))

    def under(self, changed: Terms) -> None:
        self.notices += 1
        self.world.notice(Observation(f"t-{self.notices}", "terms", self.world.now, terms=changed))
        self.advance(0)

    @rule()
    def an_endpoint_moves(self) -> None:
        if self.world.state.slots:
            self.notices += 1
            move_a_slot(self.world, f"s-{self.notices}")
            self.advance(0)

    @precondition(lambda self: self.world.state.questions)
    @rule(which=st.integers(0, 9), what=st.integers(0, 9))
    def somebody_answers(self, which: int, what: int) -> None:
        """Any question that is open, with any answer that it has."""
        open_ones = [question for question in self.world.state.questions if question.kind in ANSWERS]
        if open_ones:
            question = open_ones[which % len(open_ones)]
            words = ANSWERS[question.kind]
            about = question.about
            message = Answer(self.world.code(), question.kind, words[what % len(words)], about=about)  # type: ignore[arg-type]  # of the open ones
            self.world.send(message, "person/a")
            self.advance(0)

    @rule(kind=st.sampled_from(sorted(ANSWERS)), what=st.integers(0, 9))
    def somebody_answers_what_was_asked_before(self, kind: str, what: int) -> None:
        before = len(self.world.happened)
        words = ANSWERS[kind]
        stale = Answer(self.world.code(), kind, words[what % len(words)], about="0/before")  # type: ignore[arg-type]  # drawn
        assert self.world.send(stale, "person/a").outcome == "refused"
        assert all(fact.by != "person/a" for fact in self.world.happened[before:])

    @rule()
    def a_message_cannot_be_delivered(self) -> None:
        self.world.tell(DeliveryReported("any", "undeliverable", "p-owner"))

    @rule(ends=st.integers(-500, 2000), mine=st.booleans())
    def somebody_replaces_it_by_hand(self, ends: int, mine: bool) -> None:
        world = self.world
        self.notices += 1
        trust = TrustClass.PRIVATE if mine else TrustClass.PUBLIC
        ends_at = max(world.now + world.length * ends // 1000, world.now + timedelta(seconds=1))
        new = life(f"hand-{self.notices}", world.now, ends_at - world.now, trust_class=trust)
        world.replace_by_hand(new, f"h-{self.notices}")
        self.advance(0)

    def discover(self) -> None:
        self.notices += 1
        self.world.discover(f"d-{self.notices}")
        self.advance(0)

    @precondition(lambda self: self.world.state.climbs)
    @rule(share=st.integers(1, 200), level=st.sampled_from(["owner", "security-head"]))
    def somebody_acknowledges(self, share: int, level: Audience) -> None:
        world = self.world
        self.world.acknowledge(level, min(world.now + world.length * share // 1000, world.now + timedelta(days=14)))

    @rule()
    def somebody_asks_for_a_renewal(self) -> None:
        self.world.send(RenewNow(self.world.code()), "person/a")
        self.advance(0)

    @precondition(lambda self: self.world.state.case is None)
    @rule(tier=st.sampled_from(list(Tier)))
    def a_renewal_is_asked_for_and_its_plan_grows_shorter(self, tier: Tier) -> None:
        """Then it may come to gain nothing, which few other ways lead to."""
        self.somebody_asks_for_a_renewal()
        self.the_policy_changes("half", routable=True, tier=tier)

    @rule()
    def somebody_resumes(self) -> None:
        self.world.send(Resume(self.world.code()), "person/a")
        self.advance(0)

    @precondition(lambda self: self.world.count("case_opened") > 2)
    @rule()
    def it_is_retired(self) -> None:
        self.world.send(Retire(self.world.code(), "decommissioned"))
        self.advance(0)

    def teardown(self) -> None:
        """What was recorded, folded anew, is the state; ``roll`` alone is of a run and not of a state."""
        if not hasattr(self, "world"):
            return
        world = self.world
        if world.state.retired:
            self.no_order_is_left_alive()
        records = [happened_of(stored(fact)) for fact in world.happened]
        again = refold(world.state.managed_id, records)
        assert again == replace(world.state, roll=False, rules_wanted="")

    def no_order_is_left_alive(self) -> None:
        """A retirement collects and revokes what a CA was asked for, or a person owes it."""
        world = self.world
        self.broken.clear()
        world.ca_refuses = world.pending = False
        world.run_until(world.now + timedelta(days=2))
        used = {fact.event.life.fingerprint for fact in world.happened if isinstance(fact.event, e.GenerationBegan)}
        owed = {order.order_key for order in world.state.to_revoke if order.owed}
        left = [key for key, made in world.orders.items() if made not in used and key not in world.revoked | owed]
        unused = {_used_up(fact) for fact in world.happened}
        assert not [key for key in left if key not in unused], "an order is left alive"

    # --- the promises -------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Order and approval, event by event, each looked at once."""
        for fact in self.world.happened[self.read :]:
            self.take(fact)
            self.read += 1

    @invariant()
    def what_happened_keeps_the_promises(self) -> None:
        self.catch_up()

    def take(self, fact: e.Happened) -> None:
        match fact.event:
            case e.Adopted(life=first, terms=now):
                self.present, self.asks, self.began = first.ends_at, now.table.asks, fact.at
                self.now_planned = planned_life(now)
            case e.TermsChanged(terms=now):
                self.asks, self.terms_at = now.table.asks, fact.at
                self.now_planned = planned_life(now)
                self.now_version = now.plan.version if now.plan is not None else ""
            case e.CaseOpened(requested_by=by):
                self.asked_by, self.approved = by, False
            case e.ApprovalAsked() | e.ApprovalEnded():
                self.approved, self.planned = False, self.now_planned
            case e.Approved(approver=by, plan_version=plan_version):
                assert by != self.asked_by, "who asked approved"
                assert by != "policy" or not self.asks
                self.approved, self.ordered_plan, self.approver = True, plan_version, by
                self.planned = self.now_planned if by == "policy" else self.planned
            case e.OrderIntended(against=against):
                assert against is not None
                self.present = against
                assert not self.order_is_open, "a further order while one is open"
                assert self.approved, "an order that nobody approved"
                assert self.ordered_plan == self.now_version, "an order under a plan that is no more"
                assert self.approver != "policy" or not self.asks, "ordered by the policy, for a tier that asks"
                self.order_is_open = True
                self.gains_if_ordered(fact.at)
            case e.OrderClosed(reason=reason):
                assert reason != "unusable" or self.ca_may_end, "ordered though it could gain nothing"
                self.order_is_open = False
            case e.CaseClosed(outcome=outcome):
                self.order_is_open, self.verified = False, outcome == "verified"
            case e.GenerationBegan(life=new):
                # Half a life is gained, or nothing lost where a person asked for it; a CA may back-date by a twentieth.
                if self.verified:
                    least = self.planned * (-1 if self.asked_by else 9) / 20
                    assert new.ends_at - self.present >= least - timedelta(seconds=1)
                self.present, self.asked_by, self.verified, self.began = new.ends_at, "", False, fact.at

    def gains_if_ordered(self, at: datetime) -> None:
        """Nothing is asked or ordered that could only end before the present one, but for a CA's back-dating."""
        assert not self.asked_by or at + self.planned - self.present >= -self.planned / 20, "it gains nothing"

    @invariant()
    def whatever_is_served_is_told_to_the_head_at_its_mark(self) -> None:
        """Judged by what was seen at the places, each life on its own L, and by the calls that were made for it."""
        state = self.world.state
        if state.life is None or state.terms is None or state.retired:
            return
        lead = state.terms.table.escalates
        for seen in self.oracle.served():
            length = max(seen.ends_at - seen.not_before, timedelta())
            mark = seen.ends_at - min(lead, lead * (length / FULL_LIFE))
            if self.world.now >= max(mark + timedelta(seconds=1), self.terms_at):
                called = self.oracle.calls.get(seen.fingerprint, [])
                assert called, f"{seen.fingerprint[:8]} is past its mark at {mark}, and the head was not told"
                # And goes on to be told, every day, but for what was acknowledged.
                if not any(climb.quiet_until for climb in state.climbs):
                    assert self.world.now - called[-1] <= timedelta(days=1, seconds=2)

    @invariant()
    def no_alarm_falls_unseen(self) -> None:
        assert not self.oracle.fell, self.oracle.fell

    @invariant()
    def no_question_is_without_its_next_moment(self) -> None:
        for question in self.world.state.questions:
            moment = next_moment(self.world.state, self.world.now)
            assert moment is not None and moment.at <= max(question.climbs_at, self.world.now)

    @invariant()
    def what_is_ordered_is_what_was_approved(self) -> None:
        self.catch_up()
        case = self.world.state.case
        if case is not None and case.order_open:
            assert case.plan is not None
            assert case.plan.version == self.ordered_plan

    @invariant()
    def every_open_state_has_a_next_moment(self) -> None:
        state = self.world.state
        if state.life is None or state.retired:
            return
        moment = next_moment(state, self.world.now)
        assert moment is not None, f"no way out of {state.case}"
        case = state.case
        if self.world.blocked_by:
            return
        waits = {Stage.HELD, Stage.REJECTED, Stage.WAITING_FOR_CA, Stage.UNREACHABLE_TARGET, Stage.WAITING_FOR_PERSON}
        if case is not None and case.stage in waits:
            assert case.retry_at is not None

    @invariant()
    def a_case_closes_verified_only_when_the_new_one_is_served(self) -> None:
        state = self.world.state
        if state.last_outcome == "verified" and self.world.happened[-1].event.kind == "generation_began":
            assert state.life is not None
            left_out = {slot for case in self.closed() for slot in case.left_out}
            alive = [slot for slot in state.slots if slot not in self.world.dead | left_out]
            assert alive, "verified, and nobody has seen it"
            assert all(self.world.served[slot] == state.life.fingerprint for slot in alive)

    def closed(self) -> list[e.CaseClosed]:
        return [fact.event for fact in self.world.happened[-6:] if isinstance(fact.event, e.CaseClosed)]


def _used_up(fact: e.Happened) -> str:
    """The order that closed with nothing to revoke: it failed, or ended before it was used."""
    return fact.event.order_key if isinstance(fact.event, e.OrderClosed) and not fact.event.revoke else ""


# Without the phase that explains a failure: it traces every line of every run, tenfold slower.
EVERYDAY = settings(
    phases=(Phase.generate, Phase.shrink),
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
LONG = settings(EVERYDAY, max_examples=2000, stateful_step_count=60, derandomize=False)


def test_the_promises_hold_for_random_lives() -> None:
    run_state_machine_as_test(Lifecycle, settings=EVERYDAY)


def hunt() -> None:
    """For planted defects: the same machine, without the search for the smallest example.

    Which examples are tried follows from the text of the machine: where a change of it moves the search past a defect,
    the machine needs a rule that leads there: ``it_is_approved_while_one_target_lies`` is one.
    """
    run_state_machine_as_test(Lifecycle, settings=settings(EVERYDAY, phases=(Phase.generate,), max_examples=400))


@pytest.mark.long
def test_the_promises_hold_for_many_more_random_lives() -> None:
    run_state_machine_as_test(Lifecycle, settings=LONG)
