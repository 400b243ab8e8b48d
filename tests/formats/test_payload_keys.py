"""The file of payload keys: what it may hold, and what is said of one that is wrong."""

from base64 import b64encode

import pytest

from domain.errors import BadInput
from formats.payload_keys import Keyring, parse_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
NONCE = bytes(12)


def line(key_id: str, key: bytes) -> str:
    return f"{key_id} {b64encode(key).decode()}\n"


FILE = "# of 2026\n" + line("2026-11", OLD) + "\n" + line("2027-01", NEW) + "# end\n"


def test_the_last_line_encrypts_and_every_line_decrypts() -> None:
    before = parse_keys(line("2026-11", OLD).encode())
    sealed = before.seal(b"text", NONCE)

    now = parse_keys(FILE.encode())

    assert now.newest == "2027-01"
    assert now.open("2026-11", sealed, NONCE) == b"text"
    assert now.open("2027-01", now.seal(b"text", NONCE), NONCE) == b"text"
    assert now.holds("2026-11")
    assert not now.holds("2025-01")


def test_what_was_changed_or_belongs_to_another_key_does_not_open() -> None:
    ring = parse_keys(FILE.encode())
    sealed = ring.seal(b"text", NONCE)
    changed = bytes([sealed[0] ^ 1]) + sealed[1:]
    for key_id, text, nonce in (
        ("2027-01", changed, NONCE),
        ("2026-11", sealed, NONCE),
        ("2027-01", sealed, bytes(11) + b"\1"),
        ("2027-01", sealed[:5], NONCE),
        ("2027-01", sealed, b""),
    ):
        with pytest.raises(BadInput, match="does not open"):
            ring.open(key_id, text, nonce)


def test_the_same_key_under_another_id_does_not_open_what_was_sealed_under_the_first() -> None:
    sealed = parse_keys(line("one", OLD).encode()).seal(b"text", NONCE)
    with pytest.raises(BadInput, match="does not open"):
        parse_keys(line("other", OLD).encode()).open("other", sealed, NONCE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no key"),
        ("# only a comment\n", "holds no key"),
        (line("one", OLD) + "two\n", "line 2: is not an id"),
        ("one two three\n", "line 1: is not an id"),
        (line("o/ne", OLD), "line 1: is not an id"),
        (line("o" * 41, OLD), "line 1: is not an id"),
        ("one %%%\n", "line 1: the key is not base64"),
        (line("one", OLD[:16]), "line 1: the key has 16 bytes"),
        (line("one", OLD) + line("one", NEW), "line 2: the id one stands there twice"),
        (line("one", OLD) + line("two", OLD), "line 2: the key of two is that of another id"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line_and_without_what_stands_there(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=f"EVERLEAF_PAYLOAD_KEYS.*{problem}") as refused:
        parse_keys(text.encode())
    assert b64encode(OLD).decode() not in str(refused.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadInput, match="line 1"):
        parse_keys(b"\xff\xfe\x00 \x00")


def test_a_ring_never_shows_its_keys() -> None:
    ring = parse_keys(FILE.encode())
    assert isinstance(ring, Keyring)
    assert str(OLD) not in repr(ring)
    assert "2027-01" in repr(ring)
