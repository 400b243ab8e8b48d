"""Each table is written by exactly one module of the store: two writers would need to agree for ever."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.house.sources import ROOT, dotted, files, tree

# COPY, and what is forgotten in batches, go through one function each.
WRITES = {"insert", "update", "delete", "copy_rows", "delete_in_batches"}
TABLES = ROOT / "store" / "tables.py"


def tables() -> set[str]:
    return {
        target.id
        for node in tree(TABLES).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and dotted(node.value.func) == "Table"
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def written(module: ast.Module, known: set[str]) -> set[str]:
    """The tables that ``module`` inserts into, updates or deletes from: ``insert(t)`` or ``t.insert()``.

    ``t`` is a table's name, or an attribute of that name (``tables.events``).
    """
    found = set()
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func).split(".")
        if called[-1] not in WRITES:
            continue
        if node.args and (table := dotted(node.args[0]).split(".")[-1]) in known:
            found.add(table)
        if len(called) > 1 and called[-2] in known:
            found.add(called[-2])
    return found


def writers() -> dict[str, set[str]]:
    """Table -> modules; the files of one package under ``store`` count as one module."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in files("store"):
        if file != TABLES and "migrations" not in file.parts:
            for table in written(tree(file), tables()):
                found[table].add(module_of(file))
    return found


def module_of(file: Path) -> str:
    return file.relative_to(ROOT / "store").parts[0].removesuffix(".py")


def test_no_table_has_two_writers() -> None:
    wrong = {table: modules for table, modules in writers().items() if len(modules) > 1}
    assert not wrong


def test_nobody_outside_the_store_writes_a_table() -> None:
    wrong = {
        str(file.relative_to(ROOT)): found
        for room in ("activities", "api", "cli", "workflows", "formats", "demo", "worker", "watch")
        for file in files(room)
        if (found := {table for table in written(tree(file), tables()) if _imports_tables(file)})
    }
    assert not wrong


def test_the_rule_sees_each_way_to_write() -> None:
    ways: tuple[str, ...] = (
        "insert(events)",
        "sa.update(tables.events)",
        "pg.insert(events).values(x=1)",
        "events.delete()",
    )
    ways = (*ways, "copy_rows(tables.events, c, [], [])", "delete_in_batches(tables.events, e, old, 9)")
    assert all(written(ast.parse(way), {"events"}) == {"events"} for way in ways)


def _imports_tables(file: Path) -> bool:
    return "tables" in file.read_text()
