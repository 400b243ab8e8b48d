"""Discovery against real listeners and a real PostgreSQL."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy.engine import Engine

from activities.discovery import DiscoveryActivities
from activities.scope import FixedScope, fix_scope
from domain.contracts import DiscoveryFailure, DiscoveryRequest, ScanPage, ScanReport
from domain.errors import BadInput, NotFound
from domain.tiers import Policy, Scope
from store import tables
from store.sightings import looks
from tests.activities.estates import TestCA, clock, context, listening, policy

pytestmark = pytest.mark.server


async def scan(database: Engine, rules: Policy, discovery_id: str = "d1") -> list[ScanReport]:
    scanning = DiscoveryActivities(database, lambda: rules, clock)
    plan = await scanning.begin_discovery(DiscoveryRequest(discovery_id))
    return [await scanning.scan_page(ScanPage(discovery_id, page)) for page in range(plan.pages)]


def looked(database: Engine) -> dict[tuple[str, str], str]:
    with database.connect() as connection:
        rows = connection.execute(sa.select(tables.looks))
        return {(row.url, row.algorithm): row.chain[0] if row.chain else row.outcome for row in rows}


async def test_every_certificate_of_an_endpoint_is_a_slot_of_its_own(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    curve = ca.issue(tmp_path / "ec.pem", "a.example")
    other = ca.issue(tmp_path / "rsa.pem", "a.example", key=rsa.generate_private_key(65537, 2048))
    named = ca.issue(tmp_path / "b.pem", "b.example")
    special = context(tmp_path / "b.pem")
    tls = context(tmp_path / "ec.pem", tmp_path / "rsa.pem")

    def choose(socket: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == "b.example":
            socket.context = special

    tls.sni_callback = choose
    async with listening(tls) as port:
        names = ("b.example@127.0.0.1", "c.example@127.0.0.1")
        (report,) = await scan(database, policy(ca, (port, 1), names))
        again = await scan(database, policy(ca, (port, 1), names))
    url = f"tls://127.0.0.1:{port}"
    assert looked(database) == {
        (url, "ecdsa"): curve,
        (url, "rsa"): other,
        (f"{url}?sni=b.example", "ecdsa"): named,
    }
    assert dict(report.outcomes) == {"seen": 1, "refused": 1}
    assert again == [report], "a repetition overwrites its own looks"
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.certificates)) == 4


async def test_files_are_a_page_of_their_own(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    leaf = ca.issue(tmp_path / "client.pem", "client-1")
    rules = policy(ca, (), (), (str(tmp_path / "*.pem"),))
    (report,) = await scan(database, rules)
    assert looked(database) == {(f"file://localhost{tmp_path}/client.pem", "ecdsa"): leaf}
    assert dict(report.outcomes) == {"seen": 1}


@pytest.mark.parametrize(
    "request_",
    [
        DiscoveryRequest("x", cidrs=("127.0.0.0/24",)),
        DiscoveryRequest("x", cidrs=("::1/128",)),
        DiscoveryRequest("x", cidrs=("nonsense",)),
        DiscoveryRequest("x", ports=(22,)),
        DiscoveryRequest("x", names=("other.example",)),
        DiscoveryRequest("x", paths=("/etc/shadow",)),
    ],
)
async def test_what_is_outside_the_scope_is_refused_before_the_first_look(
    database: Engine, request_: DiscoveryRequest
) -> None:
    scanning = DiscoveryActivities(database, lambda: policy(TestCA(), (443,)), clock)
    with pytest.raises(BadInput):
        await scanning.begin_discovery(request_)
    with pytest.raises(NotFound):
        await scanning.scan_page(ScanPage("x", 0))


SCOPE = Scope(
    ("10.0.0.0/24", "10.0.1.0/24"),
    (443, 8443),
    ("a.example@10.0.0.7", "b.example@192.0.2.1"),
    ("/srv/*.pem", "/etc/x.pem"),
)
EVERY_NAME = {"10.0.0.7": ("a.example",), "192.0.2.1": ("b.example",)}
NETWORK = ("10.0.0.0/23",)


@pytest.mark.parametrize(
    ("asked", "cidrs", "ports", "names", "paths"),
    [
        ({}, NETWORK, (443, 8443), EVERY_NAME, ("/etc/x.pem", "/srv/*.pem")),
        ({"paths": ("/etc/x.pem",)}, (), (443, 8443), {}, ("/etc/x.pem",)),
        ({"cidrs": ("10.0.1.0/28",)}, ("10.0.1.0/28",), (443, 8443), EVERY_NAME, ()),
        ({"cidrs": ("10.0.1.0/28",), "ports": (443,)}, ("10.0.1.0/28",), (443,), EVERY_NAME, ()),
        ({"ports": (443,)}, NETWORK, (443,), EVERY_NAME, ()),
        ({"names": ("a.example@10.0.0.7",)}, ("10.0.0.7/32",), (443, 8443), {"10.0.0.7": ("a.example",)}, ()),
        ({"names": ("b.example@192.0.2.1",)}, (), (443, 8443), {"192.0.2.1": ("b.example",)}, ()),
        (
            {"names": ("a.example@10.0.0.7",), "paths": ("/etc/x.pem",)},
            ("10.0.0.7/32",),
            (443, 8443),
            {"10.0.0.7": ("a.example",)},
            ("/etc/x.pem",),
        ),
        ({"ports": (443,), "paths": ("/etc/x.pem",)}, NETWORK, (443,), EVERY_NAME, ("/etc/x.pem",)),
    ],
)
async def test_whoever_names_a_part_of_the_scope_has_that_part_looked_at_and_no_other(
    asked: dict[str, Any],
    cidrs: tuple[str, ...],
    ports: tuple[int, ...],
    names: dict[str, tuple[str, ...]],
    paths: tuple[str, ...],
) -> None:
    fixed = await fix_scope(DiscoveryRequest("x", **asked), SCOPE)

    assert (fixed.cidrs, fixed.ports, fixed.names, fixed.paths) == (cidrs, ports, names, paths)


async def test_a_name_that_dns_does_not_know_is_asked_for_everywhere() -> None:
    scope = replace(SCOPE, names=("nowhere.invalid",))
    fixed = await fix_scope(DiscoveryRequest("x", names=("nowhere.invalid",)), scope)

    assert (fixed.cidrs, fixed.names) == (NETWORK, {"*": ("nowhere.invalid",)})


async def test_paths_alone_are_one_page_and_no_network_is_looked_at(database: Engine, tmp_path: Path) -> None:
    ca = TestCA()
    leaf = ca.issue(tmp_path / "a.pem", "a.example")
    async with listening(context(tmp_path / "a.pem")) as port:
        rules = policy(ca, (port,), (), (str(tmp_path / "*.pem"),))
        scanning = DiscoveryActivities(database, lambda: rules, clock)
        plan = await scanning.begin_discovery(DiscoveryRequest("d1", paths=rules.scope.paths))
        await scanning.scan_page(ScanPage("d1", 0))

    assert (plan.pages, plan.targets) == (1, 0)
    assert looked(database) == {(f"file://localhost{tmp_path}/a.pem", "ecdsa"): leaf}


def test_pages_cut_a_scope_without_gap_or_overlap() -> None:
    fixed = FixedScope(("10.0.0.0/24", "10.0.0.128/25", "10.1.0.0/31"), (443, 8443), {}, ("/x",), 100)
    places = [place for page in range(fixed.tls_pages) for place in fixed.places(page)]
    assert len(places) == len(set(places)) == fixed.targets == (254 + 2) * 2
    assert fixed.pages == fixed.tls_pages + 1
    assert FixedScope.from_json(fixed.to_json()) == fixed


async def test_a_request_that_was_refused_is_mended_under_its_own_id(database: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    seen = TestCA().issue(path, "a.example")
    rules = policy(TestCA(), (), (), (str(path),))
    scanning = DiscoveryActivities(database, lambda: rules, clock)
    refused = DiscoveryRequest("mine", paths=("/etc/nothing/of/ours",))
    await scanning.fail_discovery(DiscoveryFailure(refused, "outside the policy's scope"))
    assert looks.find(database, "mine").state == "failed"

    assert len(await scan(database, rules, "mine")) == 1
    assert looked(database) == {(f"file://localhost{path}", "ecdsa"): seen}
    begun = looks.find(database, "mine")
    assert (begun.state, begun.pages) == ("scanning", 1)


async def test_a_refused_request_fails_nobody_elses_discovery(database: Engine, tmp_path: Path) -> None:
    looks.begin(database, looks.Discovery("theirs", "test", {}, 1, 1, workflow_id="discovery/theirs"), clock())
    scanning = DiscoveryActivities(database, lambda: policy(TestCA(), ()), clock)
    await scanning.fail_discovery(DiscoveryFailure(DiscoveryRequest("theirs"), "no such field"))
    assert looks.find(database, "theirs").state == "planned"
