"""Two installations that start in the same second never choose the same port, nor the same network."""

import json
import subprocess
import sys
from pathlib import Path

from cli.process import free_port
from tests.launcher.waiting import LONG_SECONDS


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
        other.wait(LONG_SECONDS)
    assert free_port(theirs) == theirs


def test_one_installation_never_gets_the_same_port_twice() -> None:
    chosen = [free_port() for _ in range(500)]

    assert len(set(chosen)) == len(chosen)


PREPARE = """
import sys
from pathlib import Path
import demo.estate as estate
from cli.process import claim
# The keys of 320 certificates are not what this is about.
estate.census = lambda seed: ()
estate.prepare(Path(sys.argv[1]), claim=claim)
print("prepared", flush=True)
sys.stdin.read()
"""


def test_installations_that_start_at_once_get_a_network_each(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(3)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for home in homes
    ]
    try:
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "prepared\n"
        networks = [json.loads((home / "demo" / "prepared.json").read_text())["network"] for home in homes]
        assert len(set(networks)) == len(homes)
        assert all(network in (home / "policy.yaml").read_text() for home, network in zip(homes, networks, strict=True))

        # A later start of the first one, while it runs, is told that its network is taken.
        again = subprocess.run(
            [sys.executable, "-c", PREPARE, str(homes[0])], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert again.returncode != 0
        assert "another estate has taken" in again.stderr
    finally:
        for one in started:
            one.communicate()
