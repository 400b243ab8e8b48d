"""Large payloads are compressed on their way to Temporal: a certificate in 5,000 places has a state of over a megabyte.

Temporal refuses payloads of 2 MB, and every page and query that carries one is slow long before.  Nothing here hides
anything: keys are in no payload, and whoever may read a history may unpack it.  The API unpacks for the Temporal UI.
"""

import asyncio
import lzma
import zlib
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from domain.errors import BadInput

ZLIB, XZ = b"binary/zlib", b"binary/xz"
# Below this a payload is read as it stands, by people, `temporal` and the UI: ordinary lives never come above it.
SMALLEST = 8 * 1024
# The level that zlib calls its default; its size hardly falls above it, its time doubles.
LEVEL = 6
# zlib sees 32 KiB back.  Where thousands of places stand twice in one payload (as its slots and as where the new
# certificate is installed) it packs them twice; xz sees all of it, for ten times the CPU: a second for 4 MB.
TOO_LARGE_FOR_ZLIB = 256 * 1024
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 4, "pb": 0, "dict_size": 8 * 1024 * 1024}]
# What unpacking may take beside the data itself; FILTERS need 9 MiB.
MOST_MEMORY = 64 * 1024 * 1024
# Above this packing takes longer than other work of the process should wait.
IN_A_THREAD = 128 * 1024
# Far above anything that was ever packed (Temporal takes no 2 MB), far below what a worker or the API would die of.
MOST_UNPACKED = 16 * 1024 * 1024

REMEDY = "Send a payload as it stands in a history of Everleaf"


class Compression(PayloadCodec):
    """Packs what is large and leaves the rest alone; unpacks what it packed, and passes on what it does not know."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        is_long = any(payload.ByteSize() > IN_A_THREAD for payload in payloads)
        return await asyncio.to_thread(_all, payloads) if is_long else _all(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [unpacked(payload) for payload in payloads]


def _all(payloads: Sequence[Payload]) -> list[Payload]:
    return [packed(payload) for payload in payloads]


def packed(payload: Payload) -> Payload:
    if payload.ByteSize() < SMALLEST:
        return payload
    # The whole payload, as Temporal's own samples do it, so that its first encoding comes back with it.
    whole = payload.SerializeToString(deterministic=True)
    encoding, data = ZLIB, zlib.compress(whole, LEVEL)
    if len(data) > TOO_LARGE_FOR_ZLIB:
        encoding, data = min(
            (ZLIB, data), (XZ, lzma.compress(whole, lzma.FORMAT_XZ, filters=FILTERS)), key=lambda one: len(one[1])
        )
    return Payload(metadata={"encoding": encoding}, data=data)


def unpacked(payload: Payload, most: int = MOST_UNPACKED) -> Payload:
    """The payload in ``payload``.  Raises BadInput where it is none, or would unpack to more than ``most`` bytes."""
    encoding = payload.metadata.get("encoding")
    if encoding not in (ZLIB, XZ):
        return payload
    try:
        return Payload.FromString(expanded(payload.data, most, encoding))
    except DecodeError as problem:
        raise BadInput("data", "unpacks to no payload", REMEDY) from problem


def expanded(data: bytes, most: int, encoding: bytes = ZLIB) -> bytes:
    """Stops unpacking a byte beyond ``most``: a few kilobytes can hold gigabytes.  Raises BadInput."""
    name = encoding.decode().partition("/")[2]
    unpacking = zlib.decompressobj() if encoding == ZLIB else lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
    try:
        # One byte more than is allowed, so that the end of data of just that length is still read and checked.
        found = unpacking.decompress(data, most + 1)
    except (zlib.error, lzma.LZMAError) as problem:
        raise BadInput("data", f"is not {name} ({problem})", REMEDY) from problem
    if len(found) > most:
        raise BadInput("data", f"unpacks to more than {most} bytes", REMEDY)
    if not unpacking.eof or unpacking.unused_data:
        raise BadInput("data", "is cut short, or goes on after its end", REMEDY)
    return found
