"""Files are named by whoever may write into a folder of the scope."""

import os
from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import Engine

from domain.tiers import Matcher
from tests.activities.estates import TestCA, policy
from tests.activities.test_adoption import House


async def test_a_file_whose_name_is_no_text_stops_nobody_else(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    ca.issue(tmp_path / "a.pem", "a.example")
    ca.issue(tmp_path / "b.pem", "b.example")
    os.rename(tmp_path / "b.pem", os.fsencode(tmp_path) + b"/b\xff.pem")
    rules = policy(ca, (), (), (str(tmp_path / "*.pem"),))
    by_path = replace(rules.rules[0], when=Matcher(paths=("*.pem",)))
    target = replace(rules.targets[0], chain="{path}", key="{stem}.key")
    house = House(database, replace(rules, rules=(by_path,), targets=(target,)))
    assert (await house.discover("d1")).new == 2
    terms = {told.life.names: told.terms for told in (house.told(0), house.told(1)) if told.life and told.terms}
    assert terms["b.example",].tier_reason.endswith("/b%FF.pem matches *.pem")
    # Nothing is written to where it cannot be written down.
    assert terms["a.example",].plan is not None
    assert terms["b.example",].plan is None
    assert "rename it" in terms["b.example",].unroutable
