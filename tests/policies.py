"""Policies of tests: each says what it is about, and ``whole`` names the parts that it leaves empty."""

import re

from formats.policy_form import EMPTY
from formats.policy_text import END_MARK


def whole(text: str) -> str:
    """``text`` with every part named that it does not name, and the mark behind which nothing was cut."""
    empty = [f"{part}: {value}" for part, value in EMPTY.items() if not re.search(rf"^{part}:", text, re.MULTILINE)]
    return "\n".join((text.rstrip("\n"), *empty, END_MARK)) + "\n"
