"""What a Temporal front end asks of us: read from files, never from the environment, and again at every connect."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.service import TLSConfig

from domain.errors import BadInput
from domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """The contents of the files; two are equal where nothing was renewed.  Never shown: one of them is a key."""

    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def tls(self) -> TLSConfig | None:
        """None: the front end is asked without TLS, which nobody must reach but we (docs/production.md)."""
        if self == Credentials():
            return None
        return TLSConfig(
            server_root_ca_cert=self.ca,
            domain=self.server_name,
            client_cert=self.certificate,
            client_private_key=self.key,
        )


def read_credentials(settings: Settings) -> Credentials:
    """Raises BadInput, which names the variable and its file."""
    api_key = _read(settings.temporal_api_key_file, "EVERLEAF_TEMPORAL_API_KEY_FILE")
    return Credentials(
        ca=_pem(settings.temporal_ca, "EVERLEAF_TEMPORAL_CA", b"CERTIFICATE"),
        certificate=_pem(settings.temporal_certificate, "EVERLEAF_TEMPORAL_CERTIFICATE", b"CERTIFICATE"),
        key=_pem(settings.temporal_key, "EVERLEAF_TEMPORAL_KEY", b"PRIVATE KEY"),
        server_name=settings.temporal_server_name or None,
        api_key=None if api_key is None else _header(api_key),
    )


def _read(path: str, variable: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        told = f"{path} cannot be read ({problem.strerror})"
        raise BadInput(variable, told, "Correct it, or give this process's user the file.") from problem


def _pem(path: str, variable: str, kind: bytes) -> bytes | None:
    content = _read(path, variable)
    # The engine takes a file without any certificate for an empty one, and then says only that it cannot connect.
    if content is not None and not re.search(rb"-----BEGIN ([A-Z]+ )?" + kind + rb"-----", content):
        raise BadInput(variable, f"{path} holds no PEM {kind.decode()}", "Name the file in PEM form.")
    return content


def _header(api_key: bytes) -> str:
    """As it stands in a header of HTTP/2: one line of visible ASCII."""
    text = api_key.strip()
    if not text or not all(0x21 <= byte <= 0x7E for byte in text):
        # Without what it holds: it may be the key after all, with a line too many.
        problem = "does not hold one line of visible characters"
        raise BadInput("EVERLEAF_TEMPORAL_API_KEY_FILE", problem, "Write the API key alone into the file.")
    return text.decode()


# What the engine says, what that means, what to do; the first that it says.  Under TLS 1.3 a client hears only after
# its handshake that its certificate does not please, and often only that the line was cut, in one word or another.
REFUSALS = (
    ("UnknownIssuer", "its certificate comes from none of the CAs that we trust", "Correct {ca}."),
    ("NotValidForName", "its certificate is of another name", "Correct {name}; unset, the name of the address counts."),
    ("InvalidCertificate(Expired", "its certificate has expired", "Renew it there."),
    ("PrivateKeyParseError", "our key cannot be read", "Write it without a pass phrase: EVERLEAF_TEMPORAL_KEY."),
    ("InconsistentKeys", "our key is not that of our certificate", "Put both files of one issue in place: {pair}."),
    ("InvalidContentType", "it speaks no TLS", "Unset EVERLEAF_TEMPORAL_CA and its fellows, or ask another port."),
    ("fatal alert", "it refuses our certificate", "Have {pair} issued by a CA that it trusts, and not expired."),
    ("Unauthenticated", "it does not know who we are", "Correct {api_key} or {pair}."),
    ("PermissionDenied", "we may not use that namespace", "Correct EVERLEAF_TEMPORAL_NAMESPACE, {api_key} or {pair}."),
    ("after connection", "it hung up: it refuses our certificate, or wants TLS", "Correct {pair} and {ca}."),
)


def why_refused(settings: Settings, problem: str) -> str:
    """``problem``, what the engine says, in words that name the variable to correct."""
    at = settings.temporal_address
    shown = {
        "ca": _named("EVERLEAF_TEMPORAL_CA", settings.temporal_ca),
        "pair": f"{_named('EVERLEAF_TEMPORAL_CERTIFICATE', settings.temporal_certificate)} and EVERLEAF_TEMPORAL_KEY",
        "name": _named("EVERLEAF_TEMPORAL_SERVER_NAME", settings.temporal_server_name),
        "api_key": _named("EVERLEAF_TEMPORAL_API_KEY_FILE", settings.temporal_api_key_file),
    }
    for words, meaning, remedy in REFUSALS:
        if words in problem:
            return f"Temporal at {at} does not let us in: {meaning} ({problem}). {remedy.format(**shown)}"
    return (
        f"Temporal does not answer at {at}: {problem}. Start it with `everleaf up`, or set EVERLEAF_TEMPORAL_ADDRESS."
    )


def _named(variable: str, value: str) -> str:
    return f"{variable} ({value or 'not set'})"
