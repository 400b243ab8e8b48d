"""The extensions that every certificate of ours carries, in the form that linters and strict verifiers accept."""

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


def key_usage(*, signs: bool = True, enciphers: bool = False, is_ca: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


CA_KEY_USAGE = key_usage(signs=False, is_ca=True)


def subject_key(key: PublicKey) -> x509.SubjectKeyIdentifier:
    """RFC 7093 method 1: the first 160 bits of SHA-256 over the key's bits."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    elif isinstance(key, rsa.RSAPublicKey):
        bits = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    else:
        bits = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return x509.SubjectKeyIdentifier(sha256(bits).digest()[:20])


def authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """By key id alone, so that leaves outlive a renewal of their CA with the same key."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
