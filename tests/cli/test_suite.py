"""How `everleaf test` calls pytest, and what a test that lacks a program does."""

import pytest

from cli import suite
from tests.needed import programs
from tests.scheduling import SHARING, ByFile


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str, cores: int = 2) -> list[str]:
    """The words of the last step: pytest's."""
    steps: list[list[str]] = []

    class Good:
        returncode = 0

    def run(step: list[str], **_: object) -> Good:
        steps.append(step)
        return Good()

    monkeypatch.setattr("cli.suite.subprocess.run", run)
    monkeypatch.setattr("cli.suite.os.cpu_count", lambda: cores)
    assert suite.run("everyday", list(arguments)) == 0
    return steps[-1][3:]


@pytest.mark.parametrize(("cores", "workers"), [(1, "2"), (2, "2"), (4, "4"), (64, "8")])
def test_the_suite_has_a_worker_for_each_core_within_bounds(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: str
) -> None:
    assert called(monkeypatch, cores=cores) == ["--dist", "loadfile", "-n", workers, "-m", "not long"]


@pytest.mark.parametrize("own", [["-n4"], ["-n", "0"], ["--numprocesses=3"]])
def test_whoever_says_how_many_workers_gets_so_many(monkeypatch: pytest.MonkeyPatch, own: list[str]) -> None:
    words = called(monkeypatch, *own)

    assert words == ["--dist", "loadfile", "-m", "not long", *own]


def test_a_debugger_gets_the_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(monkeypatch, "tests/domain", "--pdb") == ["tests/domain", "--pdb"]


def test_a_program_that_is_missing_is_a_skip_that_names_it_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NO no-such-program: nothing was tried"):
        programs("no-such-program", consequence="nothing was tried")

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="NO no-such-program: nothing was tried"):
        programs("sh", "no-such-program", consequence="nothing was tried")


def test_a_file_stays_on_one_worker_and_so_does_a_room_of_one_product() -> None:
    scope = ByFile._split_scope
    alone = object.__new__(ByFile)

    assert {scope(alone, f"{room}/{file}.py::test_x") for room in SHARING for file in "ab"} == set(SHARING)
    assert scope(alone, "tests/api/test_head.py::test_x[a::b]") == "tests/api/test_head.py"
