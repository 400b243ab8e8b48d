"""docker-compose.yml keeps the rules of a production installation, as the real compose binary reads it."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, get_args

import pytest

from api.bodies import CodeAsked
from cli import bootstrap
from cli.home import PROJECT
from tests.launcher.waiting import LONG_SECONDS
from tests.production.composed import GIVEN, OURS, compose, resolved
from workflows.search import ATTRIBUTES

ONE_SHOT = {"roles", "migrate", "temporal-schema", "temporal-namespace"}
PUBLISHED = {"api": "8460", "approvers-door": "8233", "auditors-door": "8234"}
WORKERS = {"lifecycle", "scan", "issue", "deploy"}


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return resolved()


@pytest.fixture(scope="module")
def services(file: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = file["services"]
    assert isinstance(found, dict)
    return found


def test_the_compose_binary_accepts_the_file() -> None:
    done = compose("config", "-q")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("missing", GIVEN)
def test_what_must_be_given_is_asked_for_by_name(missing: str) -> None:
    done = compose("config", "-q", given={name: value for name, value in GIVEN.items() if name != missing})

    assert done.returncode != 0
    assert missing in done.stderr


def test_the_example_names_everything_that_must_be_given() -> None:
    example = (PROJECT / ".env.example").read_text()
    done = compose("--env-file", str(PROJECT / ".env.example"), "config", "-q", given={})

    assert set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == set(GIVEN)
    assert done.returncode == 0, done.stderr


def test_the_example_names_everything_that_may_be_given() -> None:
    asked = re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yml").read_text())

    assert set(re.findall(r"^#?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)) == set(asked)


def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yml"
    wrong.write_text((PROJECT / "docker-compose.yml").read_text().replace("pids_limit", "pids_limits"))

    assert compose("config", "-q", file=wrong).returncode != 0


def test_every_service_has_a_read_only_root_no_capability_and_no_new_privileges(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not service.get("cap_add"), name
        assert service.get("network_mode") != "host", name


def test_every_image_is_pinned_to_one_release(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}

    assert images["postgres"] == "postgres:16"
    assert images["temporal"] == "temporalio/server:1.32.0"
    assert images["temporal-schema"] == images["temporal-namespace"] == "temporalio/admin-tools:1.32.0"
    assert images["temporal-ui"] == images["temporal-ui-auditors"] == "temporalio/ui:2.54.1"
    assert images["approvers-door"] == images["auditors-door"] == "haproxy:3.2.26-alpine"
    assert all(re.fullmatch(r"[a-z/-]+:[0-9.]+(-alpine)?", image) for image in images.values())
    assert {images[name] for name in OURS} == {f"everleaf:{version('everleaf')}"}


def test_only_pages_are_published_and_only_on_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}

    assert {name: str(ports[0]["target"]) for name, ports in published.items()} == PUBLISHED
    for name, ports in published.items():
        assert [port["host_ip"] for port in ports] == ["127.0.0.1"], name


def test_the_proxy_on_the_host_is_believed_and_nobody_else(file: dict[str, Any]) -> None:
    [front] = file["networks"]["front"]["ipam"]["config"]
    assert file["services"]["api"]["environment"]["FORWARDED_ALLOW_IPS"] == front["gateway"]
    assert ip_address(front["gateway"]) in ip_network(front["subnet"])


def test_temporal_and_the_database_are_on_internal_networks_alone(file: dict[str, Any]) -> None:
    inside = {name for name, network in file["networks"].items() if network.get("internal")}

    assert inside == {"store", "engine", "uis"}
    uis = ("temporal-ui", "temporal-ui-auditors")
    for name in ("postgres", "temporal", "temporal-schema", "temporal-namespace", "issue", "deploy", *uis):
        assert set(file["services"][name]["networks"]) <= inside, name
    assert all(file["services"][name]["network_mode"] == "none" for name in ("roles", "migrate"))
    # Whoever stands in the network of the database: nobody of ours, we have its socket.
    assert {n for n, s in file["services"].items() if "store" in (s.get("networks") or ())} == {
        "postgres",
        "temporal",
        "temporal-schema",
    }


def test_no_environment_and_no_command_holds_a_secret(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|KEK|TOKEN", key):
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
            assert not re.search(r"://[^/@]*:[^/@]+@", value), f"{name}: {key} holds a password"
        assert "assword=" not in " ".join(service["command"] or ()), name


def test_a_service_is_given_the_secrets_it_names_and_no_other(services: dict[str, Any]) -> None:
    for name, service in services.items():
        held = {secret["target"] for secret in service.get("secrets", ())}
        named = {value for value in service.get("environment", {}).values() if value.startswith("/run/secrets/")}
        if name == "roles":
            # It sets every password, and is no worker.
            assert not any(secret.endswith(".kek") for secret in held)
        else:
            assert held == named, name


def test_each_key_encryption_key_has_one_holder(services: dict[str, Any]) -> None:
    holders = {
        key: {name for name, service in services.items() if key in {s["source"] for s in service.get("secrets", ())}}
        for key in ("ca.kek", "leaf.kek")
    }

    assert holders == {"ca.kek": {"issue"}, "leaf.kek": {"deploy"}}


def test_each_worker_is_one_kind_under_its_own_role(services: dict[str, Any]) -> None:
    for name in WORKERS:
        assert services[name]["command"] == ["python", "worker.py", name]
        assert services[name]["environment"]["EVERLEAF_DATABASE_URL"].startswith(f"postgresql://everleaf_{name}@/")


def test_whatever_stays_up_has_a_health_check_and_whatever_ends_is_waited_for(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == ONE_SHOT
    assert {name for name, service in services.items() if service["restart"] != "unless-stopped"} == ONE_SHOT
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert wait["condition"] == wanted, f"{name} -> {other}"


def test_the_ui_of_approvers_has_no_button_that_ends_a_lifecycle(services: dict[str, Any]) -> None:
    said = services["temporal-ui"]["environment"]
    off = ("TERMINATE", "CANCEL", "RESET", "SIGNAL", "PAUSE")

    assert all(said[f"TEMPORAL_WORKFLOW_{word}_DISABLED"] == "true" for word in off)
    assert said["TEMPORAL_BATCH_ACTIONS_DISABLED"] == said["TEMPORAL_START_WORKFLOW_DISABLED"] == "true"
    assert said["TEMPORAL_WORKFLOW_UPDATE_DISABLED"] == "false"
    # It would switch updates off too, and with them approvals.
    assert "TEMPORAL_DISABLE_WRITE_ACTIONS" not in said
    assert services["temporal-ui-auditors"]["environment"]["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


@pytest.mark.parametrize(("door", "ui"), [("approvers-door", "temporal-ui"), ("auditors-door", "temporal-ui-auditors")])
def test_a_ui_is_reached_through_its_door_alone(file: dict[str, Any], door: str, ui: str) -> None:
    """Buttons that are missing stop no request made by hand (test_doors.py): the door does."""
    said = file["services"][door]

    assert set(said["networks"]) == {"uis", "front"}
    assert said["environment"]["DOOR_TO"] == f"{ui}:8080"
    assert set(file["services"][ui]["networks"]) == {"engine", "uis"}
    # The door does not reach Temporal itself, and nobody but doors and UIs stands where a UI is asked.
    assert {name for name, service in file["services"].items() if "uis" in (service.get("networks") or ())} == {
        "approvers-door",
        "auditors-door",
        "temporal-ui",
        "temporal-ui-auditors",
    }


def test_the_door_of_approvers_passes_the_updates_that_need_a_code_and_the_namespace_of_the_file(
    services: dict[str, Any],
) -> None:
    door = (PROJECT / "deploy" / "temporal-ui" / "approvers.cfg").read_text()
    [updates] = re.findall(r"acl update_with_code url_reg \^(.*)\[\?\]\?\$", door)
    [names] = re.findall(r"/update/\((.*)\)", updates)

    assert set(names.split("|")) == {"decide", *get_args(CodeAsked.model_fields["message"].annotation)}
    assert f"/namespaces/{services['api']['environment']['EVERLEAF_TEMPORAL_NAMESPACE']}/workflows/" in updates


def test_the_database_trusts_nobody(services: dict[str, Any]) -> None:
    said = services["postgres"]["environment"]

    assert "--auth-local=scram-sha-256 --auth-host=scram-sha-256" in said["POSTGRES_INITDB_ARGS"]
    assert said["POSTGRES_HOST_AUTH_METHOD"] == "scram-sha-256"
    assert not [word for word in services["postgres"]["command"] if re.search("fsync|synchronous|full_page", word)]


def test_the_namespace_script_registers_the_search_attributes_of_our_workflows() -> None:
    script = (PROJECT / "deploy" / "temporal" / "namespace.sh").read_text()

    assert dict(re.findall(r"(Everleaf\w+)=(\w+)", script)) == dict(ATTRIBUTES)


def test_the_image_takes_what_runs_and_nothing_else() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()

    assert "*" in ignored
    taken = {line[1:] for line in ignored if line.startswith("!")}
    assert all((PROJECT / name).exists() for name in taken)
    assert not taken & {"var", "tests", ".env", ".git", "deploy"}


def test_the_image_is_made_with_the_uv_of_the_launcher() -> None:
    assert f"ghcr.io/astral-sh/uv:{bootstrap.RELEASE} " in (PROJECT / "Dockerfile").read_text()


def test_what_the_image_takes_is_enough_for_every_process(tmp_path: Path) -> None:
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            place = PROJECT / line[1:]
            copy = shutil.copytree if place.is_dir() else shutil.copyfile
            copy(place, tmp_path / line[1:])
    ask = (
        "import worker, watch, api.main, cli.main, cli.healthy, store.migrate as m; print(worker.__file__, m.__file__)"
    )

    command = [sys.executable, "-c", ask]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=LONG_SECONDS
    )

    assert done.stdout.split() == [str(tmp_path / "worker.py"), str(tmp_path / "store" / "migrate.py")], done.stderr
    assert (tmp_path / "store" / "migrations" / "env.py").exists()
