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


def key_facts(loaded: x509.Certificate) -> KeyFacts:
    """Never raises for what a stranger wrote."""
    try:
        key = loaded.public_key()
    except UNREADABLE as error:
        return _unloaded(loaded, str(error))
    if not isinstance(key, _KINDS):
        return KeyFacts(None, "other", 0, "its key signs nothing", "a key that signs nothing")
    return _loaded(key, loaded)


def _loaded(key: Key, loaded: x509.Certificate) -> KeyFacts:
    if isinstance(key, rsa.RSAPublicKey):
        return KeyFacts(key, "rsa", key.key_size, _short(f"RSA of {key.key_size} bits", key.key_size, _LEAST_BITS))
    if isinstance(key, dsa.DSAPublicKey):
        told = _short(f"DSA of {key.key_size} bits", key.key_size, _LEAST_BITS)
        # RFC 8446 4.2.3 has no scheme for it, and browsers took it out in 2014.
        return KeyFacts(key, "other", key.key_size, told, f"DSA of {key.key_size} bits, which no client of today takes")
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.curve.key_size
        # RFC 5480 2.1.1 forbids the curve written out: whoever checks the signature would trust its author's numbers.
        flaw = f"{key.curve.name} written out instead of named" if _is_written_out(loaded) else ""
        return KeyFacts(
            key, "ecdsa", bits, _short(f"the curve {key.curve.name}", bits, _LEAST_CURVE_BITS) or flaw, flaw
        )
    return KeyFacts(key, "ed25519", 256) if isinstance(key, ed25519.Ed25519PublicKey) else KeyFacts(key, "other", 456)


def _short(told: str, bits: int, least: int) -> str:
    return told if bits < least else ""


def _unloaded(loaded: x509.Certificate, error: str) -> KeyFacts:
    """What can be said of a key that the library refuses."""
    kind = loaded.public_key_algorithm_oid.dotted_string
    try:
        if kind == _RSA:
            modulus, exponent = _rsa_numbers(loaded)
            flaw = f"RSA with the exponent {exponent if exponent < 10**6 else 'of many digits'}"
            return KeyFacts(None, "rsa", modulus.bit_length(), flaw, flaw)
    except ValueError as damaged:
        error = str(damaged)
    told = f"a public key that cannot be read ({error})"[:200]
    return KeyFacts(None, "ecdsa" if kind == _EC else "other", 0, told, told)


def _rsa_numbers(loaded: x509.Certificate) -> tuple[int, int]:
    bits = list(der.parts_of(_spki(loaded)))[1].content
    numbers = [int.from_bytes(part.content, "big") for part in der.parts_of(der.only(bits[1:], der.SEQUENCE))]
    if len(numbers) != 2:
        raise ValueError("its RSA key is not two numbers")
    return numbers[0], numbers[1]


def _is_written_out(loaded: x509.Certificate) -> bool:
    algorithm = next(der.parts_of(_spki(loaded))).content
    return any(part.tag == der.SEQUENCE for part in der.parts_of(algorithm))


def _spki(loaded: x509.Certificate) -> bytes:
    """The content of subjectPublicKeyInfo: the fifth sequence of tbsCertificate (RFC 5280 4.1)."""
    return der.sequences(loaded.tbs_certificate_bytes)[4].content
