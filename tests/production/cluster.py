"""A durable PostgreSQL that trusts nobody, made as the image of the compose file makes its own."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.conftest import START_TIMEOUT_SECONDS, postgres_binaries


class GuardedCluster:
    """``arguments``: of initdb, from the compose file; ``options``: its ``-c name=value``; ``password``: a file."""

    def __init__(self, home: Path, arguments: list[str], options: list[str], password: Path) -> None:
        binaries = postgres_binaries()
        assert binaries is not None
        self.socket, self._data, self._binaries = home / "socket", home / "data", binaries
        self.socket.mkdir()
        # PostgreSQL refuses root; inside an unmapped user namespace it sees an ordinary user.
        drop = ["unshare", "--user"] if os.geteuid() == 0 else []
        initdb = [str(binaries / "initdb"), "-D", str(self._data), "-U", "postgres", f"--pwfile={password}"]
        made = [*drop, *initdb, "--no-sync", "--locale=C", "--encoding=UTF8", *arguments]
        subprocess.run(made, check=True, capture_output=True, timeout=60)
        die_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        server = [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self.socket), "-h", "", *options]
        self._log = (home / "log").open("wb")
        self.process = subprocess.Popen([*drop, *die_with_us, *server], stdout=self._log, stderr=self._log)
        self._wait(home)

    def _wait(self, home: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        # As the compose file's own health check asks.
        ask = [str(self._binaries / "pg_isready"), "-q", "-U", "postgres", "-h", str(self.socket)]
        while subprocess.run(ask).returncode != 0:
            assert self.process.poll() is None, (home / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)

    def url(self, role: str, database: str, password: Path) -> str:
        return f"postgresql://{role}@/{database}?host={self.socket}&password_file={password}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()
