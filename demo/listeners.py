"""Real TLS listeners over a folder of endpoints, which reload when their files change, as real servers do."""

import asyncio
import contextlib
import os
import ssl
from pathlib import Path

# The estate has gear with weak keys, which a careful default would refuse to serve.
EVERY_CIPHER = "ALL:@SECLEVEL=0"
POLL_SECONDS = 0.5
# A peer that only opens a connection is let go, so that the listeners never run out of sockets.
IDLE_SECONDS = 15.0

Signature = tuple[tuple[str, int, int], ...]


class Listener:
    """One address and port, with one certificate per name and key algorithm."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        host, _, port = folder.name.rpartition("_")
        self._place = (host, int(port))
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._seen: Signature = ()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.reload()
        base = _context()
        if "" in self._contexts:
            _load(base, self._folder)
        # Called at every handshake, with or without a name.
        base.sni_callback = self._choose
        if not self._contexts:
            raise FileNotFoundError(f"no certificate in {self._folder}")
        host, port = self._place
        self._server = await asyncio.start_server(_answer, host, port, ssl=base, backlog=64)

    def reload(self) -> None:
        """Serve what the files hold now.  One whose folder holds ``lies`` loads once and then only says so."""
        if self._contexts and (self._folder / "lies").exists():
            return
        signature = _signature(self._folder)
        if signature == self._seen:
            return
        fresh: dict[str, ssl.SSLContext] = {}
        try:
            for folder in (self._folder, *(Path(e.path) for e in os.scandir(self._folder) if e.is_dir())):
                context = _context()
                if _load(context, folder):
                    fresh["" if folder == self._folder else folder.name] = context
        except (ssl.SSLError, OSError):
            # Chain and key are written one after the other; between the two they do not fit.  Next time they do.
            return
        self._contexts, self._seen = fresh, signature

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def _choose(self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        # Looked up at the handshake, so that a reload is done when its command returns, as with a real server.
        self.reload()
        context = self._contexts.get(name or "") or self._contexts.get("")
        if context is not None:
            tls.context = context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(EVERY_CIPHER)
    return context


def _load(context: ssl.SSLContext, folder: Path) -> bool:
    """Every certificate in ``folder`` into ``context``; False where it holds none."""
    chains = sorted(folder.glob("*.chain.pem"))
    for chain in chains:
        context.load_cert_chain(chain, chain.with_name(chain.name.replace(".chain.", ".key.")))
    return bool(chains)


def _signature(folder: Path) -> Signature:
    found: list[tuple[str, int, int]] = []
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(os.path.join(path, name))
                found.append((os.path.join(path, name), status.st_mtime_ns, status.st_size))
    return tuple(found)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            await reader.read(1)
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()


async def serve_folder(folder: Path, ready: Path) -> None:
    """Serve every endpoint folder below ``folder``, also those that come and go, for ever."""
    listeners: dict[str, Listener] = {}
    told: set[str] = set()
    # A peer that breaks off its handshake is ordinary here (a scanner does) and no news.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    while True:
        wanted = await _follow(folder, listeners, told)
        if len(listeners) == wanted and not ready.exists():
            ready.write_text(f"{len(listeners)}\n")
        await asyncio.sleep(POLL_SECONDS)


async def _follow(folder: Path, listeners: dict[str, Listener], told: set[str]) -> int:
    """Gives how many there should be; ``told``: whose trouble was said already."""
    names = {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    for gone in set(listeners) - names:
        await listeners.pop(gone).stop()
    for name in sorted(names - set(listeners)):
        listener = Listener(folder / name)
        try:
            await listener.start()
        except (OSError, ssl.SSLError) as error:
            # Somebody else has the socket, or the folder is not whole yet: said, and tried again.
            if name not in told:
                print(f"{name}: {error}", flush=True)
                told.add(name)
            continue
        listeners[name] = listener
    return len(names)
