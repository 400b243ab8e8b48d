"""Facts about certificates and the places where they are served: never keys."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from domain.errors import BadInput

Algorithm = Literal["rsa", "ecdsa", "ed25519", "other"]


class TrustClass(StrEnum):
    """Who can verify a certificate."""

    PUBLIC = "public"
    PRIVATE = "private"
    SELF_SIGNED = "self-signed"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate.  ``fingerprint``: SHA-256 of its DER, lower-case hex.

    ``names``: DNS names and addresses of the SAN, or the common name where there is no SAN; lower case, sorted, unique.
    ``extended_key_usages``: dotted OIDs, empty when the extension is absent (RFC 5280 4.2.1.12: any use).
    ``other_names``: what else its SAN names, each with its kind, such as ``URI:spiffe://a/b``, and how many names there
    was no room for: no order can give that.
    ``false_names``: those of ``names`` that recognise it and that no client of today takes (RFC 9525 6): the common
    name of one without a SAN, an address written as a DNS name.
    ``key_flaw``: what is odd about its key beyond its length; ``flaws``: what of it could not be read, or stands there
    twice; both in plain words.
    """

    fingerprint: str
    subject: str
    issuer: str
    serial: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    algorithm: Algorithm
    key_bits: int
    signature_hash: str
    spki_sha256: str
    extended_key_usages: tuple[str, ...] = ()
    is_ca: bool = False
    is_self_signed: bool = False
    other_names: tuple[str, ...] = ()
    false_names: tuple[str, ...] = ()
    key_flaw: str = ""
    flaws: tuple[str, ...] = ()

    @property
    def lifetime(self) -> timedelta:
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True)
class Life:
    """What a lifecycle needs to know of the certificate it governs now.

    ``ends_at`` is E: the earliest ``not_after`` on the served path below the root, so never later than the leaf's own.
    ``signature_hash``: lower case, "sha256"; empty where the scheme has none.  ``issuer_spki``: SHA-256 (hex) of the
    public key that verifies its signature; empty where its issuer was neither served nor is named by the policy.
    ``key_flaw``: why its key is not safe, as of its certificate.
    """

    fingerprint: str
    names: tuple[str, ...]
    not_before: datetime
    ends_at: datetime
    algorithm: Algorithm
    key_bits: int
    trust_class: TrustClass
    issuer: str
    serial: str
    extended_key_usages: tuple[str, ...] = ()
    is_ca: bool = False
    other_names: tuple[str, ...] = ()
    signature_hash: str = ""
    issuer_spki: str = ""
    key_flaw: str = ""

    @property
    def length(self) -> timedelta:
        """L = E - not_before (DESIGN rule 1)."""
        return self.ends_at - self.not_before


# How a list of names ends that there was no room for.
LEFT_OUT = "more than are kept"
# Of names, and of what else a SAN names, as JSON writes them: both stand twice in an event of at most 65,535 bytes.
MOST_NAME_BYTES, MOST_OTHER_BYTES = 12_000, 2_000


def life_from(facts: Certificate, trust_class: TrustClass, ends_at: datetime, issuer_spki: str = "") -> Life:
    """What a lifecycle must know of a certificate; of its names as many as events have room for."""
    names = _that_fit(facts.names, MOST_NAME_BYTES)
    other = _that_fit(facts.other_names, MOST_OTHER_BYTES)
    left_out = len(facts.names) - len(names) + len(facts.other_names) - len(other)
    return Life(
        fingerprint=facts.fingerprint,
        names=names,
        not_before=facts.not_before,
        ends_at=ends_at,
        algorithm=facts.algorithm,
        key_bits=facts.key_bits,
        trust_class=trust_class,
        issuer=facts.issuer,
        serial=facts.serial,
        extended_key_usages=facts.extended_key_usages,
        is_ca=facts.is_ca,
        other_names=(*other, f"{left_out} {LEFT_OUT}") if left_out else other,
        signature_hash=facts.signature_hash,
        issuer_spki=issuer_spki,
        key_flaw=facts.key_flaw,
    )


def lacks_names(other_names: Iterable[str]) -> bool:
    """Whether there were more names than are kept, so that a name which is not among them says nothing."""
    return any(name.endswith(LEFT_OUT) for name in other_names)


def _that_fit(names: tuple[str, ...], most: int) -> tuple[str, ...]:
    weight = 0
    for count, name in enumerate(names):
        weight += len(json.dumps(name, ensure_ascii=False).encode()) + 1
        if weight > most:
            return names[:count]
    return names


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """What one look can tell apart, as one string that sorts.

    ``url``: ``tls://127.40.1.7:8443?sni=pay.example.in``, ``file://host/path``, ``client://holder``;
    ``algorithm``: the key algorithm served there.
    """

    url: str
    algorithm: Algorithm

    @property
    def endpoint(self) -> "Endpoint":
        return _endpoint(self.url)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place where a certificate is served, stored or used.  ``path`` for files; ``sni`` empty when none is sent."""

    scheme: Literal["tls", "file", "client"]
    host: str
    port: int = 0
    sni: str = ""
    path: str = ""

    @property
    def url(self) -> str:
        if self.scheme == "tls":
            host = f"[{self.host}]" if ":" in self.host else self.host
            sni = f"?sni={quote(self.sni, safe='*.-_')}" if self.sni else ""
            return f"tls://{host}:{self.port}{sni}"
        return f"{self.scheme}://{self.host}{quote(self.path, safe='/._-@+=,', errors='surrogateescape')}"

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Read an endpoint URL.  Raises BadInput naming the field ``endpoint``."""
        parts = urlsplit(url)
        try:
            port = parts.port or 0
        except ValueError:
            port = 0
        if parts.scheme == "tls" and parts.hostname and port:
            sni = parse_qs(parts.query).get("sni", [""])[0]
            return cls("tls", parts.hostname, port, sni)
        if parts.scheme == "file" and parts.path:
            # A path is bytes, and need not be UTF-8.
            return cls("file", parts.netloc, path=unquote(parts.path, errors="surrogateescape"))
        if parts.scheme == "client" and parts.netloc:
            return cls("client", parts.netloc, path=unquote(parts.path))
        raise BadInput("endpoint", f"{url!r} is not an endpoint", "Write tls://host:port?sni=name or file://host/path.")


# Rules, targets and findings all ask for the parts of a slot's URL, a dozen times in a row.
@lru_cache(maxsize=4096)
def _endpoint(url: str) -> Endpoint:
    return Endpoint.parse(url)


class LookOutcome(StrEnum):
    """How one look ended.  Only SEEN saw a certificate."""

    SEEN = "seen"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect-timeout"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    NOT_TLS = "not-tls"
    NO_CERTIFICATE = "no-certificate"
    HANDSHAKE_FAILED = "handshake-failed"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    OUT_OF_SCOPE = "out-of-scope"
    # The step had no time left for it: nothing was tried, and nothing follows from it.
    NOT_LOOKED = "not-looked"


@dataclass(frozen=True, slots=True)
class Look:
    """One attempt at one place at one instant.  ``chain``: fingerprints as served, leaf first; empty unless SEEN."""

    url: str
    algorithm: Algorithm
    at: datetime
    outcome: LookOutcome
    chain: tuple[str, ...] = ()
    detail: str = ""

    @property
    def leaf(self) -> str | None:
        return self.chain[0] if self.chain else None


@dataclass(frozen=True, slots=True)
class KeyRef:
    """Where a private key lies, never the key itself.  ``id`` is random; ``spki_sha256`` names its public half."""

    id: str
    spki_sha256: str
