"""Who may import whom: the table of the architecture page, enforced."""

import sys

import pytest

from tests.house.sources import ROOMS, ROOT, SINGLES, files, imports, shown, tree

# The rooms that a room may import; a dotted entry allows that module alone.
ALLOWED: dict[str, tuple[str, ...]] = {
    "domain": (),
    "formats": ("domain",),
    "workflows": ("domain",),
    "store": ("domain",),
    "activities": ("domain", "formats", "store"),
    "api": ("domain", "formats", "workflows", "store.access", "store.reader", "store.engine", "store.heartbeats"),
    "watch": ("domain", "formats", "store.reader", "store.engine", "activities.scanners", "activities.notifiers"),
    "cli": ("domain", "formats", "workflows", "store", "api", "worker", "watch", "activities"),
    "demo": ("domain", "formats", "activities", "store"),
    "worker": ROOMS,
}
# Temporal's own package, with what its messages are made of, and nothing else: a workflow must replay years later from
# the same code.
WORKFLOW_PACKAGES = ("temporalio", "google")
OURS = {*ROOMS, *SINGLES}


def is_allowed(room: str, imported: str) -> bool:
    entries = (room, *ALLOWED[room])
    return any(imported == entry or imported.startswith(entry + ".") for entry in entries)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    wrong = []
    for file in files(room):
        package = ".".join(file.relative_to(ROOT).parent.parts)
        for node, imported in imports(tree(file), package):
            top = imported.split(".")[0]
            # `demo` has a rule of its own below.
            if top in OURS and top != "demo" and not is_allowed(room, imported):
                wrong.append(f"{shown(file, node)} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_domain_stands_on_the_standard_library_alone() -> None:
    wrong = [
        f"{shown(file, node)} imports {imported}"
        for file in files("domain")
        for node, imported in imports(tree(file), "domain")
        if imported.split(".")[0] not in {"domain", *sys.stdlib_module_names}
    ]
    assert not wrong, "\n".join(wrong)


def test_workflows_import_temporalio_and_domain_alone() -> None:
    known = {"workflows", "domain", *WORKFLOW_PACKAGES, *sys.stdlib_module_names}
    wrong = [
        f"{shown(file, node)} imports {imported}"
        for file in files("workflows")
        for node, imported in imports(tree(file), "workflows")
        if imported.split(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_imports_the_demo_but_up() -> None:
    allowed = {ROOT / "cli" / "up.py"}
    wrong = [
        f"{shown(file, node)} imports {imported}"
        for room in (*ALLOWED,)
        if room != "demo"
        for file in files(room)
        if file not in allowed
        for node, imported in imports(tree(file))
        if imported.split(".")[0] == "demo"
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_has_its_line_in_the_table() -> None:
    there = {room for room in ROOMS if (ROOT / room).is_dir()} - {"tests", "benchmarks"}
    assert there <= set(ALLOWED)
