"""E is the earliest end on the path as it is served, over all slots that serve ours (DESIGN rule 1).

An alarm may come earlier by one look.  E may come later only when every endpoint was seen to serve ours with a whole
chain that ends later (rule 9: nothing seen from outside lowers an alarm unchecked).  The result depends on the state
alone, not on the order of the looks that led to it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.certificate import Life
from domain.lifecycle.ladder import scaled
from domain.lifecycle.state import LifecycleState, SlotView, Stage

SILENT_LOOKS = 3
SILENT_FOR = timedelta(days=7)


def is_unseen(view: SlotView, life: Life, now: datetime) -> bool:
    """Silent for three looks over a week (scaled)."""
    if view.silent < SILENT_LOOKS or view.silent_since is None:
        return False
    return now - view.silent_since >= scaled(SILENT_FOR, life.length)


def path_end(state: LifecycleState, now: datetime) -> datetime:
    """E of the present certificate by the last looks at its slots; what was known of it where they may not move it.

    A slot that is silent counts as it was seen last, until it is unseen: falling silent mends no chain.
    """
    life = state.life
    assert life is not None
    lively = [view for view in state.slots if not is_unseen(view, life, now)]
    ours = [view for view in lively if view.fingerprint == life.fingerprint]
    earliest = min((view.ends_at for view in ours if view.ends_at is not None), default=life.ends_at)
    if earliest <= life.ends_at:
        return earliest
    # By the longer life: what is unseen of a short one only would be awaited again, and E fall back, for ever.
    awaited = [view for view in state.slots if not is_unseen(view, replace(life, ends_at=earliest), now)]
    is_seen_everywhere = len(ours) == len(awaited) and all(view.ends_at and view.chain_ok for view in ours)
    return earliest if is_seen_everywhere and _is_open_to_more(state) else life.ends_at


def _is_open_to_more(state: LifecycleState) -> bool:
    """What is ordered already was weighed against the E of then, and goes on to its own end."""
    case = state.case
    return (
        case is None or not case.approved_by or (case.stage in (Stage.HELD, Stage.UNROUTABLE) and not case.order_open)
    )
