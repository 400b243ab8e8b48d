"""Chain and key as two files on this host, and a command that makes the server read them."""

import logging
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from activities.deployer_files import previous_of
from activities.deployers.base import Bundle, DeployerParts, beat
from activities.deployers.files import Owned, held, remove, told_as_target, write_whole
from domain.errors import BadInput, TargetRefused
from domain.terms import Target
from formats.links import load_certificate
from formats.roots import paths_below
from formats.x509 import UNREADABLE, fingerprint_of, life_of, load_pem_chain, parse_certificate

log = logging.getLogger(__name__)

RELOAD_TIMEOUT_SECONDS = 30
CHAIN_MODE = 0o644
LONGEST_DETAIL = 200
# A reload command sees where programs are, and nothing else of our environment.
RELOAD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Pair:
    """The two files of a target; ``None`` where one is not there."""

    chain: bytes | None
    key: bytes | None

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, the leaf first: the one whose key this is, wherever it stands, else what a server would take, the first.

        Empty where no certificate can be read.
        """
        try:
            ders = load_pem_chain(self.chain or b"")
        except BadInput:
            return ()
        leaf = next((der for der in ders if _has_key(der, self.key or b"")), ders[0])
        return (leaf, *(der for der in ders if der != leaf))

    @property
    def fingerprint(self) -> str:
        """Of the leaf, or empty where no certificate can be read."""
        return fingerprint_of(self.certificates[0]) if self.certificates else ""

    @property
    def belongs_together(self) -> bool:
        """Whether the key is the leaf's: not so after a crash between the two renames."""
        return bool(self.certificates) and _has_key(self.certificates[0], self.key or b"")

    @property
    def is_of_a_ca(self) -> bool:
        """Whether a CA's certificate stands there, an intermediate, a root or a store of them: what others trust.

        Appliances make self-signed ones that only say so, and have the key beside them.
        """
        if not self.certificates:
            return False
        try:
            leaf = parse_certificate(self.certificates[0])
        except BadInput:
            return False
        return leaf.is_ca and not (leaf.is_self_signed and self.belongs_together)

    def __repr__(self) -> str:
        return f"Pair({self.fingerprint})"


class FileDeployer:
    """Implements Deployer.  What was replaced stays beside as ``.previous`` files until the next install."""

    def __init__(self, parts: DeployerParts) -> None:
        self._parts = parts

    def install(self, bundle: Bundle, target: Target) -> str:
        with told_as_target(target.name), held(Path(target.chain)):
            self._parts.failpoint("deploy.begun")
            current = _read(target)
            if current.fingerprint != bundle.fingerprint or not current.belongs_together:
                self._put(bundle, target, current)
            self._parts.failpoint("deploy.written")
            # Also when the files stood there already: the reload of an interrupted attempt may never have run.
            self._reload_or_restore(target, bundle.fingerprint)
            self._parts.failpoint("deploy.reloaded")
            return _read(target, previous=True).fingerprint

    def roll_back(self, fingerprint: str, target: Target) -> str:
        with told_as_target(target.name), held(Path(target.chain)):
            current = _read(target)
            if current.fingerprint == fingerprint:
                self._require_returnable(target, _read(target, previous=True), fingerprint)
                _restore(target)
            self._parts.failpoint("deploy.written")
            problem = _reload(target)
            if problem:
                raise TargetRefused(f"{target.name}: rolled back, but its reload failed: {problem}")
            self._parts.failpoint("deploy.reloaded")
            return _read(target).fingerprint

    def _put(self, bundle: Bundle, target: Target, current: Pair) -> None:
        if current.is_of_a_ca:
            told = "holds a CA certificate, which no server's may replace; correct the policy's target"
            raise TargetRefused(f"{target.name}: {target.chain} {told}.")
        kept = _read(target, previous=True)
        # Half of an interrupted install is not worth keeping, and what it replaced is kept already.
        is_half = current.fingerprint == bundle.fingerprint or (
            not current.belongs_together and current.chain == kept.chain
        )
        if not is_half:
            _write(target, current, previous=True)
        _write(target, Pair(bundle.chain, bundle.key))

    def _reload_or_restore(self, target: Target, fingerprint: str) -> None:
        problem = _reload(target)
        if not problem:
            return
        log.error("reload failed", extra={"target": target.name, "certificate": fingerprint})
        kept_away = self._forbids(_read(target, previous=True), fingerprint)
        if kept_away:
            # Rule 4: what may not be served again is worse than what the server has not read yet.
            told = f"the new certificate stays, because what was there before {kept_away}"
            raise TargetRefused(f"{target.name}: the reload failed: {problem}; {told}; make its reload work.")
        _restore(target)
        again = _reload(target)
        after = f"; its old certificate is back, but that reload failed too: {again}" if again else ""
        raise TargetRefused(f"{target.name}: the reload failed: {problem}{after or '; its old certificate is back'}")

    def _require_returnable(self, target: Target, previous: Pair, fingerprint: str) -> None:
        if not previous.belongs_together or previous.chain is None:
            raise TargetRefused(f"{target.name}: nothing was kept that could be put back.")
        reason = self._forbids(previous, fingerprint)
        if reason:
            raise TargetRefused(f"{target.name}: what it served before is not put back: it {reason}")

    def _forbids(self, previous: Pair, fingerprint: str) -> str:
        """Why ``previous`` must not be served again in place of ``fingerprint``; empty where it cannot be read."""
        if not previous.fingerprint:
            return ""
        chain, now = previous.certificates, self._parts.clock()
        life = life_of(chain[0], (), paths_below(self._parts.roots()).ways(chain).at(now))
        if life.ends_at <= now:
            return f"ended {life.ends_at:%Y-%m-%d %H:%M} UTC"
        return self._parts.may_return(life, fingerprint).removeprefix("it ")


def _has_key(der: bytes, key: bytes) -> bool:
    try:
        return load_pem_private_key(key, None).public_key() == load_certificate(der).public_key()
    except UNREADABLE:
        return False


def _paths(target: Target, previous: bool) -> tuple[Path, Path]:
    chain, key = Path(target.chain), Path(target.key)
    if not previous:
        return chain, key
    return previous_of(chain), previous_of(key)


def _read(target: Target, previous: bool = False) -> Pair:
    chain, key = _paths(target, previous)
    if not chain.parent.is_dir() or not key.parent.is_dir():
        raise TargetRefused(f"{target.name}: the folder of {chain} or {key} is not there; correct the policy's target.")
    return Pair(chain.read_bytes() if chain.exists() else None, key.read_bytes() if key.exists() else None)


def _write(target: Target, pair: Pair, previous: bool = False) -> None:
    chain, key = _paths(target, previous)
    owned = Owned(target.mode, target.owner)
    if chain == key:
        # One file holds both: what was read from it is whole already.
        together = pair.chain if pair.chain == pair.key else (pair.chain or b"") + (pair.key or b"")
        _write_or_remove(chain, together, owned)
        return
    # The key first: until the chain is there too, the pair reads as the old one and is written again.
    _write_or_remove(key, pair.key, owned)
    _write_or_remove(chain, pair.chain, Owned(CHAIN_MODE, target.owner))


def _write_or_remove(path: Path, content: bytes | None, owned: Owned) -> None:
    if content is None:
        remove(path)
    else:
        write_whole(path, content, owned)


def _restore(target: Target) -> None:
    """Put the kept pair back; where there was nothing before, nothing is left."""
    _write(target, _read(target, previous=True))


def _reload(target: Target) -> str:
    """Run the target's reload; empty when it said yes, else what it said."""
    if not target.reload:
        return ""
    beat()
    # A file and not a pipe: a server that the reload leaves running would hold a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        try:
            code = _run(target.reload, output)
        except subprocess.TimeoutExpired:
            return f"{target.reload[0]} did not end within {RELOAD_TIMEOUT_SECONDS} s"
        except OSError as error:
            return f"{target.reload[0]}: {error.strerror}"
        output.seek(max(0, output.seek(0, os.SEEK_END) - LONGEST_DETAIL))
        said = output.read().decode(errors="replace").strip()
    if code == 0:
        return ""
    printable = "".join(letter if letter.isprintable() else " " for letter in said)
    return f"exit code {code}" + (f": {printable}" if printable else "")


def _run(command: tuple[str, ...], output: IO[bytes]) -> int:
    """The exit code of ``command``; on a time-out its whole process group is ended."""
    environment = {"PATH": os.environ.get("PATH", RELOAD_PATH), "LC_ALL": "C"}
    started = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=environment,
        start_new_session=True,
    )
    try:
        return started.wait(RELOAD_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        raise
