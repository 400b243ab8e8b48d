"""Foreign text on every page and in the CSV: shown, recognisable, never obeyed."""

import re
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.web.text import cell, mixed_script, plain, shown
from store import tables
from tests.api.browsers import Browser
from tests.api.conftest import House

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "self\u202ecare.example",
    "pay\u200b.example\x00.evil",
    "n\u0456la.example",
    '"><script>alert(1)</script>',
    "=cmd|' /C calc'!A0",
    "a" * 3000,
)


async def test_foreign_text_is_shown_and_never_obeyed(house: House, head: Browser, database: Engine) -> None:
    names = [name.replace("\x00", "\x01") for name in HOSTILE] + [f"san-{index}.example" for index in range(500)]
    with database.begin() as connection:
        changed = {"names": names, "service": names[0], "owner": names[4], "tier_reason": names[4], "search": "x"}
        changed |= {"issuer": names[1], "findings": [f"weak-key: {names[0]}"], "next_action": names[4]}
        connection.execute(sa.update(tables.managed_certificates).values(**changed))
    for path in ("/", "/certificates", "/certificates/mc-1", "/approvals", "/discovery"):
        page = (await head.get(path)).text
        seen = Seen()
        seen.feed(page)
        assert not seen.foreign, path
        # A filter's own value is sent back as it is, and shown as it is nowhere.
        shown = re.sub(r'value="[^"]*"', "", page)
        assert "\u202e" not in shown
        assert "\u200b" not in shown
    page = (await head.get("/certificates/mc-1")).text
    assert '<span class="raw">U+202E</span>' in page
    assert "mixed scripts: Latin and Cyrillic" in page
    assert "and 503 more" in page


class Seen(HTMLParser):
    """Elements that only foreign text could have brought."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        inline = tag == "script" and not str(given.get("src", "")).startswith("/static/")
        if tag == "img" or inline or "style" in given or any(name.startswith("on") for name in given):
            self.foreign.append(tag)


async def test_a_csv_holds_exactly_the_filter_and_no_formula(house: House, head: Browser, database: Engine) -> None:
    with database.begin() as connection:
        formula = {"owner": "=HYPERLINK(1)", "names": ["+1.example"]}
        connection.execute(sa.update(tables.managed_certificates).values(**formula))
    answer = await head.get("/certificates.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert lines[0].startswith("id,names,tier")
    assert "'=HYPERLINK(1)" in lines[1]
    assert "'+1.example" in lines[1]
    assert len((await head.get("/certificates.csv?q=nothing-like-it")).text.splitlines()) == 1


@pytest.mark.parametrize("mark", ["\x00", "\x1b", "\n", "\u202e", "\u2066", "\u200d", "\u00ad", "\ufeff", "\U000e0041"])
def test_a_character_that_nobody_sees_is_shown_by_its_number(mark: str) -> None:
    number = f"U+{ord(mark):04X}"
    assert shown(f"a{mark}b") == f'a<span class="raw">{number}</span>b'
    assert plain(f"a{mark}b") == f"a[{number}]b"


def test_a_tower_of_accents_does_not_paint_over_its_neighbours() -> None:
    assert shown("a" + "\u0301" * 30).count("raw") == 25


def test_a_very_long_text_is_cut_and_says_so() -> None:
    assert "2744 more characters" in shown("a" * 3000)


def test_honest_names_of_one_script_are_left_alone() -> None:
    for name in ("nila.example", "இணையம்.example", "пример.example"):
        assert not mixed_script(name)
        assert "raw" not in shown(name)
    assert mixed_script("n\u0456la.example") == "Latin and Cyrillic"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
