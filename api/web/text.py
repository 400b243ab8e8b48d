"""Foreign text, shown and never obeyed: certificate names are written by whoever asked for the certificate."""

import unicodedata

from markupsafe import Markup, escape

LONGEST = 256
# A row of combining marks longer than any script needs paints over its neighbours.
LONGEST_ACCENT = 4
# Invisible, or turning the reading direction, and not all of category Cf: soft hyphen, joiners, fillers, tags.
HIDDEN = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u3164\uffa0")
# What stands alone as a script in a domain label, beside digits and signs.
SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "HEBREW", "ARABIC", "DEVANAGARI", "TAMIL", "TELUGU", "KANNADA")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def is_raw(mark: str) -> bool:
    """Whether ``mark`` must be shown by its number: control, direction, invisible, unassigned, half of a pair."""
    return unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or mark in HIDDEN


def pieces(text: str) -> list[tuple[str, bool]]:
    """``text`` cut into (piece, raw): what may stand as it is, and what is shown by its number."""
    found: list[tuple[str, bool]] = []
    accents = 0
    for mark in unicodedata.normalize("NFC", text[:LONGEST]):
        accents = accents + 1 if unicodedata.combining(mark) else 0
        raw = is_raw(mark) or accents > LONGEST_ACCENT
        if raw:
            found.append((f"U+{ord(mark):04X}", True))
        elif found and not found[-1][1]:
            found[-1] = (found[-1][0] + mark, False)
        else:
            found.append((mark, False))
    if len(text) > LONGEST:
        found.append((f"… {len(text) - LONGEST} more characters", True))
    return found


def shown(text: object) -> Markup:
    """HTML of foreign text: escaped, isolated by its style, every unprintable character as its number in a frame."""
    framed = Markup('<span class="raw">{}</span>')
    return Markup("").join(framed.format(piece) if raw else escape(piece) for piece, raw in pieces(str(text)))


def plain(text: object) -> str:
    """The same for places without markup: titles, attributes, CSV."""
    return "".join(f"[{piece}]" if raw else piece for piece, raw in pieces(str(text)))


def count(number: int, noun: str) -> str:
    """ "1 place", "1,240 places"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cell(text: object) -> str:
    """The same for a spreadsheet, which must not take it for a formula."""
    safe = plain(text)
    return f"'{safe}" if safe.startswith(FORMULA) else safe


def mixed_script(text: str) -> str:
    """What the label that looks like another mixes, or empty: "Latin and Cyrillic"."""
    for label in text.split("."):
        named = [unicodedata.name(mark, "") for mark in label if mark.isalpha()]
        found = [script for script in SCRIPTS if any(name.startswith(script) for name in named)]
        if len(found) > 1:
            return " and ".join(script.capitalize() for script in found)
    return ""


def tail_of(name: str) -> tuple[str, str]:
    """(head, tail): a long name loses its head, never its domain."""
    labels = name.split(".")
    if len(labels) < 4:
        return "", name
    return ".".join(labels[:-3]), "." + ".".join(labels[-3:])
