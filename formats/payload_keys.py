"""The file of keys that encrypt what Temporal keeps: one line for each, its id and 32 bytes in base64, the newest last.

``#`` begins a comment.  A key whose line is taken out opens nothing any more: so ends what was written under it.
"""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import BadInput

VARIABLE = "EVERLEAF_PAYLOAD_KEYS"
KEY_BYTES = 32
KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
REMEDY = "Write an id, a space and `openssl rand -base64 32`."
# Bound into every ciphertext with the key's id: what was sealed for something else never opens here.
PURPOSE = b"everleaf/payload/1\n"


@dataclass(frozen=True, slots=True)
class Keyring:
    """AES-256-GCM.  Never shown."""

    keys: dict[str, bytes] = field(repr=False)
    newest: str

    def holds(self, key_id: str) -> bool:
        return key_id in self.keys

    def seal(self, plain: bytes, nonce: bytes) -> bytes:
        return AESGCM(self.keys[self.newest]).encrypt(nonce, plain, PURPOSE + self.newest.encode())

    def open(self, key_id: str, sealed: bytes, nonce: bytes) -> bytes:
        """Raises BadInput; KeyError where ``holds`` says no."""
        try:
            return AESGCM(self.keys[key_id]).decrypt(nonce, sealed, PURPOSE + key_id.encode())
        except (InvalidTag, ValueError):
            # ValueError: a nonce or a ciphertext too short to be one.  Without the cause: it may show the text.
            problem = f"does not open under the key {key_id!r}: it was changed, or that id names another key here"
            raise BadInput("data", problem, "Send it as it stands in a history of Everleaf") from None


def parse_keys(content: bytes) -> Keyring:
    """Raises BadInput naming the line, and nothing that stands in it."""
    keys: dict[str, bytes] = {}
    newest = ""
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        newest = _read(words, keys, f"{VARIABLE}, line {number}")
    if not keys:
        raise BadInput(VARIABLE, "the file holds no key", REMEDY)
    return Keyring(keys, newest)


def _read(words: list[str], keys: dict[str, bytes], place: str) -> str:
    """Put the key of one line into ``keys``; its id."""
    if len(words) != 2 or not KEY_ID.match(words[0]):
        raise BadInput(place, "is not an id of letters, digits and ._- and a key", REMEDY)
    key_id, text = words
    try:
        key = b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadInput(place, "the key is not base64", REMEDY) from None
    if len(key) != KEY_BYTES:
        raise BadInput(place, f"the key has {len(key)} bytes", f"It must have {KEY_BYTES}: `openssl rand -base64 32`.")
    if key_id in keys:
        raise BadInput(place, f"the id {key_id} stands there twice", "Give each key an id of its own.")
    if key in keys.values():
        raise BadInput(place, f"the key of {key_id} is that of another id", "Make a new key for each id.")
    keys[key_id] = key
    return key_id
