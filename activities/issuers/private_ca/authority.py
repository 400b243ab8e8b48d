"""The CAs themselves: made once, their keys wrapped, and the only code that opens such a key."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from cryptography.x509.oid import NameOID, ObjectIdentifier
from sqlalchemy.engine import Engine

from activities.issuers.private_ca.extensions import CA_KEY_USAGE, authority_key, subject_key
from activities.keys.envelope import unwrap, wrap
from domain.certificate import TrustClass
from domain.profiles import USAGE_OIDS
from domain.tiers import Issuer
from store import ca
from store.ca import Authority

ROOTS = {TrustClass.PRIVATE: "Everleaf Root", TrustClass.PUBLIC: "Everleaf Public Stand-in Root"}

# One issuing CA per use: its EKU fences what its leaves may do, and a leak of one key costs one use.
USES: dict[tuple[str, ...], str] = {
    ("server",): "Server CA",
    ("client",): "Client CA",
    ("client", "server"): "Peer CA",
}

# docs: private CA, decision 1.  The CA begins an hour early so that a skewed clock still accepts it.
ROOT_LIVES = timedelta(days=20 * 365)
ISSUING_LIVES = timedelta(days=5 * 365)
BEGINS_EARLIER = timedelta(hours=1)


def authority_name(issuer: str, usages: Sequence[str]) -> str:
    """The issuing CA of a policy's issuer for these usages, for example "Everleaf NMS Server CA"."""
    return f"{issuer} {USES[tuple(sorted(set(usages)))]}"


@dataclass(frozen=True, slots=True)
class Maker:
    """What a new CA is made with."""

    engine: Engine
    kek: bytes
    now: datetime


def ensure_authorities(
    engine: Engine, issuers: Sequence[Issuer], kek: bytes, now: datetime, *, lives: timedelta = ISSUING_LIVES
) -> None:
    """Make every CA that the policy's private-ca issuers need and the store lacks; the rest stays as it is.

    ``lives``: of a new issuing CA.
    """
    maker = Maker(engine, kek, now)
    for issuer in issuers:
        if issuer.kind != "private-ca":
            continue
        if issuer.trust_class not in ROOTS:
            # What a CA signs is not self-signed; an order for that is refused by its own words.
            continue
        root = _ensure(maker, ROOTS[issuer.trust_class], partial(_make_root, maker))
        for usages in USES:
            under = (root, usages, now - BEGINS_EARLIER + lives)
            _ensure(maker, authority_name(issuer.name, usages), partial(_make_issuing, maker, under=under))


def _ensure(maker: Maker, name: str, make: Callable[[str], Authority]) -> Authority:
    found = ca.find_authority(maker.engine, name)
    # Two workers may make the same CA at once: the first stored one counts for both.
    return found or ca.keep_authority(maker.engine, make(name), maker.now)


def open_key(authority: Authority, kek: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(unwrap(kek, authority.wrapped_key, f"ca/{authority.name}"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _named(name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Everleaf")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(name: str, key: ec.EllipticCurvePrivateKey, path_length: int | None) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(CA_KEY_USAGE, critical=True)
        .add_extension(subject_key(key.public_key()), critical=False)
    )


def _kept(maker: Maker, name: str, key: ec.EllipticCurvePrivateKey, made: tuple[str, x509.Certificate]) -> Authority:
    parent, certificate = made
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    der = certificate.public_bytes(Encoding.DER)
    return Authority(name, parent, der, wrap(maker.kek, plain, f"ca/{name}"))


def _make_root(maker: Maker, name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP384R1())
    begins = maker.now - BEGINS_EARLIER
    builder = _builder(name, key, None).issuer_name(_named(name))
    builder = builder.not_valid_before(begins).not_valid_after(begins + ROOT_LIVES)
    return _kept(maker, name, key, ("", builder.sign(key, hashes.SHA384(), ecdsa_deterministic=True)))


def _make_issuing(maker: Maker, name: str, *, under: tuple[Authority, tuple[str, ...], datetime]) -> Authority:
    root, usages, ends = under
    key = ec.generate_private_key(ec.SECP256R1())
    parent = x509.load_der_x509_certificate(root.certificate)
    oids = [ObjectIdentifier(USAGE_OIDS[usage]) for usage in usages]
    begins = max(maker.now - BEGINS_EARLIER, parent.not_valid_before_utc)
    builder = (
        _builder(name, key, 0)
        .issuer_name(parent.subject)
        .not_valid_before(begins)
        .not_valid_after(min(ends, parent.not_valid_after_utc))
        .add_extension(x509.ExtendedKeyUsage(oids), critical=False)
        .add_extension(authority_key(parent), critical=False)
    )
    signed = builder.sign(open_key(root, maker.kek), hashes.SHA384(), ecdsa_deterministic=True)
    return _kept(maker, name, key, (root.name, signed))


def publish_roots(engine: Engine, folder: Path) -> list[Path]:
    """Write every CA certificate as PEM into ``folder``, so that people and programs can trust the roots."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for authority in ca.authorities(engine):
        certificate = x509.load_der_x509_certificate(authority.certificate)
        path = folder / (re.sub(r"[^a-z0-9]+", "-", authority.name.lower()).strip("-") + ".pem")
        temporary = path.with_suffix(".new")
        temporary.write_bytes(certificate.public_bytes(Encoding.PEM))
        os.replace(temporary, path)
        written.append(path)
    return written
