"""The product as its user has it: a data directory, the launcher's commands, the API, the mails, what is served."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2

from cli.home import PROJECT
from tests.launcher.waiting import LONG_SECONDS

Found = TypeVar("Found")

# A paste of a mail: the workflow it is for, then the JSON.
PASTE = re.compile(r"open the workflow certificate/(\S+)\s.*?(\{.*?\})", re.DOTALL)


def clean_environment() -> dict[str, str]:
    """Ours without what the user set for a running installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EVERLEAF_")}


def everleaf(data_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command on ``data_dir``, with the environment's own python: what the launcher ends in."""
    command = [sys.executable, "-m", "cli.main", *arguments, "--data-dir", str(data_dir)]
    merged = clean_environment() | environment
    return subprocess.run(command, cwd=PROJECT, env=merged, capture_output=True, text=True, timeout=LONG_SECONDS)


def eventually(look: Callable[[], Found | None], what: str) -> Found:
    """What ``look`` gives as soon as it gives something that counts."""
    deadline = time.monotonic() + LONG_SECONDS
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"it did not come true: {what}"
        time.sleep(0.25)


def served(url: str) -> str:
    """The SHA-256 of what ``openssl s_client`` is shown at ``tls://host:port?sni=name``, in hex."""
    at = urlsplit(url)
    sni = parse_qs(at.query).get("sni", [])
    ask = ["openssl", "s_client", "-connect", f"{at.hostname}:{at.port}"]
    ask += ["-servername", sni[0]] if sni else ["-noservername"]
    # Some gear of the estate has keys that a careful openssl refuses.
    shown = subprocess.run([*ask, "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=LONG_SECONDS)
    told = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=shown.stdout,
        capture_output=True,
        timeout=LONG_SECONDS,
    )
    assert told.returncode == 0, shown.stderr.decode(errors="replace")
    return told.stdout.decode().partition("=")[2].strip().replace(":", "").lower()


@dataclass(frozen=True)
class Product:
    """One running installation.  ``status``: what `everleaf status --output json` said when it had settled."""

    data_dir: Path
    status: dict[str, Any]
    token: str

    @property
    def api(self) -> str:
        return str(self.status["urls"]["api"])

    @property
    def mail_dir(self) -> Path:
        return Path(self.status["mail_dir"])

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return everleaf(self.data_dir, *arguments, **environment)

    def new_token(self, role: str, *more: str) -> str:
        done = self.run("token", "create", "--role", role, "--name", f"e2e-{role}", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx2.request(method, self.api + path, json=body, headers=headers, timeout=LONG_SECONDS)

    def get(self, path: str) -> dict[str, Any]:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def every(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        mark = "&" if "?" in path else "?"
        while True:
            page = self.get(f"{path}{mark}limit=100{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    def certificate(self, certificate_id: str) -> dict[str, Any]:
        return self.get(f"/v1/certificates/{certificate_id}")

    def named(self, name: str) -> dict[str, Any]:
        found = [item for item in self.every(f"/v1/certificates?q={name}") if name in item["names"][0]]
        assert len(found) == 1, f"{name}: {len(found)}"
        return self.certificate(found[0]["id"])

    def pastes(self) -> dict[str, str]:
        """Certificate id -> the JSON of the newest mail that asks about it."""
        found: dict[str, str] = {}
        for file in sorted(self.mail_dir.glob("*.eml")):
            body = message_from_bytes(file.read_bytes(), policy=policy.default).get_body(("plain",))
            assert body is not None
            for certificate_id, paste in PASTE.findall(body.get_content()):
                found[certificate_id] = json.dumps(json.loads(paste))
        return found

    def mail_text(self) -> str:
        texts = []
        for file in sorted(self.mail_dir.glob("*.eml")):
            mail = message_from_bytes(file.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            texts.append(f"To: {mail['To']}\nSubject: {mail['Subject']}\n{body.get_content() if body else ''}")
        return "\n".join(texts)

    def temporal(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        at = self.status["temporal"]
        program = Path(sys.executable).parent / "temporal"
        command = [str(program), *arguments, "--address", at["address"], "--namespace", at["namespace"]]
        return subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECONDS)

    def renewed(self, certificate_id: str) -> dict[str, Any]:
        """The certificate once its second generation is there and every live endpoint was seen serving it."""

        def look() -> dict[str, Any] | None:
            now = self.certificate(certificate_id)
            seen = all(endpoint["matches"] for endpoint in now["endpoints"])
            return now if now["generation"] > 1 and seen and now["state"] == "sleeping" else None

        return eventually(look, f"{certificate_id} is renewed and seen")
