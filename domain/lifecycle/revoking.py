"""What must not live on: a certificate whose order nobody needs any more is collected, and revoked (DESIGN rule 6)."""

from domain.contracts import OrderOutcome, Revoked, RevokeOrder
from domain.lifecycle import events as e
from domain.lifecycle.commands import StepBroke
from domain.lifecycle.state import OrderToRevoke
from domain.lifecycle.transition import Turn


def to_revoke(turn: Turn, order: str) -> OrderToRevoke | None:
    return next((entry for entry in turn.state.to_revoke if entry.order_key == order), None)


def collected(turn: Turn, order: OrderToRevoke, outcome: OrderOutcome) -> None:
    """A CA that has not answered may still issue: it is asked until it has, and then revokes."""
    key = order.order_key
    if outcome.state == "issued":
        fingerprint = outcome.life.fingerprint if outcome.life is not None else ""
        turn.emit(e.RevocationDelayed(key, True, None, fingerprint=fingerprint))
    elif outcome.state == "pending":
        _uncollected(turn, order, outcome.detail or "its CA has not answered")
    else:
        turn.emit(e.OrderRevoked(key, True, "nothing had been issued, and nothing will be"))


def revoked(turn: Turn, step: RevokeOrder, answer: Revoked) -> None:
    """What a CA cannot revoke for us, as a manual one, a person must: told as owed, never as done (rule 5)."""
    if answer.done:
        turn.emit(e.OrderRevoked(step.order_key, True, answer.detail))
    elif to_revoke(turn, step.order_key) is not None:
        turn.emit(e.RevocationOwed(step.order_key, answer.detail or "its CA cannot be asked to"))


def not_revoked(turn: Turn, order: OrderToRevoke, is_collected: bool, command: StepBroke) -> None:
    # Not scaled: whatever must be revoked is not the life that this lifecycle has now.
    since = order.since or turn.now
    if command.permanent or (is_collected and since + turn.rules.revoke_asks_after <= turn.now):
        turn.emit(e.RevocationOwed(order.order_key, command.detail))
    elif is_collected:
        again = turn.now + turn.rules.revoke_again
        turn.emit(e.RevocationDelayed(order.order_key, True, again, command.detail))
    else:
        _uncollected(turn, order, command.detail)


def _uncollected(turn: Turn, order: OrderToRevoke, detail: str) -> None:
    """Asked again; in the end a person must see to it that nothing of it lives on."""
    since = order.since or turn.now
    if since + turn.rules.collect_asks_after <= turn.now:
        turn.emit(e.RevocationOwed(order.order_key, f"what came of it could not be collected: {detail}"))
        return
    turn.emit(e.RevocationDelayed(order.order_key, False, turn.now + turn.rules.revoke_again, detail))
