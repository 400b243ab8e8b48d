"""Public keys: what kind, how long, and what is weak or odd about one, also where the library refuses to load it."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from domain.certificate import Algorithm
from formats import der
from formats.extensions import UNREADABLE

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | dsa.DSAPublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
_KINDS = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    dsa.DSAPublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
)

# How the OIDs of the signatures begin that a key of each kind makes (RFC 8017, 5758, 3279, 8410).
_SIGNATURES: dict[type[Key], tuple[str, ...]] = {
    rsa.RSAPublicKey: ("1.2.840.113549.1.1.",),
    ec.EllipticCurvePublicKey: ("1.2.840.10045.4.",),
    dsa.DSAPublicKey: ("1.2.840.10040.4.3", "2.16.840.1.101.3.4.3.2"),
    ed25519.Ed25519PublicKey: ("1.3.101.112",),
    ed448.Ed448PublicKey: ("1.3.101.113",),
}

# 112 bits of security, as NIST SP 800-57 and OpenSSL's level 2 have it: RSA and DSA from 2,048 bits, curves from 224.
_LEAST_BITS = 2048
_LEAST_CURVE_BITS = 224

_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """``key``: None where it cannot be loaded, or signs nothing that is known.  ``bits``: of the modulus or curve.

    ``weakness``: why it does not reach 112 bits of security, or is refused by every client, in words.
    ``flaw``: what is odd about it beyond its length, in words: its kind, exponent or curve.
    """

    key: Key | None
    algorithm: Algorithm
    bits: int
    weakness: str = ""
    flaw: str = ""


def key_facts(loaded: x509.Certificate, spki: bytes) -> KeyFacts:
    """``spki``: the content of its subjectPublicKeyInfo.  Never raises for what a stranger wrote."""
    try:
        key = loaded.public_key()
    except UNREADABLE as error:
        return _unloaded(loaded.public_key_algorithm_oid.dotted_string, spki, str(error))
    if not isinstance(key, _KINDS):
        return KeyFacts(None, "other", 0, "its key signs nothing", "a key that signs nothing")
    return _loaded(key, spki)


def may_make(key: Key | None, signature: str) -> bool:
    """Whether a key of this kind can have made a ``signature`` (OID, dotted); nothing is checked."""
    return any(isinstance(key, kind) and signature.startswith(begins) for kind, begins in _SIGNATURES.items())


def _loaded(key: Key, spki: bytes) -> KeyFacts:
    if isinstance(key, rsa.RSAPublicKey):
        return KeyFacts(key, "rsa", key.key_size, _short(f"RSA of {key.key_size} bits", key.key_size, _LEAST_BITS))
    if isinstance(key, dsa.DSAPublicKey):
        told = _short(f"DSA of {key.key_size} bits", key.key_size, _LEAST_BITS)
        # RFC 8446 4.2.3 has no scheme for it, and browsers took it out in 2014.
        return KeyFacts(key, "other", key.key_size, told, f"DSA of {key.key_size} bits, which no client of today takes")
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.curve.key_size
        # RFC 5480 2.1.1 forbids the curve written out: whoever checks the signature would trust its author's numbers.
        flaw = f"{key.curve.name} written out instead of named" if _is_written_out(spki) else ""
        return KeyFacts(
            key, "ecdsa", bits, _short(f"the curve {key.curve.name}", bits, _LEAST_CURVE_BITS) or flaw, flaw
        )
    return KeyFacts(key, "ed25519", 256) if isinstance(key, ed25519.Ed25519PublicKey) else KeyFacts(key, "other", 456)


def _short(told: str, bits: int, least: int) -> str:
    return told if bits < least else ""


def _unloaded(kind: str, spki: bytes, error: str) -> KeyFacts:
    """What can be said of a key that the library refuses."""
    told = f"a public key that cannot be read ({error})"[:200]
    if kind == _RSA and (numbers := _rsa_numbers(spki)) is not None:
        modulus, exponent = numbers
        if exponent < 3 or not exponent % 2:
            told = f"RSA with the exponent {exponent}" if exponent < 10**9 else "RSA with an even exponent"
        return KeyFacts(None, "rsa", modulus.bit_length(), told, told)
    return KeyFacts(None, "ecdsa" if kind == _EC else "other", 0, told, told)


def _rsa_numbers(spki: bytes) -> tuple[int, int] | None:
    """Modulus and exponent (RFC 8017 A.1.1), or None where they are not there."""
    try:
        bits = next(part.content for part in der.parts_of(spki) if part.tag == der.BIT_STRING)
        modulus, exponent = der.parts_of(der.only(bits[1:], der.SEQUENCE))
    except (ValueError, StopIteration):
        return None
    return int.from_bytes(modulus.content, "big"), int.from_bytes(exponent.content, "big")


def _is_written_out(spki: bytes) -> bool:
    algorithm = next(der.parts_of(spki)).content
    return any(part.tag == der.SEQUENCE for part in der.parts_of(algorithm))
