"""What the sandbox of Temporal lets through is pure: no clock, no chance, no files, no environment.

``domain`` is, every file of it.  Of ``workflows``, everything that a workflow can reach by imports is; the rest of the
room are clients, which no workflow imports.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import ROOT, dotted, files, imports, shown, tree
from workflows.sandbox import LET_THROUGH

# Whole modules that have no place in a pure room.
FORBIDDEN_MODULES = {
    "asyncio", "ctypes", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "platform", "random",
    "secrets", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip
# The halves of such modules that only take text apart.
PURE_HALVES = ("pathlib.PurePath", "pathlib.PurePosixPath", "urllib.parse.")
# What Temporal runs on its own loop, in the same order at every replay; threads, sockets and processes it cannot.
ASYNCIO_OF_WORKFLOWS = {"CancelledError", "Task", "TimeoutError", "create_task", "gather"}
FORBIDDEN_CALLS = {
    "open", "input", "print", "exec", "eval", "__import__", "id", "hash",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
}  # fmt: skip
# Reading a naive local time is a clock in disguise: it depends on the zone of the machine.
FORBIDDEN_METHODS = {"now", "utcnow", "today", "fromtimestamp"}
# What changes a list, a set or a map.  A room that is loaded once is shared by every workflow of the process: what one
# of them leaves in it another would find, and a replay would not.
MUTATING_METHODS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault",
                    "update"}  # fmt: skip


def impure_imports(module: ast.Module, *, of_workflow: bool = False) -> list[tuple[ast.AST, str]]:
    return [
        (node, imported)
        for node, imported in imports(module, "domain")
        if imported.split(".")[0] in FORBIDDEN_MODULES - ({"asyncio"} if of_workflow else set())
        and not imported.startswith(PURE_HALVES)
    ]


def impure_asyncio(module: ast.Module) -> list[tuple[ast.AST, str]]:
    named = [(node, imported) for node, imported in imports(module) if imported.startswith("asyncio.")]
    used = [(node, dotted(node)) for node in ast.walk(module) if isinstance(node, ast.Attribute)]
    return [
        (node, name)
        for node, name in (*named, *used)
        if name.startswith("asyncio.") and name.split(".")[1] not in ASYNCIO_OF_WORKFLOWS
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


def shared_changes(module: ast.Module) -> list[tuple[ast.AST, str]]:
    """Where something of the module itself is changed after it was loaded."""
    own = {
        target.id
        for statement in module.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Global):
            found.append((node, f"global {', '.join(node.names)}"))
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del) and dotted(node.value) in own:
            found.append((node, f"{dotted(node.value)}[...] ="))
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in MUTATING_METHODS and dotted(called.value) in own:
            found.append((node, dotted(called)))
    return found


def reachable_from_workflows() -> list[Path]:
    """The files of ``workflows`` that define one, and all that they import of the room, and so on."""
    by_module = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files("workflows")}
    waiting = [name for name, file in by_module.items() if defines_a_workflow(tree(file))]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [module for module in imported_modules(tree(by_module[name])) if module in by_module]
    return [by_module[name] for name in sorted(reached)]


def imported_modules(module: ast.Module) -> Iterator[str]:
    """Each import with and without its last part: the name may be a module's, or something in it."""
    for _, imported in imports(module, "workflows"):
        yield imported
        yield imported.rpartition(".")[0]


def defines_a_workflow(module: ast.Module) -> bool:
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    return any(
        isinstance(decorator, ast.Call) and dotted(decorator.func) == "workflow.defn"
        for node in classes
        for decorator in node.decorator_list
    )


def test_the_sandbox_lets_through_what_is_read_here_and_nothing_else_of_ours() -> None:
    assert LET_THROUGH == ("domain", "workflows")
    reached = {file.stem for file in reachable_from_workflows()}
    assert reached >= {"lifecycle", "courier", "discovery", "steps", "search"}
    # A client in a workflow's reach would bring sockets and clocks along.
    assert not reached & {"client", "messenger", "replaying", "scheduling", "codec", "converter"}


def test_domain_is_pure() -> None:
    wrong = [
        f"{shown(file, node)} uses {name}"
        for file in files("domain")
        for node, name in (*impure_imports(tree(file)), *impure_calls(tree(file)), *shared_changes(tree(file)))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_a_workflow_can_reach_is_pure() -> None:
    wrong = [
        f"{shown(file, node)} uses {name}"
        for file in reachable_from_workflows()
        for node, name in (
            *impure_imports(tree(file), of_workflow=True),
            *impure_asyncio(tree(file)),
            *impure_calls(tree(file)),
            *shared_changes(tree(file)),
        )
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
        "SEEN = []\ndef f():\n    SEEN.append(1)",
        "SEEN: dict = {}\ndef f():\n    SEEN['x'] = 1",
        "SEEN = {}\ndef f():\n    del SEEN['x']",
        "n = 0\ndef f():\n    global n\n    n += 1",
        "import asyncio\nasyncio.to_thread(f)",
        "from asyncio import open_connection",
        "import asyncio\nasyncio.get_running_loop().run_in_executor(None, f)",
    )
    unseen = [cheat for cheat in cheats if not found_in(ast.parse(cheat))]
    assert not unseen


def found_in(module: ast.Module) -> list[tuple[ast.AST, str]]:
    return [
        *impure_imports(module, of_workflow=True),
        *impure_asyncio(module),
        *impure_calls(module),
        *shared_changes(module),
    ]


def test_the_rule_lets_honest_code_through() -> None:
    honest = ast.parse(
        "import asyncio\nfrom datetime import datetime\nfrom pathlib import PurePath\nKINDS = {}\n"
        "when = datetime.fromisoformat('x')\nasync def f(s):\n    s.append(KINDS['x'])\n    await asyncio.gather()"
    )
    assert not found_in(honest)
