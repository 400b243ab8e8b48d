"""Which ports this installation listens on: those of last time, else the usual ones, else any free one."""

import json
import os
import time
from dataclasses import asdict, dataclass

from cli.home import Home, read_json, write_private
from cli.process import demanded_port, free_port, is_free
from cli.temporal_server import USUAL_PORT, USUAL_UI_PORT

USUAL_API_PORT = 8460
# After `kill -9` of the launcher its parts are gone within moments; links keep working if we wait for their ports.
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ports:
    temporal: int
    temporal_ui: int
    api: int


def choose(home: Home) -> Ports:
    """Stored for the next start.  Raises BadInput if EVERLEAF_API_PORT names a port in use."""
    stored = read_json(home.ports_file)
    last = {name: _patiently(stored.get(name, 0)) for name in ("temporal", "temporal_ui", "api")}
    demanded = os.environ.get("EVERLEAF_API_PORT")
    ports = Ports(
        temporal=free_port(last["temporal"], USUAL_PORT),
        temporal_ui=free_port(last["temporal_ui"], USUAL_UI_PORT),
        api=demanded_port("EVERLEAF_API_PORT", demanded) if demanded else free_port(last["api"], USUAL_API_PORT),
    )
    write_private(home.ports_file, json.dumps(asdict(ports)).encode())
    return ports


def _patiently(port: object) -> int:
    """The port as soon as it is free; 0 if it stays taken."""
    if not isinstance(port, int) or not 0 < port < 65536:
        return 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            return 0
        time.sleep(0.05)
    return port
