"""The custodian whose keys lie wrapped in the store."""

import uuid
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from sqlalchemy.engine import Engine

from activities.keys.envelope import unwrap, wrap
from activities.keys.request import signing_request
from domain.certificate import KeyRef
from domain.contracts import Plan
from domain.errors import BadInput
from domain.objections import LEAST_BITS
from store.custody import WrappedKey, keep_key, key_for_order, wrapped_key

LeafKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
# A longer one takes minutes to make, and no peer of a telecom asks for it.
LARGEST_RSA_BITS = 4096


def generate(plan: Plan) -> LeafKey:
    """A new key of the plan's kind, never weaker than what is still accepted.  Raises BadInput."""
    bits = max(plan.key_bits, LEAST_BITS.get(plan.algorithm, 0))
    if plan.algorithm == "rsa" and bits <= LARGEST_RSA_BITS:
        return rsa.generate_private_key(65537, bits)
    if plan.algorithm == "ecdsa" and bits in CURVES:
        return ec.generate_private_key(CURVES[bits]())
    if plan.algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise BadInput("plan.algorithm", f"{plan.algorithm} with {bits} bits is not made here", "Plan rsa or ecdsa.")


class StoreCustodian:
    """Keys wrapped under ``kek``; implements Custodian."""

    def __init__(self, engine: Engine, kek: bytes, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._kek = kek
        self._clock = clock

    def make(self, order_key: str, plan: Plan) -> tuple[KeyRef, bytes]:
        ref = key_for_order(self._engine, order_key) or self._generate(order_key, plan)
        return ref, signing_request(self._open(ref.id), plan.names)

    def open_pem(self, key_id: str) -> bytes:
        return self._open(key_id).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def _generate(self, order_key: str, plan: Plan) -> KeyRef:
        key = generate(plan)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ref = KeyRef(uuid.uuid4().hex, sha256(public).hexdigest())
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return keep_key(self._engine, WrappedKey(ref, order_key, wrap(self._kek, plain, ref.id)), self._clock())

    def _open(self, key_id: str) -> LeafKey:
        key = load_der_private_key(unwrap(self._kek, wrapped_key(self._engine, key_id), key_id), None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
        return key
