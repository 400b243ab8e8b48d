"""A test that lacks something ends through ``tests.needed``, which fails where CI is set: no skip is a silent one."""

import ast
from typing import TypeGuard

from tests.house.sources import ROOT, tree

# Where a skip is no lack: the rule itself, its own test, and histories of releases that no code of today replays.
MAY = {"tests/needed.py", "tests/cli/test_suite.py", "tests/replay/test_stored_histories.py"}
SKIPS = {"skip", "skipif", "importorskip", "xfail"}


def test_no_test_skips_but_through_what_it_needs() -> None:
    found = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        name = str(file.relative_to(ROOT))
        if name in MAY:
            continue
        skips = [node for node in ast.walk(tree(file)) if _skips(node)]
        found += [f"{name}:{node.lineno}" for node in skips]
    assert not found, found


def _skips(node: ast.AST) -> TypeGuard[ast.Attribute | ast.ImportFrom]:
    if isinstance(node, ast.ImportFrom):
        return node.module == "pytest" and any(one.name in SKIPS for one in node.names)
    return isinstance(node, ast.Attribute) and node.attr in SKIPS
