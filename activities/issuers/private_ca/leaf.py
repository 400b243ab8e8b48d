"""What is to be signed for one order, built with a throw-away key so that the CA's key is not touched yet."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ObjectIdentifier

from activities.issuers.base import IssuerEndsFirst
from activities.issuers.private_ca.extensions import PublicKey, authority_key, key_usage, subject_key
from activities.keys.request import subject_and_names
from domain.contracts import Plan
from domain.errors import CARefused
from domain.lifecycle.ladder import moved
from domain.profiles import backdate, own_breaches, usage_oids
from formats.x509 import UNREADABLE, parse_certificate


def requested_key(csr: bytes) -> PublicKey:
    """The public key of a request whose signature holds.  Raises CARefused."""
    try:
        request = x509.load_der_x509_csr(csr)
        key = request.public_key()
        is_signed = request.is_signature_valid
    except UNREADABLE as error:
        raise CARefused(f"the request cannot be read: {error}") from error
    if not is_signed:
        raise CARefused("the request is not signed by its own key")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise CARefused(f"keys of the kind {type(key).__name__} are not signed here")
    return key


def random_serial() -> int:
    """128 bits whose top bits are 01: positive, always 16 octets, 126 bits of chance."""
    return secrets.randbits(126) | 1 << 126


def to_be_signed(plan: Plan, key: PublicKey, parent: x509.Certificate, now: datetime) -> tuple[int, bytes]:
    """(serial, TBSCertificate) for ``plan``.  Raises CARefused where the CA may not sign that.

    Subject and extensions come from the plan, never from the request: that gives its key alone.
    """
    life = timedelta(seconds=plan.validity_seconds)
    begins = max((now - backdate(life)).replace(microsecond=0), parent.not_valid_before_utc)
    ends = moved(begins, life)
    if ends > parent.not_valid_after_utc:
        raise IssuerEndsFirst(
            f"its issuer ends first: {plan.issuer} ends {parent.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, the "
            f"certificate would end {ends:%Y-%m-%d %H:%M} UTC. Renew the CA, or plan another issuer."
        )
    serial = random_serial()
    builder = _builder(plan, key, parent).serial_number(serial).not_valid_before(begins).not_valid_after(ends)
    # Of the same kind as the CA's key, because the signature's algorithm stands inside what is signed.
    throw_away = ec.generate_private_key(ec.SECP256R1())
    draft = builder.sign(throw_away, hashes.SHA256())
    facts = parse_certificate(draft.public_bytes(Encoding.DER))
    spki = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    wrong = own_breaches(facts, plan, spki)
    if wrong:
        raise CARefused(f"{plan.issuer} does not sign this: {'; '.join(wrong)}")
    return serial, draft.tbs_certificate_bytes


def _builder(plan: Plan, key: PublicKey, parent: x509.Certificate) -> x509.CertificateBuilder:
    subject, alternative = subject_and_names(plan.names)
    usages = x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in usage_oids(plan)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.subject)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(enciphers=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(subject_key(key), critical=False)
        .add_extension(authority_key(parent), critical=False)
    )
    if alternative is None:
        return builder
    # RFC 5280 4.2.1.6: critical where the subject is empty.
    return builder.add_extension(alternative, critical=not list(subject))
