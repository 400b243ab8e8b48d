import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.certificate import TrustClass
from domain.errors import BadInput
from store.canonical import canonical, leaf_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_writing_what_was_read_gives_the_same_bytes(value: dict[str, Any]) -> None:
    body = canonical(value)
    assert json.loads(body) == value
    assert canonical(json.loads(body)) == body


def test_known_bytes_and_their_leaf_hash() -> None:
    value = {"b": (1, True), "a": datetime(2026, 11, 24, 3, tzinfo=UTC), "c": b"\x01\xff", "d": TrustClass.PRIVATE}
    body = canonical(value)
    assert body == b'{"a":"2026-11-24T03:00:00.000000Z","b":[1,true],"c":"01ff","d":"private"}'
    # RFC 6962: the hash of an empty leaf.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize(
    "value",
    [1.0, None, 2**53, "\ud800", datetime(2026, 1, 1), {"A": 1}, {"": 1}, {1: 1}, object(), "x" * 65_536],  # noqa: DTZ001
)
def test_what_serialisers_would_write_differently_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        canonical({"facts": value})


def test_seventeen_levels_are_one_too_many() -> None:
    value: Any = 1
    for _ in range(16):
        value = [value]
    with pytest.raises(BadInput, match="levels"):
        canonical({"a": value})
