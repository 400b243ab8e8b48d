"""`everleaf doctor`: one check per thing that has kept somebody from starting, each with its remedy.

To add a check: write a function from ``Patient`` to ``Finding`` and put it into CHECKS.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cli import database, engine, temporal_server
from cli.home import LEAST_FREE_BYTES, Home, read_json
from cli.postgres import binaries
from cli.process import in_own_user_namespace, is_free
from domain.errors import BadPolicy, EverleafError
from domain.settings import Settings, parse, with_password_file
from domain.tiers import Role
from formats.policy import parse_policy

# Certificates and codes live to the second; two hosts that keep NTP differ by milliseconds.
LARGEST_CLOCK_DIFFERENCE = timedelta(seconds=2)
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Finding:
    """``skipped``: it cannot be told now, for instance because nothing runs.  ``warned``: it works, and not well."""

    outcome: Literal["good", "warned", "bad", "skipped"]
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    home: Home
    is_running: bool
    run: Mapping[str, Any]

    def setting(self, name: str) -> str:
        """What is set here, else what the running supervisor gave its parts; empty: nothing."""
        given = self.run.get("environment", {}) if self.is_running else {}
        return os.environ.get(name) or str(given.get(name, ""))

    @property
    def database_url(self) -> str:
        """Raises BadInput where it is no URL of PostgreSQL."""
        given = os.environ.get("EVERLEAF_DATABASE_URL")
        if given:
            return with_password_file(given, os.environ.get("EVERLEAF_DATABASE_PASSWORD_FILE", ""))
        return str(self.run.get("database_url", "")) if self.is_running else ""

    @property
    def temporal_address(self) -> str:
        running = self.run.get("temporal", {}).get("address", "") if self.is_running else ""
        return os.environ.get("EVERLEAF_TEMPORAL_ADDRESS") or running

    @property
    def engine(self) -> Settings:
        """How Temporal is reached.  Raises BadInput for what is set wrongly."""
        given = self.run.get("environment", {}) if self.is_running else {}
        needed = {
            "EVERLEAF_HOME": str(self.home.path),
            "EVERLEAF_DATABASE_URL": self.database_url,
            "EVERLEAF_TEMPORAL_ADDRESS": self.temporal_address,
        }
        return parse({**given, **os.environ, **needed})


NOT_RUNNING = Finding("skipped", "everleaf is not running here")


def python(_: Patient) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("good" if good else "bad", version, "Install Python 3.11 or newer.")


def process_guards(_: Patient) -> Finding:
    missing = [program for program in ("setpriv", "unshare") if shutil.which(program) is None]
    if sys.platform == "linux" and missing:
        return Finding("bad", f"{', '.join(missing)} missing", "apt-get install util-linux")
    return Finding("good", "parts die with their launcher")


def user_namespaces(patient: Patient) -> Finding:
    if os.geteuid() != 0 or os.environ.get("EVERLEAF_DATABASE_URL"):
        return Finding("good", "not needed")
    try:
        allowed = subprocess.run(in_own_user_namespace(["true"]), capture_output=True, timeout=30).returncode == 0
    except OSError:
        allowed = False
    remedy = "Run everleaf as an ordinary user, or set EVERLEAF_DATABASE_URL."
    return Finding("good" if allowed else "bad", "allowed" if allowed else "forbidden here, and we are root", remedy)


def ports(patient: Patient) -> Finding:
    demanded = os.environ.get("EVERLEAF_API_PORT", "")
    if demanded.isdecimal() and not patient.is_running and not is_free(int(demanded)):
        return Finding("bad", f"{demanded} is in use", "Stop what listens there, or unset EVERLEAF_API_PORT.")
    stored = read_json(patient.home.ports_file)
    if patient.is_running:
        return Finding("good", "ours: " + ", ".join(f"{name} {port}" for name, port in stored.items()))
    usual = (temporal_server.USUAL_PORT, temporal_server.USUAL_UI_PORT, 8460)
    taken = [str(port) for port in usual if not is_free(port)]
    return Finding("good", f"{', '.join(taken)} taken, others will be used" if taken else "the usual ones are free")


def disk(patient: Patient) -> Finding:
    place = next(path for path in (patient.home.path, *patient.home.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    outcome: Literal["good", "bad"] = "good" if free >= LEAST_FREE_BYTES else "bad"
    return Finding(outcome, f"{free // 1_000_000} MB free in {place}", "Free some space, or use another --data-dir.")


def data_directory(patient: Patient) -> Finding:
    if not patient.home.path.exists():
        return Finding("skipped", f"{patient.home.path} is not there yet")
    mode = patient.home.path.stat().st_mode & 0o777
    remedy = f"chmod 700 {patient.home.path}"
    return Finding("good" if mode == 0o700 else "bad", f"{patient.home.path}, mode {mode:o}", remedy)


def postgres_binaries(_: Patient) -> Finding:
    if os.environ.get("EVERLEAF_DATABASE_URL"):
        return Finding("good", "not needed")
    return Finding("good", str(binaries()))


def database_answers(patient: Patient) -> Finding:
    if not patient.database_url:
        return NOT_RUNNING
    database.clock(patient.database_url)
    return Finding("good", "answers")


def clock(patient: Patient) -> Finding:
    if not patient.database_url:
        return NOT_RUNNING
    difference = abs(datetime.now(UTC) - database.clock(patient.database_url))
    good = difference <= LARGEST_CLOCK_DIFFERENCE
    detail = f"{difference.total_seconds():.1f} s from the database's"
    return Finding("good" if good else "bad", detail, "Let NTP set the clocks of both machines.")


def temporal(patient: Patient) -> Finding:
    if not patient.temporal_address:
        return NOT_RUNNING
    kept = engine.retention(patient.engine)
    good = kept >= engine.LEAST_RETENTION
    remedy = f"temporal operator namespace update -n {patient.engine.namespace} --retention 8784h"
    return Finding("good" if good else "bad", f"answers; keeps closed runs {kept.days} days", remedy)


def certificate_authority(patient: Patient) -> Finding:
    """Its key-encryption key is there and private, and the worker that signs is up."""
    for file in (patient.home.ca_kek, patient.home.leaf_kek):
        if not file.exists():
            return Finding("skipped", "there are no keys yet; `everleaf up` makes them")
        seen = file.stat()
        if seen.st_mode & 0o077 or seen.st_size != KEY_BYTES:
            remedy = f"Restore it from your backup, then chmod 600 {file}"
            return Finding("bad", f"{file} must hold {KEY_BYTES} bytes and have mode 600", remedy)
    if not patient.is_running:
        return NOT_RUNNING
    workers = [part for part in patient.run.get("parts", ()) if part["name"] == "worker-issue"]
    good = bool(workers) and workers[0]["state"] == "ready"
    remedy = f"See {patient.home.log('worker-issue')}"
    return Finding("good" if good else "bad", "its worker is up" if good else "its worker is not up", remedy)


def tokens(patient: Patient) -> Finding:
    """Four eyes are people: what release 0.2.0 made for a role alone decides nothing any more."""
    if not patient.database_url:
        return NOT_RUNNING
    return nameless(database.nameless_deciders(patient.database_url, [Role.SECURITY_HEAD.value]))


def nameless(found: list[tuple[str, str]] | None) -> Finding:
    """What to say of tokens that may not approve; None: they could not be read."""
    if found is None:
        return Finding("skipped", "this process may not read them; ask where the API runs")
    if not found:
        return Finding("good", "each that decides is a person's, or a machine's that may")
    named = ", ".join(f"{name[:40]} ({token_id})" for token_id, name in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    remedy = "Make new ones with `everleaf token create --person ID`, then `everleaf token revoke ID`."
    return Finding("bad", f"may not approve, for no person stands behind: {named}{more}", remedy)


def policy(patient: Patient) -> Finding:
    """Of this installation.  While it is refused the parts go by the last good one, not by what its author meant."""
    file = Path(patient.setting("EVERLEAF_POLICY") or patient.home.policy)
    if not file.is_file():
        return Finding("skipped", f"{file} is not there yet; `everleaf up` writes one to fill in")
    try:
        parse_policy(file.read_bytes(), str(file))
    except BadPolicy as refused:
        others = f" (and {len(refused.others)} more)" if refused.others else ""
        told = f"{refused.file}:{refused.line}: {refused.field}: {refused.problem}{others}"
        remedy = f"{refused.remedy} Until then the last policy that was good holds, if there was one."
        return Finding("bad", told, remedy)
    return Finding("good", str(file))


# (name, check)
Checks = tuple[tuple[str, Callable[[Patient], Finding]], ...]

CHECKS: Checks = (
    ("python", python),
    ("process guards", process_guards),
    ("user namespaces", user_namespaces),
    ("ports", ports),
    ("disk", disk),
    ("data directory", data_directory),
    ("PostgreSQL binaries", postgres_binaries),
    ("database", database_answers),
    ("clock", clock),
    ("Temporal", temporal),
    ("CA", certificate_authority),
    ("policy", policy),
    ("tokens", tokens),
)


def examine(home: Home, checks: Checks = CHECKS) -> list[tuple[str, Finding]]:
    patient = Patient(home, home.is_held(), home.read_run())
    findings = []
    for name, check in checks:
        try:
            findings.append((name, check(patient)))
        except EverleafError as problem:
            findings.append((name, Finding("bad", str(problem), "See `everleaf status` and the logs it names.")))
    return findings
