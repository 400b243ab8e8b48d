"""`everleaf doctor --production`: what a demonstration may do and a production may not, each with its remedy.

Run it where a process of ours runs, with that process's environment: what this one may reach, hold and read is judged.
To add a rule: write a function from ``Patient`` to ``Finding`` and put it into RULES.
"""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from cli import database, doctor, engine
from cli.database import Standing
from cli.doctor import Finding, Patient
from domain.certificate import TrustClass
from domain.tiers import Policy
from formats.policy import parse_policy
from store.engine import psycopg_url

LOOPBACK = ("127.0.0.1", "::1", "localhost", "")
# RFC 2606 and 6761: nobody ever reads mail there.
NOBODYS = (".example", ".invalid", ".test", ".localhost", "example.com", "example.net", "example.org")
KEKS = ("EVERLEAF_CA_KEK", "EVERLEAF_LEAF_KEK")
# Secrets that more than one process holds.
SHARED = (
    "EVERLEAF_DATABASE_PASSWORD_FILE",
    "EVERLEAF_TEMPORAL_KEY",
    "EVERLEAF_TEMPORAL_API_KEY_FILE",
    "EVERLEAF_PAYLOAD_KEYS",
)
# What the mailbox of the demo calls itself in its greeting.
DEMO_MAILBOX = "mailbox.invalid"
GREETING_SECONDS = 5
# What Docker and Podman leave in every container.
CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


def temporal_store(patient: Patient) -> Finding:
    """The development server keeps everything in one SQLite file, or in memory."""
    if not patient.temporal_address:
        return doctor.NOT_RUNNING
    stores = engine.stores(patient.engine)
    remedy = "Run temporalio/server over PostgreSQL, as docker-compose.yml does; set EVERLEAF_TEMPORAL_ADDRESS."
    bad = "sqlite" in stores
    return Finding("bad" if bad else "good", f"keeps its data in {', '.join(sorted(stores))}", remedy)


def temporal_door(patient: Patient) -> Finding:
    """Whoever reaches the front end owns every workflow, unless it asks who they are."""
    host = (patient.temporal_address or "").rpartition(":")[0].strip("[]")
    if not host:
        return doctor.NOT_RUNNING
    asked = patient.engine
    if asked.temporal_certificate or asked.temporal_api_key_file:
        return Finding("good", f"{host} is shown who we are, over TLS")
    remedy = "Let it listen on a network of our processes alone, or set EVERLEAF_TEMPORAL_CERTIFICATE."
    try:
        public = ip_address(host).is_global
    except ValueError:
        # A name: what it leads to is the network's own business.
        public = False
    return Finding("bad" if public else "good", f"{host} is a public address" if public else f"at {host}", remedy)


def failpoints(patient: Patient) -> Finding:
    point = patient.setting("EVERLEAF_FAILPOINT")
    remedy = "Unset EVERLEAF_FAILPOINT: it is for tests, and ends the worker."
    return Finding("bad" if point else "good", f"a worker ends itself at {point}" if point else "none", remedy)


def database_door(patient: Patient) -> Finding:
    """How we are let in: by a proof, and over a network only under TLS that names the server."""
    standing = _standing(patient)
    if standing is None:
        return doctor.NOT_RUNNING
    if standing.authentication == "trust":
        remedy = "Let pg_hba.conf ask for scram-sha-256, or for peer on a socket."
        return Finding("bad", "lets anybody in who says a name (trust)", remedy)
    url = psycopg_url(patient.database_url)
    host = str(url.host or url.query.get("host", ""))
    remote = not host.startswith("/") and host not in LOOPBACK
    mode = str(url.query.get("sslmode", os.environ.get("PGSSLMODE", "")))
    if remote and not (standing.encrypted and mode == "verify-full"):
        remedy = "Add sslmode=verify-full and sslrootcert=FILE to EVERLEAF_DATABASE_URL."
        said = "does not check who answers" if standing.encrypted else "is not encrypted"
        return Finding("bad", f"the connection to {host} {said}", remedy)
    return Finding("good", f"asks for {standing.authentication or 'a proof'}, {'over TLS' if remote else 'locally'}")


def durability(patient: Patient) -> Finding:
    standing = _standing(patient)
    if standing is None:
        return doctor.NOT_RUNNING
    off = [name for name, value in standing.durability if value == "off"]
    remedy = "Set them to on in postgresql.conf: what was acknowledged must outlive a power cut."
    return Finding("bad" if off else "good", f"{', '.join(off)} off" if off else "survives a power cut", remedy)


def database_role(patient: Patient) -> Finding:
    standing = _standing(patient)
    if standing is None:
        return doctor.NOT_RUNNING
    remedy = "Connect as the role of this process: everleaf_api, _lifecycle, _scan, _issue or _deploy (store/roles.py)."
    if standing.superuser:
        return Finding("bad", f"{standing.role} is a superuser", remedy)
    if standing.owned:
        return Finding("bad", f"{standing.role} owns our tables, and may rewrite what they record", remedy)
    return Finding("good", f"{standing.role} owns nothing")


def secrets_in_environment(patient: Patient) -> Finding:
    """Never shows a value: whoever reads this must learn no more than where to look."""
    kept = [name for name in KEKS if (value := patient.setting(name)) and not Path(value).is_file()]
    if patient.database_url and psycopg_url(patient.database_url).password:
        kept.append("EVERLEAF_DATABASE_URL (its password)")
    if not kept:
        return Finding("good", "names files alone")
    remedy = "Put the secret into a file of mode 0400 and name that; for the password EVERLEAF_DATABASE_PASSWORD_FILE."
    return Finding("bad", f"{', '.join(kept)}: a secret, or a file that is not there", remedy)


def key_files(patient: Patient) -> Finding:
    open_ = [str(file) for file in _kek_files(patient) if file.stat().st_mode & 0o077]
    # A group may read these: it is how a container is given them.
    shared = [Path(patient.setting(name) or "/none") for name in SHARED]
    open_ += [str(file) for file in shared if file.is_file() and file.stat().st_mode & 0o007]
    remedy = f"chmod 400 {' '.join(open_)}"
    return Finding("bad" if open_ else "good", f"others read {', '.join(open_)}" if open_ else "nobody else's", remedy)


def keys_apart(patient: Patient) -> Finding:
    """Whoever takes over one process must not get both the CA's keys and the leaves'."""
    files = list(_kek_files(patient))
    # One that cannot be opened is in nobody's hands here.
    held = [file.name for file in files if os.access(file, os.R_OK)]
    remedy = "Run issue and deploy under users of their own, each with its one key file; see docs/production.md."
    if len(held) > 1:
        return Finding("bad", f"one user holds {' and '.join(held)}", remedy)
    together = [part["name"] for part in patient.run.get("parts", ())] if patient.is_running else []
    if "worker-lifecycle" in together:
        return Finding("bad", "`everleaf up` runs lifecycle and deploy in one process", remedy)
    return Finding("good", f"holds {held[0]}" if held else "holds none")


def policy(patient: Patient) -> Finding:
    """Of this installation, and not of the sample estate."""
    file = Path(patient.setting("EVERLEAF_POLICY") or patient.home.policy)
    if not file.is_file():
        return Finding("skipped", f"{file} is not there")
    wrong = list(_samples(parse_policy(file.read_bytes(), str(file))))
    remedy = "Write your own after docs/policy.md."
    return Finding("bad" if wrong else "good", "; ".join(wrong) or str(file), remedy)


def mail(patient: Patient) -> Finding:
    url = patient.setting("EVERLEAF_SMTP_URL")
    if not url:
        return Finding("skipped", "no mail goes out here; ask where the lifecycle worker runs")
    at = urlsplit(url)
    remedy = "Name your relay in EVERLEAF_SMTP_URL."
    try:
        with socket.create_connection((at.hostname or "", at.port or 25), timeout=GREETING_SECONDS) as connection:
            connection.settimeout(GREETING_SECONDS)
            greeting = connection.recv(512).decode(errors="replace")
    except OSError as problem:
        return Finding("bad", f"{at.hostname}:{at.port or 25} does not answer: {problem}", remedy)
    if DEMO_MAILBOX in greeting:
        return Finding("bad", "mails end in the mailbox of the demo", remedy)
    return Finding("good", f"{at.hostname}:{at.port or 25} answers")


def pages(patient: Patient) -> Finding:
    """Browsers keep our session only over TLS; a bearer token in the clear is anybody's."""
    host = patient.setting("EVERLEAF_API_HOST")
    # Inside a container the publishing port decides, and the compose file publishes on loopback.
    if host not in LOOPBACK and not any(mark.exists() for mark in CONTAINER):
        remedy = "Unset EVERLEAF_API_HOST, and let a proxy with TLS stand in front of 127.0.0.1."
        return Finding("bad", f"the API listens on {host} without TLS", remedy)
    url = patient.setting("EVERLEAF_API_URL")
    if urlsplit(url).scheme != "https":
        remedy = "Set EVERLEAF_API_URL to the https address of the proxy in front of the API."
        return Finding("bad", f"people are led to {url or 'an address that is not known here'}, without TLS", remedy)
    return Finding("good", f"behind {url}")


RULES: doctor.Checks = (
    ("disk", doctor.disk),
    ("database", doctor.database_answers),
    ("clock", doctor.clock),
    ("database door", database_door),
    ("database role", database_role),
    ("durability", durability),
    ("Temporal", doctor.temporal),
    ("Temporal's store", temporal_store),
    ("Temporal's door", temporal_door),
    ("failpoints", failpoints),
    ("secrets", secrets_in_environment),
    ("key files", key_files),
    ("keys apart", keys_apart),
    ("policy", policy),
    ("mail", mail),
    ("pages", pages),
)


def _standing(patient: Patient) -> Standing | None:
    return database.standing(patient.database_url) if patient.database_url else None


def _kek_files(patient: Patient) -> Iterator[Path]:
    """Those that the environment names, and those that `up` has made in the data directory."""
    named = [Path(value) for name in KEKS if (value := patient.setting(name))]
    for file in dict.fromkeys([*named, patient.home.ca_kek, patient.home.leaf_kek]):
        if file.is_file():
            yield file


def _samples(read: Policy) -> Iterator[str]:
    stand_ins = [one.name for one in read.issuers if one.kind == "private-ca" and one.trust_class is TrustClass.PUBLIC]
    if stand_ins:
        yield f"{', '.join(stand_ins)} is a stand-in for a public CA, and nobody trusts it"
    if read.scope.cidrs and all(_is_loopback(cidr) for cidr in read.scope.cidrs):
        yield "discovery looks at this machine alone"
    nobodys = [one.id for one in read.people if one.email.lower().endswith(NOBODYS)]
    if nobodys:
        yield f"the addresses of {', '.join(nobodys)} are nobody's"


def _is_loopback(cidr: str) -> bool:
    return ip_address(ip_network(cidr, strict=False).network_address).is_loopback
