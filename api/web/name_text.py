"""Where a certificate's name may be cut and where it may break, so that it stays recognisable."""

from markupsafe import Markup

from api.web import text

# What of a long name is never cut: its end, which is its domain.
KEPT = 28
# A label up to here fits on one line of a phone, also as a headline.
UNBROKEN = 24


def cut(name: str) -> tuple[str, str]:
    """(head, tail) of a long name: a page cuts the end of the head, which loses the middle of the name.

    ("", name) for one that is short enough to stand as it is.
    """
    if len(name) <= KEPT:
        return "", name
    head, tail = text.tail_of(name)
    if head and len(tail) <= KEPT:
        return head, tail
    dot = name.find(".", len(name) - KEPT)
    at = dot if 0 < dot <= len(name) - KEPT // 2 else len(name) - KEPT // 2
    return name[:at], name[at:]


def breakable(name: str) -> Markup:
    """HTML of a name that breaks after its dots, not at its hyphens; a label breaks where no line could hold it."""
    if len(name) > text.LONGEST:
        return text.shown(name)
    *firsts, last = name.split(".")
    labels = [f"{label}." for label in firsts] + [last]
    whole = Markup('<span class="label">{}</span>')
    parts = [whole.format(text.shown(label)) if len(label) <= UNBROKEN else text.shown(label) for label in labels]
    return Markup("<wbr>").join(parts)
