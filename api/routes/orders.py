"""Orders: the request that a manual issuer needs, and the certificate that it gave."""

from base64 import b64encode
from textwrap import wrap
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from api.auth import PEM
from api.in_force import policy_in_force
from api.lists import OperationAnswer
from api.messaging import Errand, IdempotencyKey, claim, run_errand
from api.parts import Caller, CallerDep
from api.routes import guarded
from api.schemas import Operation, OrderItem
from domain.contracts import Plan
from domain.errors import BadInput, Conflict, NotReady
from domain.people.messages import Supply
from formats.upload import Judge, judged
from formats.x509 import load_pem_chain, parse_certificate
from store import access, reader
from store.access import Binding

router = guarded("orders")

# RFC 8555 chains have three or four; more is not a chain but a store.
LONGEST_CHAIN = 10
PLAN = TypeAdapter(Plan)
PEM_BODY = {"content": {kind: {"schema": {"type": "string"}} for kind in PEM}, "required": True}


def pem(kind: str, der: bytes) -> str:
    text = "\n".join(wrap(b64encode(der).decode(), 64))
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"


@router.get("/orders/{order_key}")
def get_order(order_key: str, caller: CallerDep) -> OrderItem:
    """One order with the request (CSR) that its issuer is given."""
    row = reader.get_order(caller.engine, order_key)
    return OrderItem.model_validate(
        {
            **row,
            "certificate_id": row["managed_id"],
            "csr_pem": pem("CERTIFICATE REQUEST", bytes(row["csr"])),
            "chain_pem": "".join(pem("CERTIFICATE", bytes(der)) for der in row["chain"] or ()),
        }
    )


@router.post(
    "/orders/{order_key}/certificate",
    status_code=202,
    response_class=OperationAnswer,
    openapi_extra={"requestBody": PEM_BODY},
)
async def upload_certificate(
    order_key: str, request: Request, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> Operation:
    """Bring the answer of a manual issuer: its certificates in PEM, in any order.  It is judged before it counts."""
    order = await run_in_threadpool(reader.get_order, caller.engine, order_key)
    chain = read_blocks(await request.body())
    sent = await claim(caller, "supply", idempotency_key, order_key, *(der.hex() for der in chain))
    await run_in_threadpool(_keep, caller, order, (sent, chain))
    bound = Binding(order["managed_id"], "supply")
    return await run_errand(caller, Errand(sent, bound, lambda code: Supply(code, sent)))


def _keep(caller: Caller, order: dict[str, Any], brought: tuple[str, tuple[bytes, ...]]) -> None:
    """``brought``: (id, chain).  What was kept already is only told again: its order may have been issued meanwhile."""
    upload_id, chain = brought
    order_key = order["order_key"]
    if upload_id in {row["id"] for row in reader.list_uploads(caller.engine, order_key)}:
        return
    if order["state"] != "placed":
        raise Conflict(f"decided: this order is {order['state']}; nothing can be brought for it.")
    _judge(caller, order, chain)
    upload = access.Upload(order_key, chain, caller.actor.id, caller.parts.clock())
    access.add_upload(caller.engine, upload_id, upload)


def _judge(caller: Caller, order: dict[str, Any], blocks: tuple[bytes, ...]) -> None:
    """The issue worker judges it again; what is said here leaves the order, its key and its request as they are."""
    known = policy_in_force(caller.parts)
    if known is None:
        raise NotReady("There is no policy by which this could be judged; set EVERLEAF_POLICY for this process.")
    plan = PLAN.validate_python(order["plan"])
    present = reader.present_der(caller.engine, order["managed_id"])
    judge = Judge(known.policy.issuers, known.policy.roots, caller.parts.clock(), present)
    wrong = judged(blocks, (bytes(order["csr"]), plan), judge).wrong
    if wrong:
        told = "Bring what its CA gave for this very request, with all that stand between it and the root."
        raise BadInput("chain", f"is refused: {'; '.join(wrong)}", f"The order stays open. {told}")


def read_blocks(body: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate in ``body``.  Raises BadInput; a private key is refused before it is kept."""
    if b"PRIVATE KEY" in body:
        raise BadInput(
            "chain", "holds a private key", "Send certificates alone; treat that key as known to others, renew it."
        )
    blocks = load_pem_chain(body)
    if len(blocks) > LONGEST_CHAIN:
        told = f"Send at most {LONGEST_CHAIN}: the certificate and those between it and its root."
        raise BadInput("chain", f"has {len(blocks)} certificates", told)
    for der in blocks:
        parse_certificate(der)
    return blocks
