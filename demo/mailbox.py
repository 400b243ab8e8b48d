"""The mailbox of the demo: a real SMTP server that keeps every mail as a file.

    python -m demo.mailbox DIR

Writes the port that it listens on into DIR/demo/smtp.port and each mail into DIR/demo/mail/<number>.eml.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Folder:
    """Keeps mails as numbered files, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        kept = [int(path.stem) for path in folder.glob("*.eml") if path.stem.isdecimal()]
        self._numbers: Iterator[int] = count(max(kept, default=0) + 1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd
        name = f"{next(self._numbers):06d}"
        content = envelope.content or b""
        draft = self._folder / f"{name}.new"
        draft.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.replace(draft, self._folder / f"{name}.eml")
        return "250 kept"


async def receive(data_dir: Path) -> None:
    """Take mails on a free port until the process is ended."""
    home = data_dir / "demo"
    folder = Folder(home / "mail")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(folder, hostname="mailbox.invalid"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    draft = home / "smtp.port.new"
    draft.write_text(f"{port}\n")
    os.replace(draft, home / "smtp.port")
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.mailbox", description="Keeps the mails of the demo.")
    parser.add_argument("data_dir", type=Path)
    asyncio.run(receive(parser.parse_args().data_dir))


if __name__ == "__main__":
    main()
