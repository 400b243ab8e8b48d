"""SHA256SUMS of a folder, as `sha256sum` writes it: it names every file, and what differs is refused by name."""

import re
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath

from domain.errors import BadInput

NAME = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (.+)\Z")
REMEDY = "Take another copy of this backup, or another backup."


def write(folder: Path) -> None:
    """Over everything that lies in ``folder`` now."""
    lines = [f"{_digest(folder / name)}  {name}\n" for name in _there(folder)]
    (folder / NAME).write_text("".join(lines))


def check(folder: Path) -> None:
    """Raises BadInput, which names the first file that is missing, changed, not listed, or no file at all."""
    listed = _listed(folder)
    there = _there(folder)
    for name in sorted({*listed, *there}):
        if name not in there:
            raise BadInput(name, f"is listed in {NAME} and is not there", REMEDY)
        if name not in listed:
            raise BadInput(name, f"is not listed in {NAME}", REMEDY)
        if _digest(folder / name) != listed[name]:
            raise BadInput(name, f"is not what {NAME} says: it was changed or cut short", REMEDY)


def _listed(folder: Path) -> dict[str, str]:
    try:
        text = (folder / NAME).read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(NAME, f"cannot be read in {folder} ({type(problem).__name__})", REMEDY) from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = LINE.match(line)
        name = match[2] if match else ""
        # What it names is read and later copied: never anything outside of the folder.
        if match is None or ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or name in found:
            raise BadInput(NAME, f"line {number} is not a hash and a name", REMEDY)
        found[name] = match[1]
    return found


def _there(folder: Path) -> list[str]:
    """Every file below ``folder`` but the list itself.  Raises BadInput for what is neither file nor folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInput(name, "is a link or a device, and a backup holds files alone", REMEDY)
        if path.is_file() and name != NAME:
            found.append(name)
    return found


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, sha256).hexdigest()
