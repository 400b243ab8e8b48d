"""The TLS scanner against real sockets, honest and hostile."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from activities.scanners.base import Ask, Patience, Sight
from activities.scanners.files import FileScanner, expand
from activities.scanners.tls import TLSScanner
from cli.process import free_port
from domain.certificate import Algorithm, Endpoint, LookOutcome
from formats.x509 import parse_certificate, pem_of
from tests.launcher.waiting import LONG_SECONDS

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# For whoever must run into a deadline; everybody else has the time that a busy machine needs.
QUICK = Patience(connect_seconds=60, handshake_seconds=1)
PATIENT = Patience(connect_seconds=60, handshake_seconds=60)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def pair(folder: Path, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, days: int = 90) -> Path:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1000))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}-{type(key).__name__}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    except OSError:
        pass
    finally:
        writer.close()


def server_context(*pairs: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in pairs:
        context.load_cert_chain(path)
    return context


async def look(port: int, sni: str = "", algorithm: Algorithm | None = None, patience: Patience = PATIENT) -> Sight:
    scanner = TLSScanner(lambda: NOW)
    asks = (Ask(Endpoint("tls", "127.0.0.1", port, sni), algorithm),)
    (sight,) = await asyncio.wait_for(scanner.look(asks, patience, lambda: None), LONG_SECONDS)
    return sight


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    return pair(tmp_path, "a.example", ec.generate_private_key(ec.SECP256R1()), days=-10)


async def test_an_expired_self_signed_certificate_is_seen(curve: Path) -> None:
    async with serving(quiet, server_context(curve)) as port:
        sight = await look(port)
    assert sight.outcome is LookOutcome.SEEN
    assert parse_certificate(sight.chain[0]).names == ("a.example",)


async def test_both_certificates_of_one_endpoint_are_asked_for_apart(curve: Path, tmp_path: Path) -> None:
    other = pair(tmp_path, "a.example", rsa.generate_private_key(65537, 2048))
    async with serving(quiet, server_context(curve, other)) as port:
        found = [parse_certificate((await look(port, algorithm=a)).chain[0]).algorithm for a in ("rsa", "ecdsa")]
    assert found == ["rsa", "ecdsa"]


async def test_sni_chooses_the_certificate(curve: Path, tmp_path: Path) -> None:
    named = server_context(pair(tmp_path, "b.example", ec.generate_private_key(ec.SECP256R1())))
    context = server_context(curve)

    def choose(tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == "b.example":
            tls.context = named

    context.sni_callback = choose
    async with serving(quiet, context) as port:
        names = [parse_certificate((await look(port, sni)).chain[0]).names[0] for sni in ("", "b.example", "c")]
    assert names == ["a.example", "b.example", "a.example"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_demands_a_client_certificate_is_still_seen(curve: Path, version: ssl.TLSVersion) -> None:
    context = server_context(curve)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    async with serving(quiet, context) as port:
        assert (await look(port)).outcome is LookOutcome.SEEN


async def test_a_server_of_the_year_1999_is_seen(curve: Path) -> None:
    context = server_context(curve)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1
    async with serving(quiet, context) as port:
        assert (await look(port)).outcome is LookOutcome.SEEN


async def test_an_algorithm_that_is_not_served_is_no_sight(curve: Path) -> None:
    async with serving(quiet, server_context(curve)) as port:
        assert (await look(port, algorithm="rsa")).outcome is LookOutcome.HANDSHAKE_FAILED
        assert (await look(port, algorithm="other")).outcome is LookOutcome.NO_CERTIFICATE


async def says_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01garbage" * 10)
    await quiet(reader, writer)


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await quiet(reader, writer)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def alerts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes.fromhex("15030100020228"))
    await quiet(reader, writer)


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # One handshake record after the other, each an empty HelloRequest: honest framing without an end.
    try:
        while True:
            writer.write(bytes.fromhex("160303000400000000") * 1000)
            await writer.drain()
    except OSError:
        writer.close()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        # Longer than anybody waits: the deadline ends it, and the client hangs up.
        for _ in range(1200):
            writer.write(b"\x16")
            await writer.drain()
            await asyncio.sleep(0.1)
    except OSError:
        pass
    writer.close()


@pytest.mark.parametrize(
    ("handler", "outcomes"),
    [
        (quiet, {LookOutcome.HANDSHAKE_TIMEOUT}),
        (says_garbage, {LookOutcome.NOT_TLS}),
        (speaks_http, {LookOutcome.NOT_TLS}),
        (closes, {LookOutcome.HANDSHAKE_FAILED}),
        (alerts, {LookOutcome.HANDSHAKE_FAILED}),
        (never_ends, {LookOutcome.HANDSHAKE_FAILED, LookOutcome.HANDSHAKE_TIMEOUT}),
        (drips, {LookOutcome.HANDSHAKE_FAILED, LookOutcome.HANDSHAKE_TIMEOUT}),
    ],
)
async def test_a_hostile_listener_gives_one_named_outcome_in_time(handler: Handler, outcomes: set[LookOutcome]) -> None:
    patience = QUICK if LookOutcome.HANDSHAKE_TIMEOUT in outcomes else PATIENT
    async with serving(handler) as port:
        sight = await look(port, patience=patience)
    assert sight.outcome in outcomes and sight.detail and sight.chain == ()


async def test_a_closed_port_is_refused_and_order_is_kept(curve: Path) -> None:
    gone = free_port()
    async with serving(quiet, server_context(curve)) as port:
        asks = [Ask(Endpoint("tls", "127.0.0.1", p)) for p in (gone, port, gone)]
        sights = await TLSScanner(lambda: NOW).look(asks, PATIENT, lambda: None)
    assert [s.outcome for s in sights] == [LookOutcome.REFUSED, LookOutcome.SEEN, LookOutcome.REFUSED]
    assert [s.ask for s in sights] == asks


async def test_files_are_read_inside_the_scope_only(curve: Path, tmp_path: Path) -> None:
    scope = tmp_path / "vpn"
    outside = tmp_path / "outside"
    for folder in (scope, outside):
        folder.mkdir()
    good = scope / "good.pem"
    good.write_bytes(curve.read_bytes())
    (scope / "text.pem").write_bytes(b"nothing")
    (scope / "broken.pem").write_bytes(pem_of([]) + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (scope / "huge.pem").write_bytes(b" " * (1024 * 1024 + 1))
    (outside / "secret.pem").write_bytes(curve.read_bytes())
    (scope / "link.pem").symlink_to(outside / "secret.pem")
    (scope / "down").symlink_to(outside)
    patterns = (str(scope / "*.pem"),)
    scanner = FileScanner(lambda: NOW, patterns)
    names = ("good", "text", "broken", "huge", "link", "down/secret", "none")
    assert set(expand(patterns)) == {str(scope / f"{name}.pem") for name in names[:5]}
    asks = [Ask(Endpoint("file", "localhost", path=str(scope / f"{name}.pem"))) for name in names]
    outcomes = [sight.outcome for sight in await scanner.look(asks, PATIENT, lambda: None)]
    assert outcomes == [
        LookOutcome.SEEN,
        LookOutcome.NO_CERTIFICATE,
        LookOutcome.UNREADABLE,
        LookOutcome.UNREADABLE,
        LookOutcome.OUT_OF_SCOPE,
        LookOutcome.OUT_OF_SCOPE,
        LookOutcome.UNREACHABLE,
    ]
