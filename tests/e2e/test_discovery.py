"""What appears is found, what goes is missed, what is outside the scope is refused; another estate is placed too."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.home import PROJECT
from demo.estate import prepare
from domain.classify import Seen, classify
from formats.policy import parse_policy
from formats.x509 import load_pem_chain, parse_certificate
from tests.e2e.product import Product, eventually
from tests.launcher.waiting import LONG_SECONDS

pytestmark = pytest.mark.e2e


def finished(product: Product, asked: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        now = product.get(asked["resource"])
        return now if now["status"] != "running" else None

    return eventually(look, "the discovery ends")


def settled_items(product: Product) -> dict[str, tuple[Any, ...]]:
    """What a discovery must leave alone, without the short-lived ones, which go on by themselves."""
    return {
        item["id"]: (item["generation"], item["fingerprint"], item["tier"], item["owner"], item["state"])
        for item in product.every("/v1/certificates")
        if not item["names"][0].startswith("flash-")
    }


def test_seven_new_listeners_are_found_and_three_gone_ones_missed(product: Product) -> None:
    eventually(lambda: product.get("/v1/status")["counts"]["in_progress"] <= 1, "the renewals under way end")
    before = settled_items(product)
    extra = [sys.executable, "-m", "demo.estate", "extra", str(product.data_dir), "--add", "7", "--remove", "3"]
    done = subprocess.run(extra, cwd=PROJECT, capture_output=True, text=True, timeout=LONG_SECONDS)
    assert done.returncode == 0, done.stderr
    changed = json.loads(done.stdout)
    eventually(lambda: all(_listens(place) for place in changed["added"]), "the new ones listen")
    eventually(lambda: not any(_listens(place) for place in changed["removed"]), "the others are gone")

    asked = product.ask("POST", "/v1/discoveries", {})
    assert asked.status_code == 202, asked.text
    report = finished(product, asked.json())["report"]

    assert report["new"] == 7
    assert report["missed"] == 3
    eventually(lambda: len(settled_items(product)) == len(before) + 7, "the seven are governed")
    after = settled_items(product)
    new = [product.certificate(one) for one in after if one not in before]
    assert {item["endpoints"][0]["url"].removeprefix("tls://") for item in new} == set(changed["added"])
    assert all(item["tier"] == "internal" for item in new)
    assert {one: seen for one, seen in after.items() if one in before} == before


def _listens(place: str) -> bool:
    ask = ["openssl", "s_client", "-connect", place]
    return subprocess.run(ask, input=b"", capture_output=True, timeout=LONG_SECONDS).returncode == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cidrs": ["10.0.0.0/8"]}, "cidrs"),
        ({"ports": [22]}, "ports"),
        ({"paths": ["/etc/ssl/private/*.pem"]}, "paths"),
    ],
)
def test_a_discovery_outside_the_scope_is_refused_with_field_and_remedy(
    product: Product, body: dict[str, Any], field: str
) -> None:
    before = len(product.every("/v1/discoveries"))

    answer = product.ask("POST", "/v1/discoveries", body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert answer.json()["errors"][0]["remedy"]
    assert len(product.every("/v1/discoveries")) == before


def test_the_rules_place_nine_of_ten_of_another_estate(tmp_path: Path) -> None:
    """Other names, other owners' words, the same address plan; and by names alone where the plan says nothing."""
    prepare(tmp_path, seed=2)
    policy = parse_policy((tmp_path / "policy.yaml").read_bytes())
    seen: list[Seen] = []
    for file in (tmp_path / "demo" / "endpoints").rglob("*.chain.pem"):
        folder = file.relative_to(tmp_path / "demo" / "endpoints").parts[0]
        host, _, port = folder.rpartition("_")
        leaf = parse_certificate(load_pem_chain(file.read_bytes())[0])
        seen.append(Seen(leaf.names, (host,), (int(port),), issuer=leaf.issuer))
    for file in (tmp_path / "demo" / "vpn").glob("*.pem"):
        leaf = parse_certificate(load_pem_chain(file.read_bytes())[0])
        seen.append(Seen(leaf.names, paths=(str(file),), issuer=leaf.issuer))

    placements = [classify(policy, one) for one in seen]

    assert len(seen) >= 320
    assert not any("sahyadri" in name for one in seen for name in one.names)
    assert sum(placement.placed for placement in placements) >= 0.9 * len(seen)
    assert {placement.tier for placement in placements} == {"customer-facing", "network-critical", "internal"}
