"""Large payloads are compressed on their way to Temporal: a certificate in 5,000 places has a state of over a megabyte.

Temporal refuses payloads of 2 MB, and every page and query that carries one is slow long before.  Nothing here hides
anything: keys are in no payload, and whoever may read a history may unpack it.  The API unpacks for the Temporal UI.
"""

import zlib
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from domain.errors import BadInput

ENCODING = b"binary/zlib"
# Below this a payload is read as it stands, by people, `temporal` and the UI: ordinary lives never come above it.
SMALLEST = 8 * 1024
# The level that zlib calls its default; its size hardly falls above it, its time doubles.
LEVEL = 6
# Far above anything that was ever packed (Temporal takes no 2 MB), far below what a worker or the API would die of.
MOST_UNPACKED = 16 * 1024 * 1024

REMEDY = "Send a payload as it stands in a history of Everleaf"


class Compression(PayloadCodec):
    """Packs what is large and leaves the rest alone; unpacks what it packed, and passes on what it does not know."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [packed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [unpacked(payload) for payload in payloads]


def packed(payload: Payload) -> Payload:
    if payload.ByteSize() < SMALLEST:
        return payload
    # The whole payload, as Temporal's own samples do it, so that its first encoding comes back with it.
    data = zlib.compress(payload.SerializeToString(deterministic=True), LEVEL)
    return Payload(metadata={"encoding": ENCODING}, data=data)


def unpacked(payload: Payload, most: int = MOST_UNPACKED) -> Payload:
    """The payload in ``payload``.  Raises BadInput where it is none, or would unpack to more than ``most`` bytes."""
    if payload.metadata.get("encoding") != ENCODING:
        return payload
    try:
        return Payload.FromString(expanded(payload.data, most))
    except DecodeError as problem:
        raise BadInput("data", "unpacks to no payload", REMEDY) from problem


def expanded(data: bytes, most: int) -> bytes:
    """Stops unpacking a byte beyond ``most``: a few kilobytes of zlib can hold gigabytes.  Raises BadInput."""
    unpacking = zlib.decompressobj()
    try:
        # One byte more than is allowed, so that the end of data of just that length is still read and checked.
        found = unpacking.decompress(data, most + 1)
    except zlib.error as problem:
        raise BadInput("data", f"is not zlib ({problem})", REMEDY) from problem
    if len(found) > most:
        raise BadInput("data", f"unpacks to more than {most} bytes", REMEDY)
    if not unpacking.eof or unpacking.unused_data:
        raise BadInput("data", "is cut short, or goes on after its end", REMEDY)
    return found
