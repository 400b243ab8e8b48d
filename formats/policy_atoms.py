"""The smallest parts of a policy file: durations, file modes, texts; each refuses what cannot be meant."""

import re
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv6Address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

# Longer than any duration or mode that somebody meant to write.
LONGEST_SLIP = 20
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}


def _shown(value: object) -> str:
    """A slip as it was written; of what slid in from elsewhere only that it is more than a word."""
    return (
        repr(value) if isinstance(value, str | int | float) and len(str(value)) <= LONGEST_SLIP else "what stands here"
    )


def duration(value: object) -> timedelta:
    """``90d``, ``24h``, ``10m`` or ``30s`` as a timedelta.  Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d{1,6})([dhms])", value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} is not a duration; write 90d, 24h, 10m or 30s")
    return int(match[1]) * _UNITS[match[2]]


def _validity(value: object) -> timedelta:
    if value == "same":
        return timedelta(0)
    if length := duration(value):
        return length
    raise ValueError(f"{_shown(value)} is no time at all; write 90d, or same")


def _printable(value: str) -> str:
    if value.isprintable():
        return value
    raise ValueError("holds a line break or another control character; write it on one line")


def _time_server(value: str) -> str:
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    parts = re.fullmatch(rf"(?P<name>{label}(\.{label})*)?(\[(?P<six>[^\]]+)\])?(:(?P<port>[1-9][0-9]{{0,4}}))?", value)
    if not value:
        return value
    if parts and int(parts["port"] or 1) <= 65535 and bool(parts["name"]) != bool(parts["six"]):
        with suppress(ValueError):
            if parts["six"]:
                IPv6Address(parts["six"])
            if len(parts["name"] or "") <= 253:
                return value
    raise ValueError(f"{_shown(value)} is no time server; write ntp.example.in, 192.0.2.1:123 or [2001:db8::1]")


def _mode(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError(f'{_shown(value)} is not a file mode; write it in quotes, as "0600"')


_TEXT_PATTERN = {"type": "string", "pattern": r"^\d{1,6}[dhms]$", "examples": ["90d", "24h", "10m"]}
_SAME = {"anyOf": [_TEXT_PATTERN, {"const": "same"}]}
Duration = Annotated[timedelta, BeforeValidator(duration), WithJsonSchema(_TEXT_PATTERN)]
Validity = Annotated[timedelta, BeforeValidator(_validity), WithJsonSchema(_SAME)]
Mode = Annotated[int, BeforeValidator(_mode), WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$"})]
Printable = Annotated[str, AfterValidator(_printable)]
# A name or address and perhaps a port; nothing of a URL.
TimeServer = Annotated[
    str, AfterValidator(_time_server), WithJsonSchema({"type": "string", "examples": ["ntp.example.in"]})
]
# The length first: what is told of it then speaks of characters.
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
Texts = tuple[Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_printable)], ...]
Pems = tuple[Annotated[str, Field(min_length=1, max_length=20_000)], ...]
