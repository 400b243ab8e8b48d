"""A file over 300 lines holds two ideas, unless its docstring says why not."""

import ast

from tests.house.sources import ROOT, every_file, tree

LONGEST_FILE = 300
REASON = "Longer than 300 lines because"


def test_no_file_is_longer_than_300_lines_without_a_reason() -> None:
    wrong = []
    for file in every_file():
        length = len(file.read_text().splitlines())
        reason = " ".join((ast.get_docstring(tree(file)) or "").split())
        if length > LONGEST_FILE and REASON not in reason:
            wrong.append(f"{file.relative_to(ROOT)} has {length} lines; divide it, or say '{REASON} ...'")
    assert not wrong, "\n".join(wrong)
