"""Payloads on their way to Temporal: small ones as they are, large ones packed, hostile ones refused."""

import lzma
import zlib
from random import Random

import pytest
from temporalio.api.common.v1 import Payload

from domain.errors import BadInput
from workflows import codec
from workflows.codec import MOST_UNPACKED, SMALLEST, XZ, ZLIB, Compression, packed, unpacked

SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'{"managed_id":"mc-1"}')
LARGE = Payload(metadata={"encoding": b"json/plain", "kind": b"own"}, data=b'"' + b"mc-1 " * 20_000 + b'"')


async def test_a_small_payload_stays_readable_and_a_large_one_comes_back_whole() -> None:
    compression = Compression()
    small, large = await compression.encode([SMALL, LARGE])
    assert small == SMALL
    assert large.metadata == {"encoding": ZLIB}
    assert len(large.data) < len(LARGE.data) / 10
    assert await compression.decode([small, large]) == [SMALL, LARGE]


async def test_what_stands_twice_far_apart_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Random(7).randbytes(300_000).hex().encode()
    payload = Payload(metadata={"encoding": b"json/plain"}, data=names + names + names)
    [large] = await Compression().encode([payload])
    assert large.metadata == {"encoding": XZ}
    assert len(large.data) < 400_000
    assert await Compression().decode([large]) == [payload]
    bomb = Payload(metadata={"encoding": XZ}, data=lzma.compress(bytes(MOST_UNPACKED + 1)))
    with pytest.raises(BadInput, match="more than"):
        unpacked(bomb)
    monkeypatch.setattr(codec, "MOST_MEMORY", 1_000_000)
    with pytest.raises(BadInput, match="is not xz"):
        unpacked(large)


async def test_what_is_packed_twice_is_the_same_bytes() -> None:
    assert packed(LARGE) == packed(LARGE)


async def test_the_border_is_the_size_of_the_whole_payload() -> None:
    room = SMALLEST - Payload(metadata=SMALL.metadata, data=b"x" * 5000).ByteSize() + 5000
    assert packed(Payload(metadata=SMALL.metadata, data=b"x" * (room - 1))).metadata["encoding"] == b"json/plain"
    assert packed(Payload(metadata=SMALL.metadata, data=b"x" * room)).metadata["encoding"] == ZLIB


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cut short"),
        (b"no zlib at all", "is not zlib"),
        (zlib.compress(LARGE.SerializeToString())[:-9], "cut short"),
        (zlib.compress(LARGE.SerializeToString()) + b"more", "goes on after its end"),
        (zlib.compress(LARGE.SerializeToString())[:-4] + b"sum!", "is not zlib"),
        (zlib.compress(b"\xff\xff\xff\xff no payload"), "unpacks to no payload"),
        (zlib.compress(bytes(MOST_UNPACKED + 1)), f"more than {MOST_UNPACKED} bytes"),
    ],
)
def test_bytes_of_a_stranger_are_refused_with_what_is_wrong(data: bytes, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        unpacked(Payload(metadata={"encoding": ZLIB}, data=data))


def test_a_bomb_is_never_unpacked_beyond_its_limit() -> None:
    # 64 MB in 64 KB; what is refused is refused after its first 1,001 bytes.
    bomb = Payload(metadata={"encoding": ZLIB}, data=zlib.compress(bytes(64 * 1024 * 1024)))
    with pytest.raises(BadInput, match="more than 1000 bytes"):
        unpacked(bomb, most=1000)
