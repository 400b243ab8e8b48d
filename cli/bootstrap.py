"""Fetches uv into a directory of its own; the launcher runs it before any package is there: standard library only.

To move to another release, replace RELEASE and the hashes (`https://pypi.org/simple/uv/` lists them).
"""

import hashlib
import html
import os
import platform
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

RELEASE = "0.13.9"
# (system, machine) -> file name tag and SHA-256 of the wheel.
WHEELS = {
    ("Linux", "x86_64"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    ("Linux", "aarch64"): (
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("Darwin", "arm64"): (
        "macosx_11_0_arm64",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
    ("Darwin", "x86_64"): (
        "macosx_10_12_x86_64",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ),
}
PATIENCE_SECONDS = 300


class NoUv(Exception):
    """One way to get uv did not work; the message says why."""


def run(*command: str) -> str:
    """The output of ``command``.  Raises NoUv with the last line it wrote."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoUv(str(problem)) from problem
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NoUv(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
    return done.stdout


def requirements(scratch: Path) -> str:
    """A requirements file with our hashes: pip then refuses any other bytes."""
    hashes = " ".join(f"--hash=sha256:{digest}" for _, digest in WHEELS.values())
    file = scratch / "uv.txt"
    file.write_text(f"uv=={RELEASE} {hashes}\n")
    return str(file)


def by_venv(tools: Path, scratch: Path) -> None:
    run(sys.executable, "-m", "venv", str(tools))
    wanted = ("--require-hashes", "--only-binary=:all:", "-r", requirements(scratch))
    run(str(tools / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted)


def by_pip_download(tools: Path, scratch: Path) -> None:
    """Debian without python3-venv, but with pip."""
    wanted = ("--require-hashes", "--only-binary=:all:", "-r", requirements(scratch))
    run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(scratch), *wanted)
    unpack(next(scratch.glob("uv-*.whl")), tools)


def by_index(tools: Path, scratch: Path) -> None:
    """Debian's bare python3: read the index page ourselves."""
    tag, _ = wheel()
    name = f"uv-{RELEASE}-py3-none-{tag}.whl"
    page = index().rstrip("/") + "/uv/"
    try:
        # Whatever the index serves, only the pinned bytes are unpacked.
        with urllib.request.urlopen(page, timeout=60) as answer:  # noqa: S310  # only pinned bytes are unpacked
            base, text = answer.url, answer.read().decode()
        links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', text)]
        link = next((link for link in links if urllib.parse.unquote(link.split("#")[0]).endswith("/" + name)), None)
        if link is None:
            raise NoUv(f"{page} does not list {name}")
        target = scratch / name
        address = urllib.parse.urljoin(base, link.split("#")[0])
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # only pinned bytes are unpacked
            target.write_bytes(answer.read())
    except OSError as problem:
        raise NoUv(f"{page}: {problem}") from problem
    unpack(target, tools)


def index() -> str:
    """The package index of this machine: pip's variable, then pip's files, then pypi.org."""
    if given := os.environ.get("PIP_INDEX_URL"):
        return given
    for file in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf", Path("/etc/pip.conf")):
        if file.is_file() and (found := re.search(r"^\s*index-url\s*=\s*(\S+)", file.read_text(), re.MULTILINE)):
            return found[1]
    return "https://pypi.org/simple"


def wheel() -> tuple[str, str]:
    here = (platform.system(), platform.machine())
    if here not in WHEELS:
        raise NoUv(f"no wheel is pinned for {here[0]} on {here[1]}")
    return WHEELS[here]


def unpack(file: Path, tools: Path) -> None:
    """Put the two programs of the wheel into ``tools``/bin.  Raises NoUv if its bytes are not the pinned ones."""
    _, expected = wheel()
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise NoUv(f"{file.name} has SHA-256 {found}, expected {expected}")
    (tools / "bin").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive:
        for program in ("uvx", "uv"):
            fresh = tools / "bin" / f"{program}.new"
            fresh.write_bytes(archive.read(f"uv-{RELEASE}.data/scripts/{program}"))
            fresh.chmod(0o755)
            fresh.replace(tools / "bin" / program)


def main() -> int:
    tools = Path(sys.argv[1])
    ways: tuple[Callable[[Path, Path], None], ...] = (by_venv, by_pip_download, by_index)
    print("everleaf: fetching uv ...", file=sys.stderr)
    problems = []
    for way in ways:
        try:
            with tempfile.TemporaryDirectory() as scratch:
                way(tools, Path(scratch))
                run(str(tools / "bin" / "uv"), "--version")
                return 0
        except NoUv as problem:
            problems.append(f"  {way.__name__.replace('_', ' ')}: {problem}")
    print("everleaf: uv could not be fetched:\n" + "\n".join(problems), file=sys.stderr)
    print("Install uv yourself (https://docs.astral.sh/uv/), or set PIP_INDEX_URL to your index.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
