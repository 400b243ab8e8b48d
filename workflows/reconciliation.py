"""Reconciliation: lay the store's certificates beside Temporal's lifecycles, mend what can be mended, tell the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

from domain.comparison import (
    MOST_PAIRS,
    BeginAgain,
    Compare,
    Compared,
    DifferenceRow,
    FindForgotten,
    FindLostOrders,
    HandOver,
    Noted,
    NoteSeen,
    Reconcile,
    Reconciled,
    Regained,
    RestoreStreams,
    StreamsRestored,
)
from domain.names import RECONCILIATION_WORKFLOW
from domain.reconciling import (
    HANDED_AFTER,
    HELD,
    MENDED,
    UNDELIVERED_AFTER,
    Difference,
    Tally,
    differences,
    forgotten,
    fresh,
    gaps,
    held,
    is_held,
    messages,
    news,
    tally,
    to_restore,
)
from workflows import steps

EVERYTHING = Reconcile()


@workflow.defn(name=RECONCILIATION_WORKFLOW)
class Reconciliation:
    """Gives its id to the next one, which asks the store whether it still knows it: a store that was put back does not.

    Nothing is ordered here, and nothing is ended: what runs is left alone whatever its state.
    """

    def __init__(self) -> None:
        self.found: list[Difference] = []
        self.counts: dict[str, int] = {}
        self.told: dict[str, Tally] = {}
        # What was mended so far, which must be told whatever becomes of the rest; of whom no head is known.
        self.mended: list[Difference] = []
        self.heads: Sequence[str] = ()
        self.revoked_again = 0
        self.was_held_at_once = False
        self.began = workflow.now()

    @workflow.run
    async def run(self, request: Reconcile = EVERYTHING) -> Noted:
        last = workflow.get_last_completion_result(Noted)
        comparison = request.id or workflow.info().run_id
        asked = Compare(previous=last.id if last is not None else "", by_hand=bool(request.id))
        try:
            compared = await self.compare_all(request, asked)
            if request.apply and request.release:
                await self.regain(compared)
            elif await self.has_forgotten(compared):
                # As where the store was put back: it was, and Temporal with it.
                compared = replace(compared, store_was_put_back=True)
        except ActivityError:
            await self.tell_what_was_mended(comparison)
            raise
        # Where it was noted at once, somebody may have released our CAs since.
        held_since = None if self.was_held_at_once else held(compared, request, self.began)
        if is_held(compared, request) and not was_told(compared).get(HELD, False):
            for head in compared.heads:
                self.told.setdefault(head, Tally()).put_back = True
        if request.apply:
            await self.hand_over()
            # Before it is kept as told: what breaks off between the two is told twice, and never not at all.
            await self.tell(comparison)
            await self.note_what_stays(comparison, is_held(compared, request))
        noted = await steps.note_reconciliation(self.reconciled(request, compared, comparison, held_since))
        # A comparison that changed nothing is not what the next one asks for: the store keeps it apart.
        return noted if request.apply or last is None else last

    async def compare_all(self, request: Reconcile, asked: Compare) -> Compared:
        first = page = await steps.compare(asked)
        self.heads = first.heads
        wanted = to_restore(first)
        if wanted is not None and request.apply:
            if first.store_was_put_back and not request.release:
                await self.hold_at_once(request, first)
            await self.restore(wanted, first)
            # What was behind may be well now; whether our CAs were held before is as the first look said.
            again = await steps.compare(asked)
            first = page = replace(again, held_since=first.held_since)
        while True:
            before = was_told(page)
            found = news(differences(page.pairs, workflow.now()), before)
            if request.apply:
                await self.begin_again(found)
            self.keep(found, fresh(found, before))
            if not page.after:
                return first
            page = await steps.compare(replace(asked, after=page.after))

    async def hold_at_once(self, request: Reconcile, first: Compared) -> None:
        """Making thousands of streams again takes long and may break off; until it ends our CAs would go on signing."""
        hold = self.reconciled(request, first, f"{workflow.info().run_id}-hold", held(first, request, self.began))
        await steps.note_reconciliation(hold, summary="our CAs sign nothing from now on")
        self.was_held_at_once = True

    async def restore(self, wanted: RestoreStreams, first: Compared) -> None:
        restored = await steps.restore_streams(wanted, summary="make again what the store lacks")
        self.keep_gaps(restored, first)
        if restored.events:
            for head in first.heads:
                heard = self.told.setdefault(head, Tally())
                heard.made_again = f"{restored.events} events of {restored.streams} certificates were made again"

    async def has_forgotten(self, compared: Compared) -> bool:
        try:
            asked = await steps.find_forgotten(FindForgotten(), summary="what our CAs signed and do not remember")
        except ActivityError as error:
            # The next comparison, in five minutes, asks again; this one still says what it found.
            workflow.logger.warning("our CAs could not be asked", extra={"error": str(error.cause)})
            return False
        before = was_told(compared)
        found = news(forgotten(asked), before)
        self.keep(found, fresh(found, before))
        return bool(found)

    async def regain(self, compared: Compared) -> None:
        """Before our CAs sign again: what they signed and have forgotten, as far as it is served somewhere."""
        after = ""
        while True:
            lost = await steps.find_lost_orders(FindLostOrders(after))
            if lost.orders:
                regained = await steps.regain_issued(lost, summary="what our CAs have forgotten")
                self.keep_gaps(regained, compared)
            if not lost.after:
                break
            after = lost.after
        while (await steps.find_forgotten(FindForgotten(regain=True))).found:
            pass
        await self.revoke_again()

    async def revoke_again(self) -> None:
        """What they signed and have forgotten stands among it by now, so nothing that was revoked is left out."""
        after = ""
        while True:
            revoked = await steps.find_revoked_orders(FindLostOrders(after))
            again = await steps.revoke_again(revoked, summary="what our CAs have forgotten to be revoked")
            self.revoked_again += again.orders
            if not revoked.after:
                break
            after = revoked.after
        for head in self.heads if self.revoked_again else ():
            self.told.setdefault(head, Tally()).revoked_again = self.revoked_again

    def keep_gaps(self, about: StreamsRestored | Regained, first: Compared) -> None:
        before = was_told(first)
        found = news(gaps(about), before)
        self.keep(found, fresh(found, before))

    async def begin_again(self, found: Sequence[Difference]) -> None:
        for kind in MENDED:
            ended = [one for one in found if one.kind == kind]
            if ended:
                # Where the step breaks off some of them run: each of them had ended, and that is what is told.
                self.mended += ended
                asked = BeginAgain(tuple(one.managed_id for one in ended), replacing=kind == "put-back")
                await steps.begin_again(asked, summary=f"begin {len(ended)} lifecycles again")

    def keep(self, found: Sequence[Difference], new: Sequence[Difference]) -> None:
        self.found += found
        for one in found:
            self.counts[one.kind] = self.counts.get(one.kind, 0) + 1
        tally(new, self.heads, self.told)

    async def tell_what_was_mended(self, comparison: str) -> None:
        """The next comparison finds all of it well, and would say nothing."""
        made_again = {head: heard.made_again for head, heard in self.told.items() if heard.made_again}
        self.told = {head: Tally(made_again=said) for head, said in made_again.items()}
        tally(self.mended, self.heads, self.told)
        await self.tell(comparison)

    async def note_what_stays(self, comparison: str, held_now: bool) -> None:
        stays = [row(one) for one in self.found if not one.mends_itself]
        if held_now:
            stays.append(DifferenceRow(*HELD, name="", detail="", told=True))
        for begin in range(0, len(stays), MOST_PAIRS):
            page = NoteSeen(comparison, tuple(stays[begin : begin + MOST_PAIRS]))
            await steps.note_seen(page, summary=f"{len(stays)} that do not mend themselves")

    async def hand_over(self) -> None:
        asked = HandOver(self.began - HANDED_AFTER, self.began - UNDELIVERED_AFTER, workflow.now())
        try:
            await steps.hand_over(asked, summary="messages that nobody has sent yet")
        except ActivityError as error:
            # The next comparison, in five minutes, hands them over; this one still says what it found.
            workflow.logger.warning("messages could not be handed over", extra={"error": str(error.cause)})

    def reconciled(
        self, request: Reconcile, compared: Compared, comparison: str, held_since: datetime | None
    ) -> Reconciled:
        return Reconciled(
            id=comparison,
            workflow_id=workflow.info().workflow_id,
            run_id=workflow.info().run_id,
            began_at=self.began,
            applied=request.apply,
            living=compared.living,
            running=compared.running,
            counts=tuple(sorted(self.counts.items())),
            differences=tuple(row(one) for one in self.found[:MOST_PAIRS]),
            held_since=held_since,
            release=request.release,
            by=request.by,
        )

    async def tell(self, comparison: str) -> None:
        for message in messages(self.told, comparison, workflow.now()):
            await steps.send(message, summary=f"tell {message.person} what was found")


def was_told(page: Compared) -> Mapping[tuple[str, str], bool]:
    """(kind, managed id) of what differed before -> whether it was told."""
    return {(kind, managed_id): told for kind, managed_id, told in page.before}


def row(one: Difference) -> DifferenceRow:
    return DifferenceRow(one.kind, one.managed_id, one.name, one.detail, one.told)
