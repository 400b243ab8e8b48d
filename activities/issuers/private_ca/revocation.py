"""The list of what a CA revoked."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.engine import Engine

from activities.issuers.private_ca.authority import open_key
from activities.issuers.private_ca.extensions import authority_key
from store import ca
from store.ca import Authority, Issued
from store.reader.reconciliations import held_since

# A reader whose clock is behind refuses a list from its future, and every client with it.
BEGINS_EARLIER = timedelta(hours=1)
LIVES = timedelta(days=7)
RENEWED_AFTER = timedelta(days=1)

REASONS = {
    "superseded": x509.ReasonFlags.superseded,
    "cessationOfOperation": x509.ReasonFlags.cessation_of_operation,
    "keyCompromise": x509.ReasonFlags.key_compromise,
    # RFC 5280 5.3.1 has no word for it; what cannot be used was replaced by the next order.
    "unusable": x509.ReasonFlags.superseded,
}


def renew_crl(engine: Engine, authority: Authority, kek: bytes, now: datetime) -> bytes:
    """Sign and keep a new list of ``authority`` (DER).

    The number is taken before the rows are read, so a list with a higher number never knows less.
    """
    number = ca.next_crl_number(engine, authority.name, now)
    parent = x509.load_der_x509_certificate(authority.certificate)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(parent.subject)
        .last_update(now - BEGINS_EARLIER)
        .next_update(now + LIVES)
        .add_extension(authority_key(parent), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for row in ca.revoked_by(engine, authority.name):
        builder = builder.add_revoked_certificate(_entry(row))
    key = open_key(authority, kek)
    digest = hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256()
    signed = builder.sign(key, digest, ecdsa_deterministic=True)
    made = signed.public_bytes(Encoding.DER)
    ca.keep_crl(engine, authority.name, number, (made, now))
    return made


def renew_old_crls(engine: Engine, kek: bytes, now: datetime) -> int:
    """Renew every list that is missing or older than a day; gives how many.

    While our CAs are held, for they may have forgotten what they revoked, only what would end within that day: a list
    without what was forgotten lets it in again, and an expired one stops every client.
    """
    renewed, is_held = 0, held_since(engine) is not None
    for authority in ca.authorities(engine):
        newest = ca.newest_crl(engine, authority.name)
        if newest is not None:
            listed = x509.load_der_x509_crl(newest)
            ends = listed.next_update_utc
            may_wait = is_held and ends is not None and ends > now + RENEWED_AFTER
            if may_wait or listed.last_update_utc + BEGINS_EARLIER > now - RENEWED_AFTER:
                continue
        renew_crl(engine, authority, kek, now)
        renewed += 1
    return renewed


def _entry(row: Issued) -> x509.RevokedCertificate:
    assert row.revoked_at is not None
    return (
        x509.RevokedCertificateBuilder()
        .serial_number(int(row.serial, 16))
        .revocation_date(row.revoked_at)
        .add_extension(x509.CRLReason(REASONS[row.revocation_reason]), critical=False)
        .build()
    )
