"""The configuration of every process, read once at its entry from a mapping of environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import BadInput

# The part of a database URL that names the file with its password; ours, taken out before a driver sees the URL.
PASSWORD_FILE = "password_file"  # noqa: S105 - the name of a field, not a password


@dataclass(frozen=True, slots=True)
class Settings:
    """One frozen value for all processes.  Paths are strings; an empty one means: not given to this process.

    database_url     EVERLEAF_DATABASE_URL      SQLAlchemy URL of PostgreSQL 15 or newer
    database_password_file  EVERLEAF_DATABASE_PASSWORD_FILE  file with its password, read at every connect; ``parse``
                     makes it a part of ``database_url``, as ``with_password_file`` does
    temporal_address EVERLEAF_TEMPORAL_ADDRESS  host:port of the Temporal front end
    namespace        EVERLEAF_TEMPORAL_NAMESPACE
    temporal_ca      EVERLEAF_TEMPORAL_CA       PEM file of the CAs that vouch for the front end; empty: the system's
    temporal_certificate  EVERLEAF_TEMPORAL_CERTIFICATE  PEM file of our certificate for the front end, with its chain
    temporal_key     EVERLEAF_TEMPORAL_KEY      PEM file of that certificate's key
    temporal_server_name  EVERLEAF_TEMPORAL_SERVER_NAME  name that its certificate must have; empty: that of the address
    temporal_api_key_file EVERLEAF_TEMPORAL_API_KEY_FILE  file with the API key of a Temporal Cloud; one of these five
                     given means TLS; all files are read at every connect, and a renewed one leads to a new connect
    payload_keys     EVERLEAF_PAYLOAD_KEYS      file of the keys that encrypt what Temporal keeps; empty: not encrypted
    deployment       EVERLEAF_DEPLOYMENT        of the worker deployment in Temporal; empty: workers are unversioned
    build_id         EVERLEAF_BUILD_ID          of this worker in its deployment; empty: the release
    home             EVERLEAF_HOME              data directory, mode 0700
    policy           EVERLEAF_POLICY            the policy file
    ca_kek           EVERLEAF_CA_KEK            file with the key that wraps CA keys; the issue worker alone
    leaf_kek         EVERLEAF_LEAF_KEK          file with the key that wraps leaf keys; the deploy worker alone
    smtp_url         EVERLEAF_SMTP_URL          smtp://host:port, where mails go; empty: mail is undeliverable, and said
    mail_from        EVERLEAF_MAIL_FROM
    api_url          EVERLEAF_API_URL           the base of links in mails
    api_port         EVERLEAF_API_PORT
    api_host         EVERLEAF_API_HOST          where the API listens; another than loopback needs a proxy with TLS
    health_file      EVERLEAF_HEALTH_FILE       written by a worker every 5 s: empty, or what it waits for; empty: none
    timezone         EVERLEAF_TIMEZONE          in which people read times, as the IANA names it
    temporal_ui      EVERLEAF_TEMPORAL_UI       base URL of the Temporal UI, for links to runs; empty: no links
    watch_dir        EVERLEAF_WATCH_DIR         where the watcher keeps its files; the API shows its status from there
    auditors_ui      EVERLEAF_AUDITORS_UI       base URL of the Temporal UI that auditors read; empty: none
    failpoint        EVERLEAF_FAILPOINT         test only: the named point at which a worker ends itself
    """

    database_url: str
    temporal_address: str
    home: str
    namespace: str = "default"
    temporal_ca: str = ""
    temporal_certificate: str = ""
    temporal_key: str = ""
    temporal_server_name: str = ""
    temporal_api_key_file: str = ""
    payload_keys: str = ""
    policy: str = ""
    ca_kek: str = ""
    leaf_kek: str = ""
    smtp_url: str = ""
    mail_from: str = "everleaf@localhost"
    api_url: str = "http://127.0.0.1:8460"
    api_port: int = 8460
    api_host: str = "127.0.0.1"
    health_file: str = ""
    database_password_file: str = ""
    timezone: str = "Asia/Kolkata"
    temporal_ui: str = ""
    auditors_ui: str = ""
    watch_dir: str = ""
    failpoint: str = ""
    deployment: str = ""
    build_id: str = ""


def with_password_file(url: str, file: str) -> str:
    """``url`` with the path of the file that its password is read from; as it is where ``file`` is empty."""
    if not file:
        return url
    return f"{url}{'&' if '?' in url else '?'}{PASSWORD_FILE}={quote(file)}"


def _known_timezone(name: str) -> str:
    """``name``, which zoneinfo knows.  Raises BadInput."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a directory of zones, as "Asia".
        remedy = "Write a name such as Asia/Kolkata or UTC."
        raise BadInput("EVERLEAF_TIMEZONE", f"{name!r} is no time zone that is known here", remedy) from None


def parse(environment: Mapping[str, str]) -> Settings:
    """Settings from ``environment``.  Raises BadInput naming the variable and the remedy."""

    def text(name: str, default: str | None = None) -> str:
        value = environment.get(name, default)
        if value is None:
            raise BadInput(name, "is not set", "Start with `everleaf up`, or set it; the README lists every variable.")
        return value

    port = text("EVERLEAF_API_PORT", "8460")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput("EVERLEAF_API_PORT", f"{port!r} is not a port", "Write a number from 1 to 65535.")
    home = text("EVERLEAF_HOME")
    certificate, key = text("EVERLEAF_TEMPORAL_CERTIFICATE", ""), text("EVERLEAF_TEMPORAL_KEY", "")
    if bool(certificate) != bool(key):
        missing = "EVERLEAF_TEMPORAL_KEY" if certificate else "EVERLEAF_TEMPORAL_CERTIFICATE"
        raise BadInput(missing, "is not set, and its other half is", "Name both files, or neither.")
    password_file = text("EVERLEAF_DATABASE_PASSWORD_FILE", "")
    return Settings(
        database_url=with_password_file(text("EVERLEAF_DATABASE_URL"), password_file),
        database_password_file=password_file,
        temporal_address=text("EVERLEAF_TEMPORAL_ADDRESS"),
        home=home,
        namespace=text("EVERLEAF_TEMPORAL_NAMESPACE", "default"),
        temporal_ca=text("EVERLEAF_TEMPORAL_CA", ""),
        temporal_certificate=certificate,
        temporal_key=key,
        temporal_server_name=text("EVERLEAF_TEMPORAL_SERVER_NAME", ""),
        temporal_api_key_file=text("EVERLEAF_TEMPORAL_API_KEY_FILE", ""),
        payload_keys=text("EVERLEAF_PAYLOAD_KEYS", ""),
        policy=text("EVERLEAF_POLICY", str(PurePath(home) / "policy.yaml")),
        ca_kek=text("EVERLEAF_CA_KEK", ""),
        leaf_kek=text("EVERLEAF_LEAF_KEK", ""),
        smtp_url=text("EVERLEAF_SMTP_URL", ""),
        mail_from=text("EVERLEAF_MAIL_FROM", "everleaf@localhost"),
        api_url=text("EVERLEAF_API_URL", f"http://127.0.0.1:{port}"),
        api_port=int(port),
        api_host=text("EVERLEAF_API_HOST", "127.0.0.1"),
        health_file=text("EVERLEAF_HEALTH_FILE", ""),
        timezone=_known_timezone(text("EVERLEAF_TIMEZONE", "Asia/Kolkata")),
        temporal_ui=text("EVERLEAF_TEMPORAL_UI", "").rstrip("/"),
        auditors_ui=text("EVERLEAF_AUDITORS_UI", "").rstrip("/"),
        watch_dir=text("EVERLEAF_WATCH_DIR", str(PurePath(home) / "watch")),
        failpoint=text("EVERLEAF_FAILPOINT", ""),
        deployment=text("EVERLEAF_DEPLOYMENT", ""),
        build_id=text("EVERLEAF_BUILD_ID", ""),
    )


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What the watcher needs beside ``Settings``; its ways to people are its own.

    smtp_url  EVERLEAF_WATCH_SMTP_URL  smtp://host:port of its alarms; default: EVERLEAF_SMTP_URL
    mail_to   EVERLEAF_WATCH_MAIL_TO   addresses, with commas; default: the security heads of the policy
    webhook   EVERLEAF_WATCH_WEBHOOK   an address of HTTP that takes each alarm as JSON; empty: none
    ping      EVERLEAF_WATCH_PING      an address of HTTP that is asked after each round, so that a monitor elsewhere
              misses the watcher itself; empty: none
    api       EVERLEAF_WATCH_API       where the watcher asks the API; default: EVERLEAF_API_URL
    own       EVERLEAF_WATCH_OWN       host:port of Everleaf's own TLS, with commas, beside an https EVERLEAF_API_URL
    every     EVERLEAF_WATCH_EVERY_SECONDS     from round to round; default 60
    patience  EVERLEAF_WATCH_PATIENCE_SECONDS  how long a part is away before it is told; default 600
    """

    smtp_url: str = ""
    mail_to: tuple[str, ...] = ()
    webhook: str = ""
    ping: str = ""
    api: str = ""
    own: tuple[str, ...] = ()
    every: timedelta = timedelta(seconds=60)
    patience: timedelta = timedelta(seconds=600)


def parse_watch(environment: Mapping[str, str], settings: Settings) -> WatchSettings:
    """Raises BadInput naming the variable and the remedy."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(filter(None, (one.strip() for one in environment.get(name, "").split(","))))

    def seconds(name: str, default: int) -> timedelta:
        given = environment.get(name, str(default))
        if not given.isdecimal() or not 0 < int(given) <= 86_400:
            raise BadInput(name, f"{given!r} is no number of seconds", "Write a whole number from 1 to 86400.")
        return timedelta(seconds=int(given))

    own = listed("EVERLEAF_WATCH_OWN")
    for one in own:
        host, _, port = one.rpartition(":")
        if not host or not port.isdecimal():
            raise BadInput("EVERLEAF_WATCH_OWN", f"{one!r} is not an address", "Write host:port, with commas.")
    return WatchSettings(
        smtp_url=environment.get("EVERLEAF_WATCH_SMTP_URL", "") or settings.smtp_url,
        mail_to=listed("EVERLEAF_WATCH_MAIL_TO"),
        webhook=environment.get("EVERLEAF_WATCH_WEBHOOK", ""),
        ping=environment.get("EVERLEAF_WATCH_PING", ""),
        api=environment.get("EVERLEAF_WATCH_API", "") or settings.api_url,
        own=own,
        every=seconds("EVERLEAF_WATCH_EVERY_SECONDS", 60),
        patience=seconds("EVERLEAF_WATCH_PATIENCE_SECONDS", 600),
    )
