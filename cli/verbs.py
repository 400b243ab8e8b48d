"""The commands that ask the API: discover, certificates, certificate, approve, answer, history; replay and upgrade."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli import api_client, showing
from cli.display import Screen
from cli.home import chosen
from cli.options import DataDir, Output, OutputOption, Token, Url

console = Screen()


def discover(
    cidr: Annotated[list[str] | None, typer.Option("--cidr", help="Part of the scope; may be repeated.")] = None,
    port: Annotated[list[int] | None, typer.Option("--port")] = None,
    name: Annotated[list[str] | None, typer.Option("--name")] = None,
    path: Annotated[list[str] | None, typer.Option("--path")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended; fail if it failed.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0)] = 600,
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Look at the policy's scope, or at a part of it, and adopt what is there."""
    api = api_client.reached(chosen(data_dir), url, token)
    part = {"cidrs": cidr or [], "ports": port or [], "names": name or [], "paths": path or []}
    found = api.post("/v1/discoveries", {key: value for key, value in part.items() if value})
    if wait:
        found = showing.watch_discovery(api, found["resource"], timeout, console)
    _say(found, output, lambda: showing.discovery(found, console))
    if found["status"] == "failed":
        raise typer.Exit(1)


def certificates(
    tier: Annotated[str | None, typer.Option("--tier")] = None,
    state: Annotated[str | None, typer.Option("--state")] = None,
    severity: Annotated[str | None, typer.Option("--severity")] = None,
    owner: Annotated[str | None, typer.Option("--owner")] = None,
    service: Annotated[str | None, typer.Option("--service")] = None,
    issuer: Annotated[str | None, typer.Option("--issuer")] = None,
    q: Annotated[str | None, typer.Option("-q", "--search", help="In names, id, fingerprint, owner, service.")] = None,
    expires_before: Annotated[str | None, typer.Option("--expires-before", help="2026-12-31T00:00:00Z")] = None,
    retired: Annotated[bool, typer.Option("--retired", help="The retired ones instead.")] = False,
    sort: Annotated[str, typer.Option("--sort", help="not_after, -not_after, severity or name")] = "not_after",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """List managed certificates; the one that ends first stands first."""
    api = api_client.reached(chosen(data_dir), url, token)
    filters: dict[str, Any] = {
        "tier": tier,
        "state": state,
        "severity": severity,
        "owner": owner,
        "service": service,
        "issuer": issuer,
        "q": q,
        "expires_before": expires_before,
        "retired": "true" if retired else None,
        "sort": sort,
    }
    items, more = showing.first_items(api, filters, limit)
    _say({"items": items, "more": more}, output, lambda: showing.certificates(items, more, console))


def certificate(
    certificate_id: Annotated[str, typer.Argument(metavar="ID")],
    explain: Annotated[bool, typer.Option("--explain", help="Why these dates, with their sums.")] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="What happened.")] = False,
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Show one managed certificate: where it is served, what happens next and why."""
    if explain and timeline:
        raise typer.BadParameter("choose --explain or --timeline, not both")
    api = api_client.reached(chosen(data_dir), url, token)
    here = f"/v1/certificates/{api_client.segment(certificate_id)}"
    if explain:
        found = api.get(f"{here}/explain")
        _say(found, output, lambda: showing.explanation(found, console))
    elif timeline:
        found = showing.whole_timeline(api, here)
        _say(found, output, lambda: showing.timeline(found["items"], console))
    else:
        found = api.get(here)
        _say(found, output, lambda: showing.certificate(found, console))


def approve(
    approval_id: Annotated[str, typer.Argument(metavar="ID", help="Of the approval, or of its certificate.")],
    reject: Annotated[bool, typer.Option("--reject", help="Reject it; it is asked again.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Approve, but order as late as is safe.")] = False,
    overrule: Annotated[bool, typer.Option("--overrule", help="Answer anew what was rejected or held.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why; kept beside the decision.")] = "",
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Decide a renewal that is asked. What is decided is the plan as it is at this moment, and no other."""
    if reject and hold:
        raise typer.BadParameter("choose --reject or --hold, not both")
    decision: Literal["approve", "reject", "hold"] = "reject" if reject else "hold" if hold else "approve"
    api = api_client.reached(chosen(data_dir), url, token)
    asked = showing.approval_of(api, approval_id)
    body = {"decision": decision, "comment": comment, "version": asked["version"], "overrule": overrule}
    done = api.post(f"/v1/approvals/{api_client.segment(asked['id'])}/decision", body)
    _say(done, output, lambda: showing.decision(asked, done, decision, console))
    if done["status"] == "unknown":
        raise typer.Exit(1)


def answer(
    certificate_id: Annotated[str, typer.Argument(metavar="ID")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="unseen, taken, different, drift, ...")],
    word: Annotated[str, typer.Argument(metavar="ANSWER", help="A wrong one is told the right ones.")],
    about: Annotated[
        str | None, typer.Option("--about", help="What the question is about, as it was read; else as it is now.")
    ] = None,
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Answer what a certificate's lifecycle asks: unseen with retired, moved or broken; taken with retired or moved;
    moved-to with nowhere; repair with repaired or retired; different with take or keep; revocation with revoked;
    forked with resume or gap; undeliverable with mended; drift and foreign-certificate with known."""
    api = api_client.reached(chosen(data_dir), url, token)
    path = f"/v1/certificates/{api_client.segment(certificate_id)}/answers"
    said = {"question": question, "answer": word} | ({"about": about} if about else {})
    done = api.post(path, said)
    _say(done, output, lambda: showing.answer(done, f"{question}: {word}", console))
    if done["status"] == "unknown":
        raise typer.Exit(1)


def history(
    certificate_id: Annotated[str, typer.Argument(metavar="ID")],
    generation: Annotated[int | None, typer.Option("--generation", min=1, help="By default the present one.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="One run, byte for byte as it is archived.")] = None,
    output_file: Annotated[Path | None, typer.Option("--output-file", help="By default standard output.")] = None,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Write the Temporal history of one generation as JSON that the replayer accepts."""
    api = api_client.reached(chosen(data_dir), url, token)
    chosen_parts = [f"generation={generation}"] if generation else []
    chosen_parts += [f"run_id={api_client.segment(run_id)}"] if run_id else []
    query = f"?{'&'.join(chosen_parts)}" if chosen_parts else ""
    text = api.text(f"/v1/certificates/{api_client.segment(certificate_id)}/history{query}")
    if output_file is None:
        print(text)
    else:
        output_file.write_text(text)
        console.print(f"Written to {output_file}.", highlight=False, soft_wrap=True, markup=False)


def replay(
    source: Annotated[str, typer.Argument(metavar="FILE|ID", help="A history's file, or a certificate's id.")],
    workflow_id: Annotated[str, typer.Option("--workflow-id", help="For a file that does not say it.")] = "",
    generation: Annotated[int | None, typer.Option("--generation", min=1)] = None,
    live: Annotated[bool, typer.Option("--live", help="The file is of a run that had not ended.")] = False,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Replay a history with this release's code; name the first event that differs, also when only an input does."""
    from cli import replaying

    if not Path(source).is_file() and ("/" in source or Path(source).suffix):
        raise typer.BadParameter(f"the file {source} does not exist", param_hint="FILE|ID")
    if Path(source).is_file():
        histories = replaying.from_file(Path(source), workflow_id, live)
    else:
        api = api_client.reached(chosen(data_dir), url, token)
        histories = replaying.from_api(api, source, generation)
    differs = replaying.run(histories, console)
    if differs:
        raise typer.Exit(1)


def upgrade(
    batch: Annotated[int, typer.Option("--batch", min=1, max=500, help="Lifecycles at once.")] = 16,
    pause: Annotated[float, typer.Option("--pause", metavar="SECONDS", min=0, help="Between batches.")] = 0.2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change for whom; change nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Before the upgrade: say what stands in its way; end with 1 if anything.")
    ] = False,
    output: OutputOption = Output.TABLE,
    data_dir: DataDir = None,
) -> None:
    """Bring every lifecycle under the newest rules; one of 0.1.0 is begun anew from the store."""
    from cli import upgrading

    if check and dry_run:
        raise typer.BadParameter("choose --check or --dry-run")
    if check:
        _check_upgrade(data_dir, output)
        return
    if dry_run:
        found = upgrading.changes(chosen(data_dir))
        _say(upgrading.described(found), output, lambda: showing.changes(upgrading.described(found), console))
        return
    changed = upgrading.upgrade(chosen(data_dir), batch, pause)
    _say({"changed": changed}, output, lambda: console.print(f"{changed} lifecycles go on under the newest rules."))


def _check_upgrade(data_dir: Path | None, output: Output) -> None:
    from cli import doctor, upgrade_check

    found = doctor.examine(chosen(data_dir), upgrade_check.OBSTACLES)
    showing.findings(found, output, console)
    if any(finding.outcome == "bad" for _, finding in found):
        raise typer.Exit(1)


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what differs; change nothing, tell nobody.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Begin again what is missing; after a restore let our CAs sign again.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=1)] = 600.0,
    output: OutputOption = Output.TABLE,
    url: Url = None,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Compare which certificates live with which lifecycles run, and say every difference in words. By itself this is
    done every five minutes; by hand after a restore, or when something looks wrong."""
    if dry_run == apply:
        raise typer.BadParameter("choose --dry-run or --apply")
    api = api_client.reached(chosen(data_dir), url, token)
    asked = api.post("/v1/reconciliations", {"apply": apply, "release": apply})
    found = showing.watch_reconciliation(api, asked["resource"], timeout)
    _say(found, output, lambda: showing.reconciliation(found, console))


def _say(found: Any, output: Output, show: Any) -> None:
    if output is Output.JSON:
        print(json.dumps(found, indent=2))
    else:
        show()


# (command, example)
COMMANDS: tuple[tuple[Any, str], ...] = (
    (discover, "`everleaf discover --wait` · `everleaf discover --cidr 10.0.4.0/24 --port 443`"),
    (certificates, "`everleaf certificates --tier internal --sort severity --output json`"),
    (certificate, "`everleaf certificate 3f2a --explain`"),
    (approve, "`everleaf approve 3f2a.1.1 --comment 'seen with billing'` · `everleaf approve 3f2a.1.1 --reject`"),
    (answer, "`everleaf answer 3f2a unseen broken` · `everleaf answer 3f2a different keep`"),
    (history, "`everleaf history 3f2a --generation 2 --output-file g2.json`"),
    (replay, "`everleaf replay g2.json` · `everleaf replay 3f2a --generation 2`"),
    (reconcile, "`everleaf reconcile --dry-run` · `everleaf reconcile --apply`"),
    (upgrade, "`everleaf upgrade --dry-run` · `everleaf upgrade --batch 50`"),
)


def register(app: typer.Typer) -> None:
    for command, example in COMMANDS:
        app.command(epilog=f"Example: {example}")(command)
