"""The answer of a manual issuer: read, refused where it is wrong, and told to the lifecycle that waits for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.engine import Engine

from domain.contracts import CollectOrder
from formats.policy import version_of
from formats.x509 import pem_of
from store import access, tables
from store.orders import Order, fail_order, place_order
from tests.activities.test_issuance_manual import DAY, OutsideCA
from tests.api.conftest import House, open_house
from tests.api.test_reading import POLICY
from tests.domain.simulation import NAMES, World, broken, plan
from tests.policies import whole

KEY = "mc-1.1.1.1"
PATH = f"/v1/orders/{KEY}/certificate"
PEM = {"content-type": "application/x-pem-file"}
FENCED = "-----BEGIN {0} KEY-----\nAAAA\n-----END {0} KEY-----\n".format("PRIVATE")


async def an_open_order(house: House, database: Engine) -> None:
    """The case is approved and its order is placed; the issuer has not answered."""
    world = house.gateway.world
    world.fail = lambda step: broken(step) if isinstance(step, CollectOrder) else None
    approval = (await house.ask("GET", "/v1/approvals?state=pending")).json()["items"][0]["id"]
    decided = await house.ask("POST", f"/v1/approvals/{approval}/decision", json={"decision": "approve"})
    assert decided.status_code == 200
    world.run_until(world.now + timedelta(minutes=1))
    house.gateway.record()
    place_order(database, Order(KEY, "mc-1", plan(timedelta(days=365)), "person/head", "k-1", b"csr"), world.now)


@asynccontextmanager
async def open_order_under(policy: Path, database: Engine, world: World) -> AsyncIterator[tuple[House, bytes]]:
    """A house under that policy, with an order whose request can be answered; and that request (DER)."""
    app, gateway, tokens = open_house(database, world, str(policy))
    gateway.record()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://everleaf") as client:
        house = House(app, client, gateway, tokens)
        await an_open_order(house, database)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pay.example.in")])
        names = x509.SubjectAlternativeName([x509.DNSName(one) for one in NAMES])
        csr = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
        der = csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        with database.begin() as connection:
            connection.execute(sa.update(tables.orders).values(csr=der))
        yield house, der


def policy_of(root: bytes) -> str:
    """That of the order's issuer, which people reach, with its root."""
    issuer = {"name": "internal-ca", "kind": "manual", "trust_class": "private", "recognise": []}
    return whole(f"{POLICY}issuers: {json.dumps([issuer | {'roots': [pem_of([root]).decode()]}])}\n")


@dataclass
class Desk:
    """An order that waits, and the CA that answers it."""

    house: House
    database: Engine
    csr: bytes
    outside: OutsideCA

    def answer(self, **changes: Any) -> bytes:
        return pem_of([self.outside.sign(self.csr, **{"days": 365} | changes)])

    async def bring(self, content: bytes, **headers: str) -> httpx2.Response:
        return await self.house.ask("POST", PATH, "operator", content=content, headers={**PEM, **headers})

    def kept(self) -> list[access.Upload]:
        return access.uploads_for(self.database, KEY)


@pytest.fixture
async def desk(database: Engine, world: World, tmp_path: Path) -> AsyncIterator[Desk]:
    file, outside = tmp_path / "policy.yaml", OutsideCA(world.now)
    file.write_text(policy_of(outside.certificate))
    async with open_order_under(file, database, world) as (house, csr):
        yield Desk(house, database, csr, outside)


async def test_a_chain_is_kept_and_the_lifecycle_is_told(desk: Desk) -> None:
    shown = (await desk.house.ask("GET", f"/v1/orders/{KEY}", "noc")).json()
    assert shown["csr_pem"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    answer = await desk.bring(desk.answer())
    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["status"]) == ("supply", "done")
    (upload,) = desk.kept()
    assert upload.by.startswith("token/")


async def test_the_same_key_brings_it_once_also_when_its_order_is_closed_meanwhile(desk: Desk) -> None:
    headers, chain = {"idempotency-key": "one"}, desk.answer()
    first = await desk.bring(chain, **headers)
    fail_order(desk.database, KEY, ("the CA said no", ""), desk.house.gateway.world.now)
    again = await desk.bring(chain, **headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(desk.kept()) == 1
    assert (await desk.bring(desk.answer(), **headers)).status_code == 422


async def test_what_is_no_chain_is_refused_and_not_kept(desk: Desk) -> None:
    good = desk.answer()
    for content in (b"", b"nonsense", good[:200], good + FENCED.encode(), good * 11):
        answer = await desk.bring(content)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["remedy"]
    as_json = await desk.house.ask("POST", PATH, json={"pem": "x"})
    assert as_json.status_code == 415
    assert desk.kept() == []


async def test_nothing_is_brought_for_an_order_that_is_closed(desk: Desk) -> None:
    fail_order(desk.database, KEY, ("the CA said no", ""), desk.house.gateway.world.now)
    assert (await desk.bring(desk.answer())).status_code == 409


async def test_a_slip_of_whoever_brings_it_leaves_the_order_as_it_is_and_all_of_it_is_told(desk: Desk) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    answer = await desk.bring(desk.answer(key=other, names=("www.example.in",), days=3650))
    assert answer.status_code == 422
    (told,) = answer.json()["errors"]
    assert told["field"] == "chain"
    for said in ("another key than the request", "www.example.in was not ordered", "longer than ordered"):
        assert said in answer.text
    assert "The order stays open" in told["remedy"]
    assert desk.kept() == []
    assert (await desk.house.ask("GET", f"/v1/orders/{KEY}")).json()["state"] == "placed"
    assert (await desk.bring(desk.answer())).status_code == 202


async def test_the_blocks_of_an_answer_may_come_in_any_order(desk: Desk) -> None:
    issuing = OutsideCA(desk.house.gateway.world.now, "Bharat Issuing")
    between = issuing.crossed(desk.outside, desk.house.gateway.world.now + 300 * DAY)
    leaf = issuing.sign(desk.csr, days=365)
    answer = await desk.bring(pem_of([desk.outside.certificate, between, leaf]))
    assert answer.status_code == 202, answer.text


async def test_what_another_ca_issued_is_refused_before_anybody_trusts_it(desk: Desk) -> None:
    stranger = OutsideCA(desk.house.gateway.world.now)
    answer = await desk.bring(pem_of([stranger.sign(desk.csr, days=365), stranger.certificate]))
    assert answer.status_code == 422
    assert "does not come from internal-ca" in answer.text and "roots of issuer internal-ca" in answer.text


async def test_while_its_policy_file_is_bad_an_answer_is_judged_by_the_last_good_one(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    text = file.read_text()
    file.write_text(text[:-40])
    nothing = await desk.bring(desk.answer())
    assert nothing.status_code == 503 and "was cut" in nothing.text
    access.keep_policy(desk.database, version_of(text.encode()), text, desk.house.gateway.world.now)
    stranger = OutsideCA(desk.house.gateway.world.now)
    assert (await desk.bring(pem_of([stranger.sign(desk.csr, days=365)]))).status_code == 422
    assert (await desk.bring(desk.answer())).status_code == 202


async def test_without_any_policy_nothing_is_taken_unjudged(house: House, database: Engine) -> None:
    await an_open_order(house, database)
    outside = OutsideCA(house.gateway.world.now)
    answer = await house.ask("POST", PATH, "operator", content=pem_of([outside.certificate]), headers=PEM)
    assert answer.status_code == 503
    assert access.uploads_for(database, KEY) == []
