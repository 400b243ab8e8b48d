"""The watcher's files: what it carries and its inventory as JSON.  They lie on its own disk, and may come back cut."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from domain.errors import BadInput
from domain.watching import Carried, Inventory, Status

T = TypeVar("T")

BEGUN_ANEW = "It is begun anew."
CARRIED = TypeAdapter(Carried)
INVENTORY = TypeAdapter(Inventory)
STATUS = TypeAdapter(Status)


def write_carried(carried: Carried) -> bytes:
    return CARRIED.dump_json(carried)


def read_carried(data: bytes) -> Carried:
    """Raises BadInput where it is not what ``write_carried`` wrote."""
    found = _read(CARRIED, data, "memory.json")
    watched = found.memory.watched
    instants = [at for one in watched for at in (one.since, one.told_at, one.gone_since)]
    instants.append(found.memory.round_at)
    instants += [at for _, at in found.memory.last_seen] + [one.since for one in found.owed]
    return _dated(found, instants, "memory.json")


def write_inventory(inventory: Inventory) -> bytes:
    return INVENTORY.dump_json(inventory)


def read_inventory(data: bytes) -> Inventory:
    """Raises BadInput where it is not what ``write_inventory`` wrote."""
    found = _read(INVENTORY, data, "inventory.json")
    instants = [at for one in found.places for at in (one.recorded, one.looked_at, one.seen_ends)]
    return _dated(found, [found.taken_at, *instants], "inventory.json")


def write_status(status: Status) -> bytes:
    return STATUS.dump_json(status)


def read_status(data: bytes) -> Status:
    """Raises BadInput where it is not what ``write_status`` wrote."""
    found = _read(STATUS, data, "status.json")
    return _dated(found, [found.at, *(one.since for one in found.faults)], "status.json")


def _dated(found: T, instants: Iterable[datetime | None], name: str) -> T:
    """An instant without a zone can be compared with no other."""
    if any(at is not None and at.tzinfo is None for at in instants):
        raise BadInput(name, "holds an instant without a zone", BEGUN_ANEW)
    return found


def _read(adapter: TypeAdapter[T], data: bytes, name: str) -> T:
    try:
        return adapter.validate_json(data)
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        raise BadInput(name, f"cannot be read: {first['msg']}", BEGUN_ANEW) from None
