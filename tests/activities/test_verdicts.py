"""What was said of a chain is kept for as long as it holds, and no longer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path as File

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from activities.resolution.seen import read
from activities.resolution.verdicts import judging_files
from activities.verification import VerificationActivities
from domain.certificate import Slot
from domain.contracts import LookAgain
from domain.paths import Path
from formats.paths import PathBuilder, Ways
from store import tables
from tests.activities.estates import TestCA, clock, policy
from tests.activities.sightings import NOW, Sky, url
from tests.house.sources import ROOT, imports, tree

pytestmark = pytest.mark.server

# `Sky` makes leaves that end on this day.
END = NOW + timedelta(days=81)


@pytest.fixture
def sky(database: Engine) -> Sky:
    return Sky(database)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When a chain was judged by its signatures."""
    times: list[datetime] = []
    judge = Ways.at

    def at(self: Ways, now: datetime) -> Path:
        times.append(now)
        return judge(self, now)

    monkeypatch.setattr(Ways, "at", at)
    return times


def said(sky: Sky, discovery_id: str) -> list[Path]:
    seen = read(sky.database, discovery_id, (sky.rules, NOW), lambda: None)
    return list(seen.chains.values())


def test_a_chain_is_judged_once_for_all_its_places_and_discoveries(sky: Sky, judged: list[datetime]) -> None:
    leaf, other = sky.leaf("a.example"), sky.leaf("b.example")
    sky.look("d1", {url(1): leaf, url(2): leaf, url(3): other})
    first = said(sky, "d1")
    assert len(judged) == 2

    sky.look("d2", {url(1): leaf, url(4): other}, NOW + timedelta(days=1))
    assert said(sky, "d2") == first
    assert len(judged) == 2


def test_what_was_said_ends_with_the_next_date(sky: Sky, judged: list[datetime], database: Engine) -> None:
    leaf = sky.leaf("a.example")
    for number, at in enumerate((NOW, END - timedelta(seconds=1), END, END + timedelta(seconds=1))):
        sky.look(f"d{number}", {url(1): leaf}, at)
        [path] = said(sky, f"d{number}")
        assert bool(path.own_flaw) == (at >= END)

    assert judged == [NOW, END, END + timedelta(seconds=1)]


def test_other_roots_are_another_judge(sky: Sky, judged: list[datetime]) -> None:
    sky.look("d1", {url(1): sky.leaf("a.example")})
    [first] = said(sky, "d1")
    sky.rules = replace(sky.rules, roots=(TestCA().pem,))
    [second] = said(sky, "d1")

    assert (first.rooted, second.rooted) == (True, False)
    assert len(judged) == 2


def test_the_judge_is_all_of_our_code_that_judging_imports() -> None:
    """Else a chain would stay judged as a release before judged it."""
    met, waiting = set[File](), [ROOT / "formats" / "paths.py"]
    while waiting:
        if (file := waiting.pop()) in met:
            continue
        met.add(file)
        for _, imported in imports(tree(file)):
            # Each of a.b.c may be a module, and what stands above it is loaded with it.
            words = imported.split(".")
            for end in range(1, len(words) + 1):
                module = ROOT.joinpath(*words[:end])
                waiting += [one for one in (module.with_suffix(".py"), module / "__init__.py") if one.is_file()]

    assert ROOT / "domain" / "objections.py" in met, "it says which signatures are weak"
    assert met - {ROOT / "activities" / "__init__.py"} <= set(judging_files())


def test_what_holds_no_more_is_forgotten(sky: Sky, database: Engine) -> None:
    sky.look("d1", {url(1): sky.leaf("a.example")})
    said(sky, "d1")
    sky.look("d2", {url(2): sky.leaf("b.example")}, END + timedelta(days=1))
    read(database, "d2", (sky.rules, END + timedelta(days=1)), lambda: None)

    with database.connect() as connection:
        ends = connection.scalars(sa.select(tables.judged_chains.c.holds_until)).all()
    assert len(ends) == 1
    assert ends[0] is not None
    assert ends[0] > END


async def test_places_that_serve_one_chain_cost_its_signatures_once(
    database: Engine, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked anew at each place is what holds at its time."""
    ca, files = TestCA(), [tmp_path / f"{name}.pem" for name in "abc"]
    ca.issue(files[0], "a.example")
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())
    built: list[int] = []
    build = PathBuilder.ways

    def ways(self: PathBuilder, chain: Sequence[bytes]) -> Ways:
        built.append(len(chain))
        return build(self, chain)

    monkeypatch.setattr(PathBuilder, "ways", ways)
    verification = VerificationActivities(database, lambda: policy(ca, (), (), (str(tmp_path / "*.pem"),)), clock)
    slots = tuple(Slot(f"file://localhost{file}", "rsa") for file in files)
    report = await verification.look_again(LookAgain("mc-1", slots))

    assert [look.chain_ok for look in report.looks] == [True] * 3
    assert len(built) == 1
