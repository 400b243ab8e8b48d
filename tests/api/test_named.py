"""A name may be cut or broken, and stays recognisable: its beginning and its domain are always there."""

import pytest

from api.web.name_text import KEPT, breakable, cut

LONG = (
    "mediation-01.billing.sahyadri.example",
    "a-very-long-machine-name-that-goes-on-and-on.rack-17.row-b.hall-2.dc-pune.sahyadri.example",
    "averyveryverylonglabelwithoutanydotatallinit.example",
    "a.b.c." + "x" * 60,
    "x" * 200,
)


@pytest.mark.parametrize("name", LONG)
def test_a_long_name_is_cut_in_its_middle_and_keeps_its_end(name: str) -> None:
    head, tail = cut(name)
    assert head
    assert head + tail == name
    assert KEPT // 2 <= len(tail) <= KEPT


def test_a_cut_falls_on_a_dot_where_there_is_one() -> None:
    assert cut(LONG[0]) == ("mediation-01", ".billing.sahyadri.example")
    assert cut("<img src=x onerror=alert(1)>.gpj.example")[1] == ")>.gpj.example"


def test_a_short_name_stands_as_it_is() -> None:
    assert cut("portal.example") == ("", "portal.example")


def test_a_name_breaks_after_its_dots_and_nowhere_else() -> None:
    shown = breakable("pay-01.nila.example")
    assert shown.split("<wbr>") == [f'<span class="label">{label}</span>' for label in ("pay-01.", "nila.", "example")]


def test_a_label_that_no_line_holds_may_break_and_nothing_in_it_is_obeyed() -> None:
    assert breakable("y" * 40 + ".example").startswith("y" * 40 + ".<wbr>")
    assert "<b>" not in breakable("<b>.exa\u202emple")
    assert '<span class="raw">U+202E</span>' in breakable("<b>.exa\u202emple")
    assert "2744 more characters" in breakable("a." * 1500)
