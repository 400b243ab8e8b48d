"""A durable PostgreSQL that trusts nobody, made as the image of the compose file makes its own."""

from pathlib import Path

from tests.postgres_server import PostgresServer, postgres_binaries


class GuardedCluster(PostgresServer):
    def url(self, role: str, database: str, password: Path) -> str:
        return f"postgresql://{role}@/{database}?host={self.socket}&password_file={password}"


def guarded(home: Path, arguments: list[str], options: list[str], password: Path) -> GuardedCluster:
    """``arguments``: of initdb, from the compose file; ``options``: its ``-c name=value``; ``password``: a file."""
    binaries = postgres_binaries()
    assert binaries is not None
    return GuardedCluster(home, binaries, "postgres", [f"--pwfile={password}", *arguments], options)
