"""No verdict hangs on how fast a machine is: a wait of the tests is bounded by ``LONG_SECONDS`` or by nothing."""

import ast
from collections.abc import Iterator

from tests.house.sources import dotted, files, shown, tree

# Calls that fail when their number of seconds is over, and where that number stands.
BY_PLACE = {"asyncio.timeout": 0, "asyncio.wait_for": 1, "pytest.mark.timeout": 0}
# Methods of processes, threads and futures; text and paths are joined too, never with a number.
METHODS = ("wait", "join", "result", "communicate")
CLOCKS = {"time.monotonic", "time.perf_counter", "time.time"}


def short_waits(module: ast.Module) -> Iterator[ast.AST]:
    """Each wait whose bound is written as a number, and each comparison of elapsed time."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            place = BY_PLACE.get(name, 0 if name.split(".")[-1] in METHODS else None)
            given = [node.args[place]] if place is not None and len(node.args) > place else []
            # httpx polls with a bound of its own; what is asked again is no verdict.
            if not name.startswith(("httpx2.", "socket.")):
                given += [word.value for word in node.keywords if word.arg == "timeout"]
            if any(isinstance(one, ast.Constant) and isinstance(one.value, int | float) for one in given):
                yield node
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.BinOp) and _is_clock(node.left.left):
            yield node


def _is_clock(asked: ast.expr) -> bool:
    return isinstance(asked, ast.Call) and dotted(asked.func) in CLOCKS


def test_no_wait_of_the_tests_is_short() -> None:
    wrong = [shown(file, node) for file in files("tests") for node in short_waits(tree(file))]
    assert not wrong, "\n".join(wrong)


def test_the_rule_sees_each_sort_of_timed_verdict() -> None:
    sorts = (
        "subprocess.run(command, timeout=60)",
        "process.wait(5)",
        "async def f():\n    async with asyncio.timeout(2):\n        pass",
        "asyncio.wait_for(answer, 0.5)",
        "pytestmark = pytest.mark.timeout(600)",
        "assert time.monotonic() - began < 25",
    )
    unseen = [sort for sort in sorts if not list(short_waits(ast.parse(sort)))]
    assert not unseen


def test_the_rule_lets_long_waits_through() -> None:
    honest = "process.wait(LONG_SECONDS)\n', '.join(words)\nasyncio.timeout(LONG_SECONDS)\nheld.wait()"
    assert not list(short_waits(ast.parse(honest)))
