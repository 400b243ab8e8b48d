"""One file per noun; each gives a ``router`` that ``api.main`` includes."""

from fastapi import APIRouter
from fastapi.security import HTTPBearer

from api.auth import Door

# For /openapi.json alone: the door itself asks for the token, before the body is read.
BEARER = HTTPBearer(auto_error=False, bearerFormat="evl_...", description="`everleaf token create`")


def guarded(tag: str) -> APIRouter:
    """A router whose every route stands behind the door."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=Door)
