"""What a custodian of private keys offers."""

from typing import Protocol

from domain.certificate import KeyRef
from domain.contracts import Plan


class Custodian(Protocol):
    def make(self, order_key: str, plan: Plan) -> tuple[KeyRef, bytes]:
        """The key of an order and a CSR (DER) for it; a second call gives the same key."""

    def open_pem(self, key_id: str) -> bytes:
        """The private key as PKCS#8 PEM, for the file of a target alone.  Raises NotFound."""
