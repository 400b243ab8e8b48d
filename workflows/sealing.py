"""Payloads that Temporal cannot read: compressed as always, then encrypted under the newest key of a file.

The cipher is the caller's (``formats.payload_keys``: AES-256-GCM): this room stands on Temporal's package alone.  Keys
of old payloads stay in the file for as long as their histories are kept.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from domain.errors import BadInput, NotReady
from domain.settings import Settings
from workflows.codec import IN_A_THREAD, MOST_UNPACKED, REMEDY, packed, unpacked

log = logging.getLogger(__name__)

# The words of Temporal's own samples, so that its tools know what they see.
ENCRYPTED = b"binary/encrypted"
KEY_ID = "encryption-key-id"
# What GCM takes (NIST SP 800-38D 8.2.2): random, so that processes need not agree; 2**32 of them for each key.
NONCE_BYTES = 12


class Ring(Protocol):
    """Keys by their ids; the newest one encrypts."""

    @property
    def newest(self) -> str:
        """The id of the one that encrypts."""

    def holds(self, key_id: str) -> bool: ...

    def seal(self, plain: bytes, nonce: bytes) -> bytes:
        """Under the newest key, bound to its id."""

    def open(self, key_id: str, sealed: bytes, nonce: bytes) -> bytes:
        """Raises BadInput where it was changed, or sealed under another key of this name."""


class KeyFile:
    """The ring in a file, read anew when a payload names a key that it did not hold: a rotation needs no restart."""

    def __init__(self, path: str, parse: Callable[[bytes], Ring]) -> None:
        """Raises BadInput for a file that is none."""
        self._path = path
        self._parse = parse
        # Before it is read: what is written meanwhile is then read once more.
        self._written = self._written_at()
        self._ring = self._read()

    @property
    def ring(self) -> Ring:
        """What the file holds now; while it is gone or half written, what it held."""
        written = self._written_at()
        if written != self._written:
            self._written = written
            try:
                self._ring = self._read()
            except BadInput as problem:
                # Once for each time that it was written: every payload comes by here.
                log.error("the payload keys of before stay in use: %s", problem)
        return self._ring

    def with_key(self, key_id: str) -> Ring:
        """Raises NotReady: the payload waits until the key is there."""
        ring = self._ring if self._ring.holds(key_id) else self.ring
        if not ring.holds(key_id):
            raise NotReady(
                f"a payload is encrypted under the key {key_id!r}, which EVERLEAF_PAYLOAD_KEYS ({self._path}) lacks. "
                "Put that key's line back into the file; nothing need be restarted."
            )
        return ring

    def _written_at(self) -> int:
        try:
            return os.stat(self._path).st_mtime_ns
        except OSError:
            return 0

    def _read(self) -> Ring:
        try:
            content = Path(self._path).read_bytes()
        except OSError as problem:
            told = f"{self._path} cannot be read ({problem.strerror})"
            raise BadInput("EVERLEAF_PAYLOAD_KEYS", told, "Correct it, or give this process's user the file.") from None
        return self._parse(content)


def keys_of(settings: Settings, parse: Callable[[bytes], Ring]) -> KeyFile | None:
    """None: payloads are not encrypted.  Raises BadInput."""
    return KeyFile(settings.payload_keys, parse) if settings.payload_keys else None


class Sealing(PayloadCodec):
    """Encrypts every payload; reads those of before encryption was turned on as they are."""

    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        is_long = any(payload.ByteSize() > IN_A_THREAD for payload in payloads)
        return await asyncio.to_thread(self._all, payloads) if is_long else self._all(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [unpacked(opened(payload, self._keys)) for payload in payloads]

    def _all(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [sealed(packed(payload), self._keys.ring) for payload in payloads]


def sealed(payload: Payload, ring: Ring) -> Payload:
    nonce = os.urandom(NONCE_BYTES)
    data = nonce + ring.seal(payload.SerializeToString(deterministic=True), nonce)
    return Payload(metadata={"encoding": ENCRYPTED, KEY_ID: ring.newest.encode()}, data=data)


def opened(payload: Payload, keys: KeyFile | None) -> Payload:
    """The payload in ``payload``, still compressed; one that is not encrypted as it is.

    Raises NotReady where its key is not here, BadInput where it is damaged.
    """
    if payload.metadata.get("encoding") != ENCRYPTED:
        return payload
    key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")[:100]
    if keys is None:
        raise NotReady(
            f"a payload is encrypted under the key {key_id!r}, and EVERLEAF_PAYLOAD_KEYS is not set here. "
            "Name the file with that key."
        )
    if len(payload.data) > MOST_UNPACKED:
        raise BadInput("data", f"holds more than {MOST_UNPACKED} bytes", REMEDY)
    nonce, rest = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
    try:
        return Payload.FromString(keys.with_key(key_id).open(key_id, rest, nonce))
    except DecodeError as problem:
        raise BadInput("data", "decrypts to no payload", REMEDY) from problem
