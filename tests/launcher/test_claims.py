"""Two installations that start in the same second never choose the same port."""

import subprocess
import sys

from cli.process import free_port


def test_a_port_that_another_installation_has_chosen_is_left_to_it() -> None:
    program = "import sys; from cli.process import free_port; print(free_port(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        theirs = int(other.stdout.readline())
        assert free_port(theirs) != theirs
        other.stdin.close()
        other.wait(10)
    assert free_port(theirs) == theirs


def test_one_installation_never_gets_the_same_port_twice() -> None:
    chosen = [free_port() for _ in range(500)]

    assert len(set(chosen)) == len(chosen)
