"""The packet of RFC 4330 4, and what of it is no answer."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from formats.sntp import ERA_0, PACKET, answered, question

NONCE = b"12345678"


def packet(at: datetime, *, first: int = 0b00_100_100, stratum: int = 2, nonce: bytes = NONCE) -> bytes:
    seconds = int((at - ERA_0).total_seconds()) % 2**32
    fraction = at.microsecond * 2**32 // 1_000_000
    words = (0, 0, 0, 0, 0, int.from_bytes(nonce[:4], "big"), int.from_bytes(nonce[4:], "big"), 0, 0, seconds, fraction)
    return PACKET.pack(first, stratum, 6, -20, *words)


def test_the_question_is_48_bytes_of_a_client_and_tells_nothing_but_the_nonce() -> None:
    assert question(NONCE) == b"\x23" + bytes(39) + NONCE


@given(st.datetimes(datetime(2026, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # Hypothesis takes bounds without a zone
def test_an_answer_says_when_also_after_2036(at: datetime) -> None:
    assert abs(answered(packet(at), NONCE) - at) <= timedelta(microseconds=1)


NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        packet(NOW)[:47],
        packet(NOW, nonce=b"87654321"),
        packet(NOW, first=0b00_100_011),
        packet(NOW, first=0b11_100_100),
        packet(NOW, stratum=0),
        packet(NOW, stratum=16),
        packet(NOW)[:40] + bytes(8),
    ],
)
def test_what_answers_another_question_or_does_not_know_the_time_is_refused(wrong: bytes) -> None:
    with pytest.raises(BadInput):
        answered(wrong, NONCE)


@given(st.binary(max_size=100))
def test_no_bytes_break_it(given_bytes: bytes) -> None:
    with pytest.raises(BadInput):
        answered(given_bytes, NONCE)
