"""Payloads on their way to Temporal: small ones as they are, large ones packed, hostile ones refused."""

import zlib

import pytest
from temporalio.api.common.v1 import Payload

from domain.errors import BadInput
from workflows.codec import ENCODING, MOST_UNPACKED, SMALLEST, Compression, packed, unpacked

SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'{"managed_id":"mc-1"}')
LARGE = Payload(metadata={"encoding": b"json/plain", "kind": b"own"}, data=b'"' + b"mc-1 " * 20_000 + b'"')


async def test_a_small_payload_stays_readable_and_a_large_one_comes_back_whole() -> None:
    codec = Compression()
    small, large = await codec.encode([SMALL, LARGE])
    assert small == SMALL
    assert large.metadata == {"encoding": ENCODING}
    assert len(large.data) < len(LARGE.data) / 10
    assert await codec.decode([small, large]) == [SMALL, LARGE]


async def test_what_is_packed_twice_is_the_same_bytes() -> None:
    assert packed(LARGE) == packed(LARGE)


async def test_the_border_is_the_size_of_the_whole_payload() -> None:
    room = SMALLEST - Payload(metadata=SMALL.metadata, data=b"x" * 5000).ByteSize() + 5000
    assert packed(Payload(metadata=SMALL.metadata, data=b"x" * (room - 1))).metadata["encoding"] == b"json/plain"
    assert packed(Payload(metadata=SMALL.metadata, data=b"x" * room)).metadata["encoding"] == ENCODING


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
        unpacked(Payload(metadata={"encoding": ENCODING}, data=data))


def test_a_bomb_is_never_unpacked_beyond_its_limit() -> None:
    # 64 MB in 64 KB; what is refused is refused after its first 1,001 bytes.
    bomb = Payload(metadata={"encoding": ENCODING}, data=zlib.compress(bytes(64 * 1024 * 1024)))
    with pytest.raises(BadInput, match="more than 1000 bytes"):
        unpacked(bomb, most=1000)
