"""``domain`` has no clock, no chance, no files, no environment: the sandbox of Temporal does not look inside it."""

import ast

from tests.house.sources import dotted, files, imports, shown, tree

# Whole modules that have no place in a pure room.
FORBIDDEN_MODULES = {
    "asyncio", "ctypes", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "platform", "random",
    "secrets", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip
# The halves of such modules that only take text apart.
PURE_HALVES = ("pathlib.PurePath", "pathlib.PurePosixPath", "urllib.parse.")
FORBIDDEN_CALLS = {
    "open", "input", "print", "exec", "eval", "__import__", "id", "hash",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
}  # fmt: skip
# Reading a naive local time is a clock in disguise: it depends on the zone of the machine.
FORBIDDEN_METHODS = {"now", "utcnow", "today", "fromtimestamp"}


def impure_imports(module: ast.Module) -> list[tuple[ast.AST, str]]:
    return [
        (node, imported)
        for node, imported in imports(module, "domain")
        if imported.split(".")[0] in FORBIDDEN_MODULES and not imported.startswith(PURE_HALVES)
    ]


def impure_calls(module: ast.Module) -> list[tuple[ast.AST, str]]:
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        is_clock = (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in FORBIDDEN_METHODS
            and name.split(".")[0] in ("datetime", "date")
        )
        if name in FORBIDDEN_CALLS or is_clock:
            found.append((node, name))
    return found


def test_domain_is_pure() -> None:
    wrong = [
        f"{shown(file, node)} uses {name}"
        for file in files("domain")
        for node, name in (*impure_imports(tree(file)), *impure_calls(tree(file)))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rule_sees_each_way_to_cheat() -> None:
    cheats = (
        "import os",
        "from os import environ",
        "import time as t",
        "from random import choice",
        "from pathlib import Path",
        "import pathlib",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "from datetime import date\ndate.today()",
        "def f():\n    import uuid",
        "open('x')",
    )
    unseen = [cheat for cheat in cheats if not (impure_imports(ast.parse(cheat)) or impure_calls(ast.parse(cheat)))]
    assert not unseen


def test_the_rule_lets_honest_code_through() -> None:
    honest = ast.parse(
        "from datetime import datetime\nfrom pathlib import PurePath\nwhen = datetime.fromisoformat('x')"
    )
    assert not impure_imports(honest)
    assert not impure_calls(honest)
