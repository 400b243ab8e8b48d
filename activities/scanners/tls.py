"""A TLS handshake from outside that reads the served chain, whatever its validity.

The handshake runs over memory buffers, not over a TLS stream: so the chain is readable after every step of it, also
where a server that wants a client certificate ends the handshake, and the bytes taken from a stranger are bounded.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any

from activities.scanners.base import Ask, Clock, Patience, Progress, Sight
from domain.certificate import Algorithm, LookOutcome

# More than any honest handshake (chains of 12 with RSA-8192 stay under 64 KiB); an endless sender is cut here.
MOST_BYTES = 256 * 1024
READ_BYTES = 16 * 1024
# RFC 8446 5.1 content types that a server may begin with: alert and handshake.
TLS_RECORDS = (0x15, 0x16)
DER = 2  # _ssl.ENCODING_DER: how the private chain accessor of Python 3.11 is asked for bytes

# One cipher list per key that is asked for.  Only TLS 1.2 and older name the key in the cipher suite, and the ssl
# module of 3.11 cannot limit signature algorithms; a second certificate of a TLS 1.3-only server stays unseen.
CIPHERS: dict[str, str] = {"rsa": "aRSA:@SECLEVEL=0", "ecdsa": "aECDSA:@SECLEVEL=0"}
ANY_CIPHER = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
LEGACY_OPTIONS = 0x4 | 0x40000  # SSL_OP_LEGACY_SERVER_CONNECT and unsafe legacy renegotiation: old network gear


def context_for(algorithm: Algorithm | None) -> ssl.SSLContext | None:
    """A client context that trusts nobody and takes everything; None where ``algorithm`` cannot be asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # We record what is served; whether it is good is judged elsewhere, and an expired certificate must be seen.
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= LEGACY_OPTIONS
    if algorithm is None:
        context.set_ciphers(ANY_CIPHER)
        return context
    if algorithm not in CIPHERS:
        return None
    context.set_ciphers(CIPHERS[algorithm])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class TLSScanner:
    """Looks at ``tls://`` endpoints.  ``clock``: when a look was made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contexts: dict[Algorithm | None, ssl.SSLContext | None] = {}

    async def look(self, asks: Sequence[Ask], patience: Patience, progress: Progress) -> tuple[Sight, ...]:
        places = asyncio.Semaphore(patience.at_once)

        async def one(ask: Ask) -> Sight:
            async with places:
                sight = await self._look(ask, patience)
                progress()
                return sight

        return tuple(await asyncio.gather(*(one(ask) for ask in asks)))

    async def _look(self, ask: Ask, patience: Patience) -> Sight:
        host, port = ask.endpoint.host, ask.endpoint.port
        try:
            async with asyncio.timeout(patience.connect_seconds):
                reader, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            return self._sight(ask, LookOutcome.REFUSED, "the port is closed")
        except TimeoutError:
            return self._sight(ask, LookOutcome.CONNECT_TIMEOUT, f"no answer in {patience.connect_seconds:g} s")
        except (OSError, UnicodeError) as error:
            return self._sight(ask, LookOutcome.UNREACHABLE, str(error))
        exchange = _Exchange(reader, writer)
        try:
            async with asyncio.timeout(patience.handshake_seconds):
                outcome, detail = await self._handshake(ask, exchange)
        except TimeoutError:
            outcome, detail = LookOutcome.HANDSHAKE_TIMEOUT, f"no handshake in {patience.handshake_seconds:g} s"
        finally:
            # Aborted, not closed: a peer that never reads must not keep the socket.
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)
        chain = exchange.chain()
        if chain:
            return Sight(ask, self._clock(), LookOutcome.SEEN, chain, "" if outcome is LookOutcome.SEEN else detail)
        if outcome is LookOutcome.SEEN:
            outcome, detail = LookOutcome.NO_CERTIFICATE, "the handshake ended without a certificate"
        return self._sight(ask, outcome, detail)

    async def _handshake(self, ask: Ask, exchange: "_Exchange") -> tuple[LookOutcome, str]:
        if ask.algorithm not in self._contexts:
            self._contexts[ask.algorithm] = context_for(ask.algorithm)
        context = self._contexts[ask.algorithm]
        if context is None:
            return LookOutcome.NO_CERTIFICATE, f"{ask.algorithm} keys cannot be asked for apart"
        try:
            exchange.begin(context, ask.endpoint.sni)
            return await exchange.run()
        except ssl.SSLError as error:
            return exchange.failure(), (error.reason or str(error)).lower().replace("_", " ")
        except (ConnectionError, OSError) as error:
            return LookOutcome.HANDSHAKE_FAILED, str(error) or "the connection was reset"
        except (UnicodeError, ValueError) as error:
            return LookOutcome.HANDSHAKE_FAILED, f"the name cannot be sent: {error}"

    def _sight(self, ask: Ask, outcome: LookOutcome, detail: str) -> Sight:
        return Sight(ask, self._clock(), outcome, (), detail[:300])


class _Exchange:
    """One handshake over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._first = -1
        self._taken = 0

    def begin(self, context: ssl.SSLContext, sni: str) -> None:
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=sni or None)

    async def run(self) -> tuple[LookOutcome, str]:
        assert self._tls is not None
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send()
            else:
                # The last flight is sent, so that the server logs a finished handshake and not an attack.
                await self._send()
                return LookOutcome.SEEN, ""
            data = await self._reader.read(READ_BYTES)
            if not data:
                told = "closed in the middle of the handshake" if self._taken else "closed without a word"
                return LookOutcome.HANDSHAKE_FAILED, told
            if self._first < 0:
                self._first = data[0]
                if self._first not in TLS_RECORDS:
                    return LookOutcome.NOT_TLS, "it does not speak TLS"
            self._taken += len(data)
            if self._taken > MOST_BYTES:
                return LookOutcome.HANDSHAKE_FAILED, f"sent more than {MOST_BYTES} bytes without a handshake"
            self._incoming.write(data)

    def failure(self) -> LookOutcome:
        """What an error of the TLS library means: a TLS peer that said no, or none at all."""
        return LookOutcome.HANDSHAKE_FAILED if self._first in TLS_RECORDS else LookOutcome.NOT_TLS

    def chain(self) -> tuple[bytes, ...]:
        """The served chain so far, DER, leaf first.

        Private in 3.11 (``get_unverified_chain`` is public from 3.13) and, unlike ``getpeercert``, readable in the
        middle of a handshake and after it failed.
        """
        if self._tls is None:
            return ()
        inner: Any = self._tls._sslobj  # type: ignore[attr-defined]  # private, as said
        return tuple(served.public_bytes(DER) for served in inner.get_unverified_chain() or ())

    async def _send(self) -> None:
        data = self._outgoing.read()
        if data:
            self._writer.write(data)
            await self._writer.drain()
