"""A policy file that was cut, mangled, or made to cost time is refused with its own line, and is no smaller policy."""

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml.scanner import RoundTripScanner

from cli.home import PROJECT
from demo.estate import prepare
from domain.errors import BadPolicy
from formats.policy import kept_policy, parse_policy
from formats.policy_form import EMPTY
from formats.policy_text import DEEPEST, MOST_BYTES
from tests.formats.test_policy import GOOD
from tests.policies import whole

DEMO = (PROJECT / "demo" / "policy.yaml").read_bytes()
TEMPLATE = (PROJECT / "cli" / "policy-template.yaml").read_bytes()
# A prime, so that cuts fall at all columns of the lines.
EVERY = 211


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The policy that the sample estate writes for itself: with the roots of its CAs, so that a cut may part a PEM."""
    home = tmp_path_factory.mktemp("estate")
    prepare(home, claim=lambda _: True)
    return (home / "policy.yaml").read_bytes()


def refusal(text: bytes) -> BadPolicy:
    with pytest.raises(BadPolicy) as refused:
        parse_policy(text, "p.yaml")
    return refused.value


def lines(text: bytes) -> int:
    return text.count(b"\n")


def test_no_cut_at_a_line_counts_as_a_smaller_policy(estate: bytes) -> None:
    for text in (DEMO, TEMPLATE, estate):
        parse_policy(text)
        parts = text.splitlines(keepends=True)
        for number in range(len(parts)):
            told = refusal(b"".join(parts[:number]))
            assert any("was cut" in one.problem for one in (told, *told.others)), number


@pytest.mark.parametrize("text", [DEMO, TEMPLATE], ids=["demo", "template"])
def test_no_cut_at_a_byte_counts_as_a_smaller_policy(text: bytes) -> None:
    # The line break behind the mark may be missing: then nothing is.
    for offset in range(0, len(text) - len("\n"), EVERY):
        assert refusal(text[:offset]).remedy
    for offset in range(len(text) - 30, len(text) - 1):
        assert refusal(text[:offset]).remedy
    assert parse_policy(text[:-1])


@given(st.integers(min_value=0, max_value=len(DEMO) - 2))
def test_no_cut_anywhere_counts_as_a_smaller_policy(offset: int) -> None:
    assert refusal(DEMO[:offset]).remedy


def test_a_cut_is_told_where_the_mark_is_missing_with_what_to_write() -> None:
    good = whole(GOOD)
    told = refusal(good.removesuffix("...\n").encode())
    assert (told.line, told.field) == (good.count("\n"), "policy")
    assert "was cut: it does not end with `...`" in told.problem and "write `...` as its last line" in told.remedy
    torn = good[: good.index("role: operator") + len("role: oper")]
    assert refusal(torn.encode()).line == 3
    assert "was cut" in refusal(torn.encode()).problem


@pytest.mark.parametrize("part", EMPTY)
def test_every_part_is_named_also_an_empty_one(part: str) -> None:
    rows = whole("people: [{id: head, name: H, email: h@example.in, role: security-head}]").splitlines()
    told = refusal("\n".join(row for row in rows if not row.startswith(f"{part}:")).encode())
    assert told.field == part and told.problem == "is missing"
    assert f"write `{part}: {EMPTY[part]}`" in told.remedy
    nothing = "\n".join(f"{part}:" if row.startswith(f"{part}:") else row for row in rows)
    told = refusal(nothing.encode())
    assert (told.field, told.line) == (part, nothing.splitlines().index(f"{part}:") + 1)
    assert f"write `{part}: {EMPTY[part]}`" in told.remedy


@pytest.mark.parametrize("behind", ["people: []\n", "---\npeople: []\n...\n", "anything\n", "\x1a\n"])
def test_what_goes_on_behind_the_mark_is_refused_with_its_line(behind: str) -> None:
    good = whole(GOOD)
    assert refusal((good + behind).encode()).line == good.count("\n") + 1
    for harmless in ("\n\n", "# edited\n", "  \n# edited"):
        assert parse_policy((good + harmless).encode())
    assert parse_policy(good.replace("...\n", "...   # whole\n").replace("\n", "\r\n").encode())


def test_a_mark_in_a_root_or_a_text_is_not_the_end_of_the_file() -> None:
    inside = GOOD.replace("name: Head", "name: 'Head ...'")
    assert parse_policy(whole(inside).encode())
    assert "was cut" in refusal(whole(inside).removesuffix("...\n").encode()).problem


def test_a_damaged_byte_is_told_with_its_own_line() -> None:
    good = whole(GOOD).encode()
    at = good.index(b"network-critical")
    line = lines(good[:at]) + 1
    for damage, said in (
        (b"\0", "a NUL byte"),
        (b"\xe9", "is not UTF-8"),
        (b"\x07", "character U+0007"),
        (b"\xff\xfe", "UTF-8"),
    ):
        told = refusal(good[:at] + damage + good[at:])
        assert told.line == line and said in told.problem, told
    assert refusal(good.decode().encode("utf-16")).remedy
    assert refusal(good.decode().encode("utf-16-le")).line == 1
    # A byte order mark is what an editor of Windows leaves, and is UTF-8.
    assert parse_policy(b"\xef\xbb\xbf" + good)


def test_a_doubled_key_is_told_with_both_lines_and_shows_nothing_of_the_blocks() -> None:
    doubled = whole(GOOD + "people:\n  - {id: x, name: X, email: x@elsewhere.example, role: operator}\n")
    told = refusal(doubled.encode())
    assert told.line == GOOD.count("\n") + 1
    assert f"'people' twice, in line 1 and in line {told.line}" in told.problem
    inner = refusal(whole(GOOD.replace("{id: noc,", "{id: noc, id: noc,")).encode())
    assert (inner.line, "'id' twice" in inner.problem) == (3, True)


def test_a_key_that_is_no_word_and_a_date_that_is_none_are_told_with_their_line() -> None:
    assert refusal(whole(GOOD.replace("subscribers: 10", "[subscribers]: 10")).encode()).line == 7
    for odd in ("2020-13-45", "9" * 5000):
        told = refusal(whole(GOOD.replace("subscribers: 10", f"subscribers: {odd}")).encode())
        assert (told.line, "date or number" in told.problem) == (7, True)


@pytest.mark.parametrize("deep", ["[" * 200_000, "{a: " * 60_000, "- " * 200_000, "[a, " * 60_000, "? " * 100_000])
def test_a_deep_nest_is_refused_after_its_first_brackets(deep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    fetch = RoundTripScanner.fetch_more_tokens

    def counted(self: RoundTripScanner) -> object:
        fetched.append(1)
        return fetch(self)

    monkeypatch.setattr(RoundTripScanner, "fetch_more_tokens", counted)
    told = refusal(f"people: []\nrules:\n  {deep}".encode())
    assert (told.line, told.problem) == (3, f"is nested more than {DEEPEST} deep")
    # A key that may follow keeps the scanner looking ahead for 1,024 characters, whatever the file's size.
    assert len(fetched) < 3000


def test_aliases_that_explode_or_bite_their_tail_are_refused_with_their_line() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    told = refusal(bomb.encode())
    assert "stands for more than" in told.problem and told.line < 9
    assert "refers to itself" in refusal(b"people: &a\n  - *a\n").problem
    rungs = "[{lead: 30d, to: security-head}]"
    shared = "tiers:\n  - {tier: internal, opens: 60d, issues: 60d, asks: false, rungs: &r " + rungs + "}\n"
    shared += "  - {tier: customer-facing, opens: 90d, issues: 60d, asks: true, rungs: *r}\n"
    assert parse_policy(whole(GOOD + shared).encode())


def test_a_file_without_end_is_refused_by_its_size() -> None:
    assert str(MOST_BYTES) in refusal(b"#" * (MOST_BYTES + 1)).problem


@pytest.mark.parametrize(
    "mangled",
    [
        GOOD.replace("head@example.in", "'Head <asha.rao@sahyadri.example>'"),
        GOOD.replace("validity: 90d", "validity: {asha: asha.rao@sahyadri.example}"),
        GOOD.replace("validity: 90d", "validity: asha.rao@sahyadri.example"),
        GOOD.replace("owners:", "asha.rao@sahyadri.example: x\nowners:"),
        GOOD.replace("contact: noc", "contact: asha.rao@sahyadri.example"),
        GOOD.replace("contact: noc", "contact: *asha.rao@sahyadri.example"),
        GOOD.replace(
            "{id: core, contact: noc}",
            "{id: core, contact: noc, asha.rao@sahyadri.example: 1, asha.rao@sahyadri.example: 2}",
        ),
        GOOD.replace("tier: network-critical", "tier: asha.rao@sahyadri.example"),
        GOOD.replace("key.pem\n", "key.pem\n    mode: asha.rao@sahyadri.example\n"),
    ],
)
def test_no_refusal_prints_anybodys_address(mangled: str) -> None:
    assert mangled != GOOD
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = refusal(whole(mangled).encode())
    every = [told, *told.others]
    assert not any("asha.rao@" in f"{one} {one.field} {one.problem}" for one in every), every


def test_a_long_name_is_told_in_characters() -> None:
    assert (
        "at most 100 characters"
        in refusal(whole(GOOD.replace("name: Head", f"name: {'x' * 200_000}")).encode()).problem
    )


def test_a_policy_that_earlier_releases_kept_is_read_as_they_kept_it() -> None:
    kept = kept_policy(GOOD, "sha256:1")
    assert (kept.version, kept.people) == ("sha256:1", parse_policy(whole(GOOD).encode()).people)
    assert kept.roots == () and len(kept.tiers) == 3
    with pytest.raises(BadPolicy):
        kept_policy("colour: red", "sha256:2")


def test_what_an_issuer_is_known_by_is_a_root_of_the_policy_too(estate: bytes) -> None:
    root = parse_policy(estate).roots[0]
    named = GOOD.replace("recognise: [", f"roots: [{json.dumps(root)}], recognise: [")
    policy = parse_policy(whole(named).encode())
    assert (policy.issuers[0].roots, policy.roots) == ((root,), (root,))
    told = refusal(whole(GOOD.replace("recognise: [", "roots: [/etc/ssl/ca.pem], recognise: [")).encode())
    assert (told.field, told.line) == ("issuers[0].roots[0]", 14)


def test_the_files_that_people_copy_end_with_the_mark() -> None:
    for file in (PROJECT / "demo" / "policy.yaml", PROJECT / "cli" / "policy-template.yaml"):
        assert Path(file).read_text().endswith("\n...\n")
