"""Wrapping of private keys under a key-encryption key that lies in a file, never in the environment or the store."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import BadInput, NotReady

KEK_BYTES = 32
NONCE_BYTES = 12


def load_kek(path: str, variable: str) -> bytes:
    """The 32 bytes of a key-encryption key.  Raises BadInput naming ``variable``, whose value is ``path``."""
    if not path:
        raise BadInput(variable, "is not set", "Name the file with this worker's key-encryption key.")
    try:
        kek = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(variable, f"cannot be read ({error.strerror})", "Give this worker's user the file.") from error
    if len(kek) != KEK_BYTES:
        raise BadInput(variable, f"has {len(kek)} bytes", f"It must be {KEK_BYTES} random bytes.")
    return kek


def wrap(kek: bytes, plain: bytes, purpose: str) -> bytes:
    """``purpose`` is bound in, so that a row cannot stand in for another."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(kek).encrypt(nonce, plain, purpose.encode())


def unwrap(kek: bytes, wrapped: bytes, purpose: str) -> bytes:
    """Raises NotReady where this key-encryption key does not open it."""
    try:
        return AESGCM(kek).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], purpose.encode())
    except InvalidTag:
        # Without the cause: nothing of the ciphertext belongs in a log.
        problem = f"The key {purpose} does not open with this worker's key-encryption key; give it the one it had."
        raise NotReady(problem) from None
