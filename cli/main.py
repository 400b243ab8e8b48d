"""The command line: what each command is called and takes.  The work is in the modules beside this one."""

import errno
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import access, checkup, doctor, production, running, showing, status, suite, verbs
from cli.api_client import WrongUsage
from cli.display import Screen
from cli.home import chosen, settle_paths
from cli.options import DataDir, Output, OutputOption
from domain.errors import EverleafError
from domain.tiers import Role

app = typer.Typer(
    name="everleaf",
    help="Keeps every certificate alive. Begin with `everleaf up`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=False,
)
token_app = typer.Typer(name="token", help="Tokens for machines.", no_args_is_help=True)
app.add_typer(token_app)
console = Screen()


class Goal(StrEnum):
    READY = "ready"
    SETTLED = "settled"


@app.command(epilog="Examples: `everleaf up` · `everleaf up --no-demo --data-dir /srv/everleaf --detach`")
def up(
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Bring the sample estate along.")] = True,
    open_: Annotated[bool, typer.Option("--open", help="Open the dashboard in a browser.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Go to the background as soon as it is ready.")] = False,
    detached: Annotated[bool, typer.Option("--detached", hidden=True, help="What --detach starts.")] = False,
) -> None:
    """Start everything and keep it running until Ctrl-C. A second start continues where the first ended."""
    from cli import up as starting

    options = starting.Options(chosen(data_dir), demo, open_, detached)
    if detach:
        starting.detach(options, console)
    else:
        starting.up(options, console)


@app.command(name="status", epilog="Example: `everleaf status --output json --wait settled --timeout 300`")
def status_(
    data_dir: DataDir = None,
    output: OutputOption = Output.TABLE,
    wait: Annotated[Goal | None, typer.Option("--wait", help="Return when it is so, fail when the time is up.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0)] = 300,
) -> None:
    """Say how every part is, and where it listens."""
    home = chosen(data_dir)
    found = status.wait(home, wait.value, timeout) if wait else status.read(home)
    if output is Output.JSON:
        _print_json(found.described())
    else:
        status.show(found, console)


@app.command(epilog="Example: `everleaf down --data-dir /srv/everleaf`")
def down(data_dir: DataDir = None) -> None:
    """Stop everything; nothing is lost."""
    home = chosen(data_dir)
    stopped = status.down(home)
    console.print("Stopped." if stopped else f"Nothing runs in {home.path}.", highlight=False, soft_wrap=True)


@app.command(epilog="Example: `everleaf reset --yes`")
def reset(
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop everything and remove the data directory, keys and histories with it."""
    home = chosen(data_dir)
    if not yes:
        typer.confirm(f"Remove {home.path} with everything in it?", abort=True)
    removed = status.reset(home)
    console.print(f"Removed {home.path}." if removed else f"There is no {home.path}.", highlight=False, soft_wrap=True)


@app.command(name="doctor", epilog="Example: `everleaf doctor --output json`")
def doctor_(
    data_dir: DataDir = None,
    for_production: Annotated[
        bool, typer.Option("--production", help="Refuse what only a demonstration may do.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check what a start needs and what a running installation depends on, each with its remedy."""
    findings = doctor.examine(chosen(data_dir), production.RULES if for_production else doctor.CHECKS + checkup.CHECKS)
    showing.findings(findings, output, console)
    if any(finding.outcome == "bad" for _, finding in findings):
        raise typer.Exit(1)


@token_app.command("create", epilog="Example: `everleaf token create --role security-head --name laptop --person head`")
def create_token(
    role: Annotated[Role, typer.Option("--role", help="What the bearer may do.")],
    name: Annotated[str, typer.Option("--name", help="Whose token it is; shown wherever it acts.")],
    may_decide: Annotated[bool, typer.Option("--may-decide", help="A machine that may approve renewals.")] = False,
    person: Annotated[
        str,
        typer.Option("--person", metavar="ID", help="Of the policy: as whom it acts. A security-head must name one."),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Print one new bearer token. It is shown once: the store keeps its hash."""
    if not name.strip() or not name.isprintable():
        raise typer.BadParameter("write whose token it is, in printable characters", param_hint="--name")
    print(running.create_token(chosen(data_dir), running.TokenAsked(name, role, may_decide, person)))


@app.command(epilog="Example: `EVERLEAF_DATABASE_URL=postgresql://... everleaf migrate`")
def migrate(
    data_dir: DataDir = None,
    roles: Annotated[
        Path | None,
        typer.Option("--roles", metavar="DIR", help="Only make databases and roles; their passwords' files."),
    ] = None,
) -> None:
    """Bring the database to the schema of this release, and each role to its privileges."""
    if roles is not None:
        running.make_roles(chosen(data_dir), roles)
    else:
        running.migrate(chosen(data_dir))


@app.command(epilog="Example: `everleaf worker lifecycle,deploy`")
def worker(
    queues: Annotated[str, typer.Argument(help="Task queues, with commas: lifecycle, deploy, scan, issue.")],
    data_dir: DataDir = None,
) -> None:
    """Run one more worker beside those of `up`."""
    running.worker(chosen(data_dir), queues)


@app.command(epilog="Example: `EVERLEAF_API_PORT=8461 everleaf api`")
def api(data_dir: DataDir = None) -> None:
    """Serve the API alone, on 127.0.0.1."""
    running.api(chosen(data_dir))


WrapKeys = Annotated[
    Path | None, typer.Option("--wrap-keys", metavar="FILE", help="The 32 bytes that the keys are wrapped under.")
]


@app.command(epilog="Example: `everleaf backup --out /backup/2026-12-01 --wrap-keys /root/backup.key`")
def backup(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    wrap_keys: WrapKeys = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="You keep the keys elsewhere.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a backup while everything runs: database, policy, keys (wrapped, or left out by choice)."""
    from cli import backup as keeping

    if (wrap_keys is None) is not without_keys:
        raise typer.BadParameter("choose --wrap-keys FILE or --without-keys")
    made = keeping.backup(chosen(data_dir), out.expanduser().absolute(), wrap_keys)
    megabytes = keeping.size(out.expanduser()) / 1_000_000
    keys = f"with {', '.join(made.keys)} wrapped" if made.keys else "without keys"
    console.print(f"{out}: {megabytes:.1f} MB, {keys}.", highlight=False, soft_wrap=True)


@app.command(
    epilog="Example: `everleaf restore /backup/2026-12-01 --data-dir /srv/everleaf --wrap-keys /root/backup.key`"
)
def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `everleaf backup` has written.")],
    wrap_keys: WrapKeys = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="You bring the keys yourself.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a new data directory and database from a backup; every file of it is checked before anything is made."""
    from cli import restoring

    home = chosen(data_dir)
    found = restoring.restore(source.expanduser().absolute(), home, wrap_keys, without_keys)
    told = f"{home.path} is as it was at {found.made_at} (release {found.release}). What happened since is not in it."
    console.print(told, highlight=False, soft_wrap=True)


@app.command(
    epilog="Examples: `everleaf watch` · `everleaf watch --once || echo look` · "
    "`everleaf watch --listen 10.0.0.5:8470 --peer http://10.0.0.6:8470/`"
)
def watch(
    data_dir: DataDir = None,
    once: Annotated[
        bool, typer.Option("--once", help="One round: print what is wrong, tell nobody, end with 1 if there is any.")
    ] = False,
    peer: Annotated[
        list[str] | None, typer.Option("--peer", metavar="URL", help="Another watcher that this one watches too.")
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where another watcher may ask whether this one lives.")
    ] = "",
) -> None:
    """Tell people when Everleaf itself is unwell, by ways of its own (EVERLEAF_WATCH_*). `up` runs one already."""
    arguments = [*(["--once"] if once else []), *(["--listen", listen] if listen else [])]
    running.watch(chosen(data_dir), arguments + [word for url in peer or () for word in ("--peer", url)])


@app.command(
    name="test",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples: `everleaf test` · `everleaf test --quick` · `everleaf test tests/domain -k ladder`",
)
def run_suite(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Only what needs no server.")] = False,
    long: Annotated[bool, typer.Option("--long", help="The long randomised searches too.")] = False,
) -> None:
    """Run style, types and tests; what follows goes to pytest."""
    if quick and long:
        raise typer.BadParameter("choose --quick or --long, not both")
    raise typer.Exit(suite.run("quick" if quick else "long" if long else "everyday", context.args))


verbs.register(app)
access.register(app, token_app)


def _print_json(value: Mapping[str, Any] | list[Any]) -> None:
    print(json.dumps(value, indent=2))


@contextmanager
def _edge() -> Iterator[None]:
    """The one place where the command line turns an error into a sentence and an exit code."""
    try:
        yield
    except EverleafError as problem:
        print(f"everleaf: {problem}", file=sys.stderr)
        sys.exit(2 if isinstance(problem, WrongUsage) else 1)
    except OSError as problem:
        full = "The disk is full: free some space, or use another --data-dir. " if problem.errno == errno.ENOSPC else ""
        print(f"everleaf: {full}{problem}", file=sys.stderr)
        sys.exit(1)


def main() -> None:
    settle_paths()
    with _edge():
        app(prog_name="everleaf")


if __name__ == "__main__":
    main()
