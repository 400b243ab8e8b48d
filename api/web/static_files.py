"""Our own files for browsers, each at an address that changes with their content."""

import mimetypes
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Response

from domain.errors import NotFound

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
SERVED = (".js", ".css", ".svg", ".png", ".txt", ".LICENSE", ".toml")


@cache
def files() -> dict[str, bytes]:
    """Name -> content, read once: what is not here is not served."""
    found = (path for path in sorted(STATIC.rglob("*")) if path.is_file() and path.suffix in SERVED)
    return {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in found}


@cache
def version() -> str:
    """Over all files: a script imports others beside it, so they change address together."""
    digest = sha256()
    for name, content in files().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def url(name: str) -> str:
    assert name in files(), name
    return f"/static/{version()}/{name}"


@router.get("/static/{given}/{name:path}")
def get_static_file(given: str, name: str) -> Response:
    content = files().get(name)
    if content is None:
        raise NotFound(f"There is no file {name[:100]}.")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    # An address of another release is answered too, for a page that was open meanwhile; it is not kept.
    kept = FOR_EVER if given == version() else "no-store"
    return Response(content, media_type=kind, headers={"cache-control": kept})
