"""One question to a time server and its answer, as bytes (SNTP: RFC 4330, in the packet of RFC 5905 7.3)."""

import struct
from datetime import UTC, datetime, timedelta

from domain.errors import BadInput

# No leap second is announced, version 4, a client.
CLIENT = 0b00_100_011
SERVER_MODE = 4
UNSYNCHRONISED = 3
# Above it a server is not synchronised; 0 is a "kiss of death", by which it asks to be left alone.
LAST_STRATUM = 15
PACKET = struct.Struct("!BBbb11I")
NONCE_BYTES = 8
# Seconds of each era, of which the first bit says which it is until 2104 (RFC 4330 3).
ERA_0 = datetime(1900, 1, 1, tzinfo=UTC)
ERA_1 = datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC)


def question(nonce: bytes) -> bytes:
    """48 bytes.  ``nonce``: 8 random ones in the place of our time; an answer repeats them."""
    return bytes([CLIENT]) + bytes(PACKET.size - 1 - NONCE_BYTES) + nonce


def answered(packet: bytes, nonce: bytes) -> datetime:
    """When the server sent ``packet``, by its own clock.

    Raises BadInput where it is no answer to the question with ``nonce``, or its sender does not know the time itself.
    """
    if len(packet) < PACKET.size:
        raise BadInput("ntp", f"an answer of {len(packet)} bytes", "An NTP server sends 48 at least.")
    first, stratum, _, _, *words = PACKET.unpack_from(packet)
    if first & 0b111 != SERVER_MODE or packet[24:32] != nonce:
        raise BadInput("ntp", "an answer to another question", "Ask an NTP server.")
    seconds, fraction = words[-2:]
    if first >> 6 == UNSYNCHRONISED or not 0 < stratum <= LAST_STRATUM or not (seconds or fraction):
        raise BadInput("ntp", "an answer of a server that does not know the time itself", "Name another server.")
    era = ERA_0 if seconds & 0x8000_0000 else ERA_1
    return era + timedelta(seconds=seconds, microseconds=fraction * 1_000_000 >> 32)
