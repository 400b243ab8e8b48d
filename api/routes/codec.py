"""Decrypts and unpacks payloads for the Temporal UI, by its protocol for codecs: what it shows is in no other form.

The UI asks from the browser, from another origin than ours.  So the origins of our UIs alone (EVERLEAF_TEMPORAL_UI,
EVERLEAF_AUDITORS_UI) may ask, with the session of whoever has logged in here, where the UI is told to include
credentials; machines send their token.
"""

import binascii
from base64 import b64decode, b64encode
from typing import Annotated
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from temporalio.api.common.v1 import Payload

from api.auth import DECODE_PATH, ENCODE_PATH, Door
from api.limit import LARGEST_BODY_BYTES
from api.middleware import Layer
from api.parts import CallerDep, Parts
from domain.errors import BadInput
from workflows.codec import MOST_UNPACKED, unpacked
from workflows.sealing import KeyFile, opened

router = APIRouter(tags=["codec"], route_class=Door)

# A page of a history shows fewer; each costs a call of zlib or xz, however small it is.
MOST_PAYLOADS = 500
# Each may take a hundred megabytes while it is unpacked and written; further ones wait for their turn.
AT_ONCE = 2
_turns: RunVar[CapacityLimiter] = RunVar("codec_turns")


class PayloadItem(BaseModel):
    """A payload as protobuf writes it in JSON: every value is base64."""

    model_config = ConfigDict(extra="ignore")

    metadata: dict[str, str] = Field(default_factory=dict, max_length=20)
    data: str = ""


class PayloadsItem(BaseModel):
    payloads: Annotated[list[PayloadItem], Field(max_length=MOST_PAYLOADS)] = []


@router.post(DECODE_PATH, response_model=PayloadsItem)
async def decode_payloads(asked: PayloadsItem, caller: CallerDep) -> Response:
    """The payloads as they were before they were packed and encrypted; what is neither comes back as it is.

    All of them together unpack to at most 16 MiB.
    """
    turns = _turns.get(None)
    if turns is None:
        _turns.set(turns := CapacityLimiter(AT_ONCE))
    # Also written in the thread: sixteen megabytes of JSON keep a loop busy for as long as unpacking them does.
    body = await to_thread.run_sync(_decode, asked, caller.parts.payload_keys, limiter=turns)
    return Response(body, media_type="application/json")


def _decode(asked: PayloadsItem, keys: KeyFile | None) -> bytes:
    left, found = MOST_UNPACKED, []
    for number, item in enumerate(asked.payloads):
        place = f"payloads[{number}]"
        metadata = {name: read(text, f"{place}.metadata.{name}") for name, text in item.metadata.items()}
        packed = Payload(metadata=metadata, data=read(item.data, f"{place}.data"))
        try:
            payload = unpacked(opened(packed, keys), left)
        except BadInput as problem:
            raise BadInput(f"{place}.{problem.field}", problem.problem, problem.remedy) from problem
        # Counted over the whole request: 500 small bombs are one large one.
        left = max(0, left - len(payload.data))
        found.append(
            PayloadItem(
                metadata={name: b64encode(value).decode() for name, value in payload.metadata.items()},
                data=b64encode(payload.data).decode(),
            )
        )
    return PayloadsItem(payloads=found).model_dump_json().encode()


def read(text: str, field: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (ValueError, binascii.Error) as problem:
        raise BadInput(field, "is not base64", "Send the payload as Temporal writes it in JSON.") from problem


class AskedFromTheUI(Layer):
    """Lets the pages of the Temporal UI, and no others, read what the codec answers them (CORS)."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["app"].state.parts
        assert isinstance(parts, Parts)
        origin = Headers(scope=scope).get("origin", "")
        if scope["path"] not in (DECODE_PATH, ENCODE_PATH) or origin not in _origins(parts):
            await self.app(scope, receive, send)
            return
        allowed = {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "vary": "origin",
        }
        if scope["method"] == "OPTIONS":
            # What the UI sends with its question, and for how long a browser need not ask again.
            asked = {
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": "authorization, content-type, x-namespace",
                "access-control-max-age": "600",
            }
            await Response(status_code=204, headers={**allowed, **asked})(scope, receive, send)
            return
        if scope["path"] == ENCODE_PATH:
            await (await echoed(Request(scope, receive), allowed))(scope, receive, send)
            return

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(allowed)
            await send(message)

        await self.app(scope, receive, readable)


async def echoed(request: Request, allowed: dict[str, str]) -> Response:
    """What the UI asks before it sends an update: its payloads as they came, for ours are read as they are.

    Also for somebody who has not logged in here, for whoever pastes a code there need not have; nothing of ours is in
    the answer.  Bounded here, since it is answered before anything else has looked at the request.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            return Response(status_code=413, headers=allowed)
    safe = {**allowed, "x-content-type-options": "nosniff", "cache-control": "no-store"}
    return Response(body, media_type="application/json", headers=safe)


def _origins(parts: Parts) -> set[str]:
    return {origin_of(parts.temporal_ui), origin_of(parts.auditors_ui)} - {""}


def origin_of(address: str) -> str:
    """Scheme, name and port of ``address``, as a browser says it (RFC 6454 6.2): lower case, without the scheme's own
    port; empty for an empty one."""
    read = urlsplit(address)
    if not read.hostname:
        return ""
    host = f"[{read.hostname}]" if ":" in read.hostname else read.hostname
    usual = {"http": 80, "https": 443}.get(read.scheme)
    return f"{read.scheme}://{host}" + (f":{read.port}" if read.port not in (None, usual) else "")
