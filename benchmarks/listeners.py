"""Thousands of TLS servers on loopback, one for each PEM file of a folder, each at an address of its own.

    python -m benchmarks.listeners FOLDER PORT_FILE

The first file is served at 127.77.0.1, the next at 127.77.0.2 and so on, all at the one port that is written to
PORT_FILE once every one of them listens.  Serves until it is ended.
"""

import asyncio
import contextlib
import resource
import ssl
import sys
from ipaddress import IPv4Address
from pathlib import Path

FIRST = IPv4Address("127.77.0.1")


async def serve(folder: Path, port_file: Path) -> None:
    # One socket for each server, and those of whoever is connected.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # A peer that breaks off its handshake is ordinary here (a scanner does) and no news.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    port = 0
    servers: list[asyncio.Server] = []
    for number, file in enumerate(sorted(folder.glob("*.pem"))):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = await asyncio.start_server(_answer, str(FIRST + number), port, ssl=context)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
    port_file.write_text(f"{port}\n")
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await reader.read(1)
    writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
