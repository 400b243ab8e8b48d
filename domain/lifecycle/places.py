"""Which places are a lifecycle's own: what the fold makes of slots that joined, moved away or are all gone."""

from dataclasses import replace

from domain.certificate import Slot
from domain.lifecycle.state import Case, LifecycleState, SlotView, Stage


def placed(state: LifecycleState, slots: tuple[Slot, ...]) -> LifecycleState:
    """``state`` as the owner of ``slots`` and of nothing else.

    Without any it keeps the old ones, as where it was last seen, or it would verify vacuously; but they are another's.
    """
    if not slots:
        return replace(state, placeless=True)
    known = {view.slot: view for view in state.slots}
    after = replace(state, placeless=False, slots=tuple(known.get(slot, SlotView(slot)) for slot in slots))
    return replace(after, case=_within(state.case, slots) if state.case is not None else None)


def _within(case: Case, slots: tuple[Slot, ...]) -> Case:
    """What was done at slots that are ours no more does not count; a slot that is new must still be served."""
    kept = replace(
        case,
        installed=tuple(slot for slot in case.installed if slot in slots),
        verified=tuple(slot for slot in case.verified if slot in slots),
        wrong=tuple(slot for slot in case.wrong if slot in slots),
    )
    if kept.stage not in (Stage.DEPLOYING, Stage.VERIFYING, Stage.ROLLING_BACK):
        return kept
    if kept.stage is Stage.ROLLING_BACK and kept.wrong:
        return kept
    complete = set(slots) <= set(kept.installed)
    return replace(kept, stage=Stage.VERIFYING if complete else Stage.DEPLOYING, retry_at=None)
