"""One installation for these tests, with every service of ours run bare: the file's command, environment and role."""

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.home import PROJECT
from cli.process import accepts, dying_with_parent, free_port
from tests.launcher.waiting import LONG_SECONDS, until
from tests.needed import programs
from tests.production.cluster import guarded
from tests.production.composed import GIVEN, Bare, resolved
from tests.production.site import Site


class Installation:
    """PostgreSQL with roles and schema, Temporal with its namespace; workers and API are started by ``start``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = resolved()
        self.secrets = folder / "secrets"
        self._make_secrets(file["secrets"])
        self.site = Site(folder / "targets", folder / "config")
        service = file["services"]["postgres"]
        arguments = service["environment"]["POSTGRES_INITDB_ARGS"].split()
        (folder / "postgres").mkdir()
        self.cluster = guarded(
            folder / "postgres", arguments, service["command"][1:], self.secrets / "postgres_password"
        )
        self.temporal_port, self.api_port = free_port(), free_port()
        (folder / "authorities").mkdir()
        (folder / "watcher").mkdir()
        sources = {
            "database-socket": self.cluster.socket,
            "authorities": folder / "authorities",
            "watcher": folder / "watcher",
            GIVEN["EVERLEAF_CONFIG"]: folder / "config",
            GIVEN["EVERLEAF_TARGETS"]: folder / "targets",
            str(PROJECT / "deploy" / "temporal"): PROJECT / "deploy" / "temporal",
        }
        sources |= {secret["file"]: self.secrets / Path(secret["file"]).name for secret in file["secrets"].values()}
        addresses = {"temporal:7233": f"127.0.0.1:{self.temporal_port}", "8460": str(self.api_port)}
        addresses["http://api:8460"] = f"http://127.0.0.1:{self.api_port}"
        peers = free_port()
        addresses |= {"0.0.0.0:8470": f"127.0.0.1:{peers}", "8470": str(peers)}
        # The proxy stands on this host.
        addresses[file["services"]["api"]["environment"]["FORWARDED_ALLOW_IPS"]] = "127.0.0.1"
        # Nothing listens there: what is not read in a mailbox is seen in the store.
        addresses[GIVEN["EVERLEAF_SMTP_URL"]] = f"smtp://127.0.0.1:{free_port()}"
        self.bare = Bare(file, folder, sources, addresses)
        self.temporal = self._start_temporal()

    def _make_secrets(self, named: dict[str, dict[str, str]]) -> None:
        self.secrets.mkdir(mode=0o700)
        for secret in named.values():
            file = self.secrets / Path(secret["file"]).name
            file.write_bytes(secrets.token_bytes(32) if file.suffix == ".kek" else secrets.token_hex(24).encode())
            file.chmod(0o400)

    def _start_temporal(self) -> "subprocess.Popen[bytes]":
        program = str(Path(sys.executable).parent / "temporal")
        command = [program, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"]
        command += ["--port", str(self.temporal_port)]
        with (self.folder / "temporal.log").open("wb") as log:
            started = subprocess.Popen(dying_with_parent(command), stdout=log, stderr=log)
        until(lambda: accepts(self.temporal_port))
        return started

    def password(self, role: str) -> Path:
        return self.secrets / f"{role}_password"

    def url(self, role: str, database: str = "everleaf") -> str:
        return self.cluster.url(role, database, self.password(role))

    def one_shot(self, name: str) -> None:
        done = self.bare.run(name)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def stop(self) -> None:
        self.bare.stop()
        self.site.stop()
        self.temporal.terminate()
        self.temporal.wait(LONG_SECONDS)
        self.cluster.stop()


@pytest.fixture(scope="package")
def installation(temporal_binary: Path) -> Iterator[Installation]:
    programs("setpriv", consequence="the production shape was not run")
    # Short: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="evl-prod-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        made = Installation(Path(folder))
        try:
            for name in ("roles", "migrate", "temporal-namespace"):
                made.one_shot(name)
            yield made
        finally:
            made.stop()
