"""Reconciliation: lay the store's certificates beside Temporal's lifecycles, mend what can be mended, tell the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

from domain.contracts import (
    MOST_PAIRS,
    BeginAgain,
    Compare,
    Compared,
    DifferenceRow,
    FindLostOrders,
    HandOver,
    Noted,
    Reconcile,
    Reconciled,
    RestoreStreams,
)
from domain.names import RECONCILIATION_WORKFLOW
from domain.reconciling import (
    HANDED_AFTER,
    UNDELIVERED_AFTER,
    Difference,
    Tally,
    adrift,
    differences,
    fresh,
    gaps,
    held,
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
        self.began = workflow.now()

    @workflow.run
    async def run(self, request: Reconcile = EVERYTHING) -> Noted:
        last = workflow.get_last_completion_result(Noted)
        comparison = request.id or workflow.info().run_id
        compared = await self.compare_all(request, last.id if last is not None else "")
        if request.apply and request.release:
            await self.regain(compared)
        held_since = held(compared, request, self.began)
        if held_since is not None and compared.held_since is None:
            for head in compared.heads:
                self.told.setdefault(head, Tally()).put_back = True
        if request.apply:
            await self.hand_over()
        noted = await steps.note_reconciliation(self.reconciled(request, compared, comparison, held_since))
        if request.apply:
            await self.tell(comparison)
        # A comparison that changed nothing is not what the next one asks for: the store keeps it apart.
        return noted if request.apply or last is None else last

    async def compare_all(self, request: Reconcile, previous: str) -> Compared:
        first = page = await steps.compare(Compare(previous=previous))
        before = {(kind, managed_id): told for kind, managed_id, told in first.before}
        wanted = to_restore(first)
        if wanted is not None and request.apply:
            if first.store_was_put_back and not request.release:
                await self.hold_at_once(request, first)
            await self.restore(wanted, before, first.heads)
            # What was behind may be well now; whether our CAs were held before is as the first look said.
            again = await steps.compare(Compare(previous=previous))
            first = page = replace(again, held_since=first.held_since)
        while True:
            found = news((*differences(page.pairs, workflow.now()), *adrift(page)), before)
            if request.apply:
                await self.begin_again(found)
            self.keep(found, fresh(found, before), first.heads)
            if not page.after:
                return first
            page = await steps.compare(Compare(page.after, previous))

    async def hold_at_once(self, request: Reconcile, first: Compared) -> None:
        """Making thousands of streams again takes long and may break off; until it ends our CAs would go on signing."""
        hold = self.reconciled(request, first, f"{workflow.info().run_id}-hold", held(first, request, self.began))
        await steps.note_reconciliation(hold, summary="our CAs sign nothing from now on")

    async def restore(
        self, wanted: RestoreStreams, before: Mapping[tuple[str, str], bool], heads: Sequence[str]
    ) -> None:
        restored = await steps.restore_streams(wanted, summary="make again what the store lacks")
        found = news(gaps(restored), before)
        self.keep(found, fresh(found, before), heads)
        if restored.events:
            for head in heads:
                heard = self.told.setdefault(head, Tally())
                heard.made_again = f"{restored.events} events of {restored.streams} certificates were made again"

    async def regain(self, compared: Compared) -> None:
        """Before our CAs sign again: what they signed and have forgotten, as far as it is served somewhere."""
        lost = await steps.find_lost_orders(FindLostOrders())
        if lost.orders:
            before = {(kind, managed_id): told for kind, managed_id, told in compared.before}
            found = news(gaps(await steps.regain_issued(lost, summary="what our CAs have forgotten")), before)
            self.keep(found, fresh(found, before), compared.heads)

    async def begin_again(self, found: Sequence[Difference]) -> None:
        for kind in ("begun-again", "put-back"):
            ended = tuple(one.managed_id for one in found if one.kind == kind)
            if ended:
                asked = BeginAgain(ended, replacing=kind == "put-back")
                await steps.begin_again(asked, summary=f"begin {len(ended)} lifecycles again")

    def keep(self, found: Sequence[Difference], new: Sequence[Difference], heads: Sequence[str]) -> None:
        self.found += found[: MOST_PAIRS - len(self.found)]
        for one in found:
            self.counts[one.kind] = self.counts.get(one.kind, 0) + 1
        tally(new, heads, self.told)

    async def hand_over(self) -> None:
        asked = HandOver(self.began - HANDED_AFTER, self.began - UNDELIVERED_AFTER)
        try:
            await steps.hand_over(asked, summary="messages that nobody has sent yet")
        except ActivityError as error:
            # The next comparison, in five minutes, hands them over; this one still says what it found.
            workflow.logger.warning("messages could not be handed over", extra={"error": str(error.cause)})

    def reconciled(
        self, request: Reconcile, compared: Compared, comparison: str, held_since: datetime | None
    ) -> Reconciled:
        rows = (DifferenceRow(one.kind, one.managed_id, one.name, one.detail, one.told) for one in self.found)
        return Reconciled(
            id=comparison,
            workflow_id=workflow.info().workflow_id,
            run_id=workflow.info().run_id,
            began_at=self.began,
            applied=request.apply,
            living=compared.living,
            running=compared.running,
            counts=tuple(sorted(self.counts.items())),
            differences=tuple(rows),
            held_since=held_since,
        )

    async def tell(self, comparison: str) -> None:
        for message in messages(self.told, comparison, workflow.now()):
            await steps.send(message, summary=f"tell {message.person} what was found")
