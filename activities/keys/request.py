"""Names as they stand in a request and a certificate, and the request itself."""

import re
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

DNS_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
# RFC 5280 appendix A: ub-common-name.
LONGEST_COMMON_NAME = 64


def general_name(name: str) -> x509.GeneralName | None:
    """``name`` as a SAN entry; None where it is plain text, which only a common name can hold."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    if name.isascii() and name.count("@") == 1 and " " not in name:
        return x509.RFC822Name(name)
    return x509.DNSName(name) if DNS_NAME.match(name) else None


def subject_and_names(names: tuple[str, ...]) -> tuple[x509.Name, x509.SubjectAlternativeName | None]:
    """Subject (CN = the first name that fits) and SAN (None where no name can stand in one)."""
    common = next((name for name in names if len(name) <= LONGEST_COMMON_NAME), "")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    entries = [entry for entry in map(general_name, names) if entry is not None]
    return subject, x509.SubjectAlternativeName(entries) if entries else None


def signing_request(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, names: tuple[str, ...]
) -> bytes:
    """A CSR (DER): names are wishes; what is signed is what the plan says."""
    subject, alternative = subject_and_names(names)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)
