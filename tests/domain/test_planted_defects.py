"""The properties are worth something: each of these planted defects makes one of them fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Change = tuple[str, str, str]

DEFECTS: dict[str, tuple[Change, ...]] = {
    "a dropped rung": (("lifecycle/ladder.py", "enumerate(table.rungs)", "enumerate(table.rungs[1:])"),),
    "< for <=": (("lifecycle/scheduling.py", "if rung.at <= turn.now and", "if rung.at < turn.now and"),),
    "a reused approval": (
        ("people/approval.py", "if case.plan is None or message.plan_version != case.plan.version:", "if False:"),
        ("lifecycle/decide.py", "case.plan is None or case.plan.version != message.plan_version", "case.plan is None"),
    ),
    "a forgotten slot": (
        ("lifecycle/deployment.py", "if verified and not wrong and lively <= {*verified}:", "if verified:"),
    ),
    "a second open order": (
        ("lifecycle/scheduling.py", "if case.approved_by and not case.order_open:", "if case.approved_by:"),
        ("lifecycle/scheduling.py", "    assert not case.order_open\n", ""),
    ),
    "no patience": (("lifecycle/transition.py", "return self.now + min(", "return self.now + 0 * min("),),
    "a rejection without a way out": (
        ("lifecycle/evolve.py", 'approved_by="", retry_at=again', 'approved_by="", retry_at=None'),
    ),
    "an order that nobody approved": (
        ("lifecycle/scheduling.py", "if terms.table.asks:", "if terms.table.asks and not case.requested_by:"),
    ),
    "an order under the terms of before": (
        ("lifecycle/scheduling.py", "if case.plan == terms.plan and", "if True or"),
    ),
    "a ladder that is not begun anew": (("lifecycle/evolve.py", "        climb=Climb(),\n", ""),),
    "an acknowledgement that stops later rungs": (
        ("lifecycle/scheduling.py", "    if due:\n", "    if due and not rung_is_acknowledged(turn):\n"),
    ),
    "an issuer that ends first, believed": (
        ("lifecycle/step_results.py", "if gains(life.ends_at, present,", "if True or gains(life.ends_at, present,"),
    ),
    "an order that can gain nothing": (("lifecycle/scheduling.py", "    if vain:\n", "    if False:\n"),),
    "a decision by whoever asked": (("lifecycle/decide.py", "if _is_asker(case, command):", "if False:"),),
}


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_a_planted_defect_makes_a_property_fail(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "domain", tmp_path / "domain", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "domain", tmp_path / "tests" / "domain")
    (tmp_path / "tests" / "__init__.py").touch()
    for file, old, new in DEFECTS[name]:
        path = tmp_path / "domain" / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} no longer says {old!r} once: plant the defect anew"
        path.write_text(text.replace(old, new))

    hunt = "from tests.domain.test_lifecycle_properties import hunt; hunt()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", hunt], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )

    assert run.returncode != 0, "no property noticed it"
    assert "AssertionError" in run.stderr or "Error" in run.stderr
    assert str(tmp_path) in run.stderr
