"""The oracle: what the world outside says after a disturbance, and what must hold of it whatever was broken.

It asks the CA's table, the listeners' sockets, the mail server and Temporal, and lays beside them what was recorded.
It judges a product at rest, which ``is_at_rest`` waits for; nobody's hand is part of that wait.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from domain.contracts import COMPARISON
from domain.names import certificate_workflow
from store import tables
from tests.chaos.product import Product
from tests.faults.test_kill_points import served

RENEWED = 2


def is_at_rest(product: Product, generation: int = RENEWED) -> bool:
    """Whether every place is found and renewed to ``generation``, nothing waits to be told, and no task fails."""
    model = tables.managed_certificates.c
    rows = product.world.rows(sa.select(model.id, model.generation, model.state, model.seq))
    if len(rows) != len(product.world.ports) or any(row[1:3] != (generation, "sleeping") for row in rows):
        return False
    notices, deliveries = tables.notices.c, tables.deliveries.c
    waits = product.rows(sa.select(notices.id).where(notices.sent_at.is_(None)))
    waits += product.rows(sa.select(deliveries.message_id).where(deliveries.state == "queued"))
    return not waits and all(_works(one) for one in descriptions(product).values())


def descriptions(product: Product) -> dict[str, WorkflowExecutionDescription]:
    """What Temporal says of the lifecycle of each certificate; one that it does not know is left out."""

    async def asked(client: Client) -> dict[str, WorkflowExecutionDescription]:
        found = {}
        for managed_id in product.certificates():
            try:
                found[managed_id] = await client.get_workflow_handle(certificate_workflow(managed_id)).describe()
            except RPCError:
                continue
        return found

    return product.ask(asked)


def _works(told: WorkflowExecutionDescription) -> bool:
    raw = told.raw_description
    return raw.pending_workflow_task.attempt <= 1 and all(one.attempt <= 1 for one in raw.pending_activities)


def judge(product: Product, generation: int = RENEWED) -> None:
    """Nothing was doubled, lost or made up on the way to ``generation``, and everything runs."""
    certificates = product.certificates()
    assert len(certificates) == len(product.world.ports)
    assert set(product.statuses().values()) == {"RUNNING"}
    _signed_once(product, certificates, generation - 1)
    _served_is_what_was_recorded(product)
    _streams_have_no_gap(product, certificates)
    _letters_came_once(product)


def _signed_once(product: Product, certificates: Sequence[str], each: int) -> None:
    """The CA's own table: one certificate for each renewal, and none but for an order that says so."""
    issued, orders = tables.ca_issued.c, tables.orders.c
    asked = sa.select(orders.order_key, orders.managed_id, orders.state, orders.detail, issued.serial, issued.der)
    both = tables.orders.outerjoin(tables.ca_issued, issued.order_key == orders.order_key)
    rows = product.world.rows(asked.select_from(both))
    signed = [row for row in rows if row.serial is not None]
    assert Counter(row.managed_id for row in signed) == dict.fromkeys(certificates, each), rows
    assert all(row.state == "issued" and row.der is not None for row in signed), rows
    # A further order follows one that failed, with its reason (DESIGN rule 6).
    unanswered = [row for row in rows if row.serial is None and (row.state != "failed" or not row.detail)]
    assert not unanswered
    every = product.rows(sa.select(issued.serial))
    assert len(every) == len(set(every)) == len(signed), "the CA signed what nobody ordered"


def _served_is_what_was_recorded(product: Product) -> None:
    issued, model = tables.ca_issued.c, tables.managed_certificates.c
    signed = {hashlib.sha256(bytes(row[0])).hexdigest() for row in product.world.rows(sa.select(issued.der))}
    recorded = set(product.rows(sa.select(model.fingerprint)))
    leaves = [served(port) for port in product.world.ports]
    shown = {_fingerprint(leaf) for leaf in leaves}
    assert shown == recorded, "what is served differs from what was recorded"
    assert shown <= signed, "a certificate is served that the CA never signed"
    assert len(shown) == len(leaves)
    assert all(leaf.not_valid_after_utc > datetime.now(UTC) for leaf in leaves)


def _fingerprint(leaf: x509.Certificate) -> str:
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def _streams_have_no_gap(product: Product, certificates: Sequence[str]) -> None:
    events = tables.events.c
    asked = sa.select(events.stream, events.seq).order_by(events.stream, events.seq)
    streams: dict[str, list[int]] = {}
    for row in product.world.rows(asked):
        streams.setdefault(row.stream, []).append(row.seq)
    assert sorted(streams) == list(certificates)
    for stream, numbers in streams.items():
        assert numbers == list(range(len(numbers))), stream
    heads = tables.stream_heads.c
    ends = {row.stream: row.seq for row in product.world.rows(sa.select(heads.stream, heads.seq))}
    assert ends == {stream: numbers[-1] for stream, numbers in streams.items()}


def _letters_came_once(product: Product) -> None:
    """No letter twice, and what counts as told is in the mailbox, unless a mail server lost what it had taken."""
    doubled = [text for text, count in Counter(map(_meant, product.letters())).items() if count > 1]
    assert not doubled, doubled
    column = tables.deliveries.c
    subject = column.message["subject"].astext
    told = product.world.rows(sa.select(column.managed_id, subject.label("subject"), column.state))
    assert {row.state for row in told} <= {"delivered"}, told
    lost = product.post.met["dropping"] if product.post is not None else 0
    everything = "\n".join(product.letters())
    named = {row.managed_id for row in told if row.subject != COMPARISON}
    missing = {one for one in named if f"certificates/{one}" not in everything}
    assert len(missing) <= lost, f"told, and in no letter: {missing}"


def _meant(letter: str) -> str:
    """What a letter says, without its one-time code and until when that holds: those differ each time it is made."""
    return "\n".join(line for line in letter.splitlines() if '"code"' not in line and "code works once" not in line)
