"""`everleaf up`: one process that brings every part up, watches them, and takes all of them down with it."""

import os
import shutil
import subprocess
import sys
import time
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import database, embedded, engine, first, parts, restoring, temporal_server
from cli.display import Progress, show_box
from cli.home import PROJECT, Home
from cli.parts import Surroundings
from cli.ports import Ports, choose
from cli.postgres import EmbeddedPostgres
from cli.process import claim, open_log
from cli.supervisor import Supervisor, hung_seconds
from domain.errors import BadInput, BadPolicy, EverleafError, NotReady
from domain.settings import Settings, parse, with_password_file
from formats.policy import parse_policy

ROUND_SECONDS = 0.25
# How often the numbers of the API are shown while the first discovery fills the store.
NEWS_EVERY_SECONDS = 3.0
MIGRATION_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Options:
    home: Home
    demo: bool = True
    open_browser: bool = False
    detached: bool = False


def up(options: Options, console: Console) -> None:
    """Run until Ctrl-C or SIGTERM.  Raises EverleafError if a part cannot come up; nothing is left running."""
    os.umask(0o077)
    options.home.prepare()
    with options.home.held():
        progress = Progress(console)
        supervisor = Supervisor(options.home, progress.tell, hung_seconds=hung_seconds())
        supervisor.listen()
        try:
            with progress:
                surroundings = bring_up(options, supervisor)
            links = first.login_links(surroundings.database_url, surroundings.api_url)
            show_box(console, {"data_dir": str(options.home.path), **supervisor.facts}, links)
            if options.open_browser:
                webbrowser.open(next(iter(links.values()), surroundings.api_url))
            keep_up(supervisor, surroundings, console)
        except KeyboardInterrupt:
            console.print("Stopping ...")
        except (EverleafError, OSError) as problem:
            supervisor.facts["problem"] = str(problem)
            raise
        finally:
            supervisor.stop()
    console.print("Stopped. `everleaf up` continues where this ended.")


def bring_up(options: Options, supervisor: Supervisor) -> Surroundings:
    """Everything in order, each part working before the next is started."""
    embedded.check(options.demo)
    home, ports = options.home, choose(options.home)
    supervisor.facts |= _facts(options, ports)
    supervisor.write()
    restoring.check_keys(home)
    home.make_keys()
    policy, refused = _prepare_policy(options, supervisor)
    database_url = _start_database(home, supervisor)
    supervisor.facts["database_url"] = database_url
    _migrate(database_url, supervisor)
    if refused is not None:
        _go_on_without(refused, database_url, supervisor)
    address = _start_temporal(home, ports, supervisor)
    engine.set_up(_engine_settings(home, database_url, address))
    if options.demo:
        supervisor.start(parts.mailbox(home), parts.estate(home))
    smtp_url = (
        f"smtp://127.0.0.1:{parts.mailbox_port(home)}" if options.demo else os.environ.get("EVERLEAF_SMTP_URL", "")
    )
    surroundings = Surroundings(
        home, database_url, address, namespace(), ports.api, smtp_url, policy, _temporal_ui(ports)
    )
    supervisor.facts["environment"] = surroundings.settings()
    supervisor.start(*parts.workers(surroundings), parts.api(surroundings), parts.watcher(surroundings))
    first.make_token(home, database_url)
    if first.discover(home, surroundings.api_url):
        supervisor.tell("first discovery", "started", "")
    supervisor.say("ready")
    return surroundings


def keep_up(supervisor: Supervisor, surroundings: Surroundings, console: Console) -> None:
    """Watch the parts for ever; until the first discovery has settled, say how far it is."""
    news_at, said, settled = 0.0, "", False
    while True:
        supervisor.watch()
        if not settled and time.monotonic() > news_at:
            news_at = time.monotonic() + NEWS_EVERY_SECONDS
            news, settled = _news(surroundings)
            if news and news != said:
                console.print(news, highlight=False)
                said = news
        time.sleep(ROUND_SECONDS)


def detach(options: Options, console: Console) -> None:
    """Start ourselves again without a terminal and wait until that one is ready.  Raises NotReady if it ends."""
    home = options.home
    home.prepare()
    # Whoever runs here already is named by the error; the file of who takes the lock after us is not ours to remove.
    with home.held():
        home.run_file.unlink(missing_ok=True)
    arguments = ["--detached", "--data-dir", str(home.path), "--demo" if options.demo else "--no-demo"]
    arguments += ["--open"] * options.open_browser
    with open_log(home.up_log) as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up", *arguments],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not (_is_of(run := home.read_run(), process.pid) and run.get("state") in ("ready", "degraded")):
        if process.poll() is not None:
            if home.is_held():
                raise home.taken()
            raise NotReady(run.get("problem") or f"everleaf ended while starting; see {home.up_log}")
        time.sleep(0.1)
    console.print(f"Everleaf is ready, pid {process.pid}. {run['urls']['dashboard']}", highlight=False, soft_wrap=True)
    console.print(f"Links to log in: {home.up_log}. Stop it with `everleaf down`.", highlight=False, soft_wrap=True)


def _is_of(run: Mapping[str, Any], pid: int) -> bool:
    return run.get("pid") == pid


def _api_url(ports: Ports) -> str:
    """The name by which browsers call our API."""
    return os.environ.get("EVERLEAF_API_URL") or f"http://127.0.0.1:{ports.api}"


def _temporal_ui(ports: Ports) -> str:
    """Where people see runs: what is set, else the development server's own; beside a server of theirs, not known."""
    own = "" if os.environ.get("EVERLEAF_TEMPORAL_ADDRESS") else f"http://127.0.0.1:{ports.temporal_ui}"
    return os.environ.get("EVERLEAF_TEMPORAL_UI") or own


def namespace() -> str:
    return os.environ.get("EVERLEAF_TEMPORAL_NAMESPACE", "default")


def _facts(options: Options, ports: Ports) -> dict[str, object]:
    base = f"http://127.0.0.1:{ports.api}"
    external = os.environ.get("EVERLEAF_TEMPORAL_ADDRESS")
    return {
        "started_at": datetime.now(UTC).isoformat(),
        "demo": options.demo,
        "detached": options.detached,
        "urls": {
            "dashboard": base + "/",
            "api": base,
            "docs": base + "/docs",
            "temporal_ui": _temporal_ui(ports),
        },
        "temporal": {"address": external or f"127.0.0.1:{ports.temporal}", "namespace": namespace()},
        "mail_dir": str(options.home.path / "demo" / "mail") if options.demo else "",
    }


def _prepare_policy(options: Options, supervisor: Supervisor) -> tuple[str, BadPolicy | None]:
    """The path of the policy; the demo brings its own, else a commented one is written where there is none.

    With why it is refused, where the store may have one that was good; else a bad one is raised.
    """
    given = os.environ.get("EVERLEAF_POLICY")
    if options.demo:
        from demo.estate import prepare

        supervisor.tell("demo estate", "preparing", "")
        prepare(options.home.path, claim=claim)
    elif not given and not options.home.policy.exists():
        shutil.copyfile(PROJECT / "cli" / "policy-template.yaml", options.home.policy)
        options.home.policy.chmod(0o600)
    policy = Path(given) if given else options.home.policy
    if not policy.is_file():
        raise BadInput(
            "EVERLEAF_POLICY", f"{policy} is not a file", "Name a policy file; demo/policy.yaml is an example."
        )
    # Refused here, in front of whoever starts it: later the same mistake would only stand in the workers' logs.
    try:
        parse_policy(policy.read_bytes(), str(policy))
    except BadPolicy as error:
        if not (os.environ.get("EVERLEAF_DATABASE_URL") or EmbeddedPostgres(options.home.path).cluster.exists()):
            raise
        return str(policy), error
    return str(policy), None


def _go_on_without(refused: BadPolicy, database_url: str, supervisor: Supervisor) -> None:
    """By the last good policy, as the workers will: a machine that starts again after an edit must renew.

    Raises ``refused`` where none was ever in force.
    """
    from store.access import last_policy
    from store.engine import create_engine

    engine = create_engine(database_url)
    try:
        kept = last_policy(engine)
    finally:
        engine.dispose()
    if kept is None:
        raise refused
    supervisor.tell("policy", "refused", f"the last good one ({kept.version[:19]}) holds: {refused}")


def _start_database(home: Home, supervisor: Supervisor) -> str:
    given = os.environ.get("EVERLEAF_DATABASE_URL")
    if given:
        url = with_password_file(given, os.environ.get("EVERLEAF_DATABASE_PASSWORD_FILE", ""))
        database.clock(url)
        supervisor.adopt("postgres", lambda: database.answers(url), "the database of EVERLEAF_DATABASE_URL is silent")
        return url
    server = EmbeddedPostgres(home.path)
    server.prepare()
    supervisor.start(server.child)
    server.wait()
    return server.url


def _migrate(database_url: str, supervisor: Supervisor) -> None:
    """In a process of its own, which leaves no Alembic behind in this one."""
    supervisor.tell("schema", "migrating", "")
    command = [sys.executable, "-m", "cli.main", "migrate"]
    environment = os.environ | {"EVERLEAF_DATABASE_URL": database_url}
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=MIGRATION_SECONDS
        )
    except subprocess.TimeoutExpired as problem:
        raise NotReady(
            f"the database schema was not up to date after {MIGRATION_SECONDS} s: another session holds its tables. "
            "See pg_stat_activity, then start again."
        ) from problem
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise NotReady(f"the database schema could not be brought up to date: {lines[-1]}")
    supervisor.tell("schema", "ready", "")


def _start_temporal(home: Home, ports: Ports, supervisor: Supervisor) -> str:
    external = os.environ.get("EVERLEAF_TEMPORAL_ADDRESS")
    if external:
        host, _, port = external.rpartition(":")
        if not host or not port.isdecimal():
            raise BadInput("EVERLEAF_TEMPORAL_ADDRESS", f"{external!r} is not an address", "Write host:port.")
        silent = f"Temporal does not answer at {external}. Start it, or correct EVERLEAF_TEMPORAL_ADDRESS"
        supervisor.adopt("temporal", lambda: temporal_server.answers(external), silent)
        address = external
    else:
        supervisor.start(temporal_server.dev_server(home, ports.temporal, ports.temporal_ui, _api_url(ports)))
        address = f"127.0.0.1:{ports.temporal}"
    return address


def _engine_settings(home: Home, database_url: str, address: str) -> Settings:
    needed = {
        "EVERLEAF_HOME": str(home.path),
        "EVERLEAF_DATABASE_URL": database_url,
        "EVERLEAF_TEMPORAL_ADDRESS": address,
    }
    return parse({**os.environ, **needed})


def _news(surroundings: Surroundings) -> tuple[str, bool]:
    """One line about the first discovery, and whether there is nothing more to wait for."""
    try:
        seen = first.overview(surroundings.home, surroundings.api_url)
    except EverleafError:
        return "", False
    numbers = [f"{name.replace('_', ' ')} {value}" for name, value in seen.items() if isinstance(value, int)]
    settled = seen.get("settled") is True
    counted = ", ".join(text for text in numbers if not text.startswith("settled"))
    return ("Settled: every due step has had its first outcome. " if settled else "Discovering: ") + counted, settled
