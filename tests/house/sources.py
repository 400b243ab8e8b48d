"""The project's own Python files as syntax trees: what every house rule reads."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("domain", "formats", "workflows", "activities", "store", "api", "cli", "demo", "tests", "benchmarks")
# Programs of one file that stand beside the rooms.
SINGLES = ("worker", "watch")


def files(room: str) -> Iterator[Path]:
    """Every Python file of ``room``; none if the room does not exist yet."""
    single = ROOT / f"{room}.py"
    if room in SINGLES and single.exists():
        yield single
    yield from sorted((ROOT / room).rglob("*.py"))


def every_file() -> Iterator[Path]:
    for room in (*ROOMS, *SINGLES):
        yield from files(room)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def shown(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def imports(module: ast.Module, package: str = "") -> Iterator[tuple[ast.stmt, str]]:
    """Every module that is imported, also inside functions, with each imported name: ``from a import b`` gives a.b.

    ``package`` is the importer's own, against which relative imports are read.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            full = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                yield node, f"{full}.{alias.name}"


def dotted(node: ast.expr) -> str:
    """``a.b.c`` for nested attributes of a name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""
