"""The answer of a manual issuer: read, refused where it is wrong, and told to the lifecycle that waits for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy.engine import Engine

from domain.contracts import CollectOrder
from formats.x509 import pem_of
from store import access, tables
from store.orders import Order, fail_order, place_order
from tests.activities.test_issuance_manual import OutsideCA
from tests.api.conftest import House, open_house
from tests.api.test_reading import POLICY
from tests.domain.simulation import NAMES, World, broken, plan
from tests.policies import whole

KEY = "mc-1.1.1.1"
PEM = {"content-type": "application/x-pem-file"}
FENCED = "-----BEGIN {0} KEY-----\nAAAA\n-----END {0} KEY-----\n".format("PRIVATE")


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pay.example.in")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=90))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


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


async def test_a_chain_is_kept_and_the_lifecycle_is_told(house: House, database: Engine) -> None:
    await an_open_order(house, database)
    shown = (await house.ask("GET", f"/v1/orders/{KEY}", "noc")).json()
    assert shown["csr_pem"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    answer = await house.ask("POST", f"/v1/orders/{KEY}/certificate", "operator", content=certificate(), headers=PEM)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["status"]) == ("supply", "done")
    uploads = access.uploads_for(database, KEY)
    assert len(uploads) == 1
    assert uploads[0].by.startswith("token/")


async def test_the_same_key_brings_it_once_also_when_its_order_is_closed_meanwhile(
    house: House, database: Engine
) -> None:
    await an_open_order(house, database)
    path, headers, chain = f"/v1/orders/{KEY}/certificate", {**PEM, "idempotency-key": "one"}, certificate()
    first = await house.ask("POST", path, "operator", content=chain, headers=headers)
    fail_order(database, KEY, ("the CA said no", ""), house.gateway.world.now)
    again = await house.ask("POST", path, "operator", content=chain, headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(access.uploads_for(database, KEY)) == 1
    other = await house.ask("POST", path, "operator", content=certificate(), headers=headers)
    assert other.status_code == 422


async def test_what_is_no_chain_is_refused_and_not_kept(house: House, database: Engine) -> None:
    await an_open_order(house, database)
    path = f"/v1/orders/{KEY}/certificate"
    for content in (b"", b"nonsense", certificate()[:200], certificate() + FENCED.encode(), certificate() * 11):
        answer = await house.ask("POST", path, content=content, headers=PEM)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["remedy"]
    as_json = await house.ask("POST", path, json={"pem": "x"})
    assert as_json.status_code == 415
    assert access.uploads_for(database, KEY) == []


async def test_nothing_is_brought_for_an_order_that_is_closed(house: House, database: Engine) -> None:
    await an_open_order(house, database)
    fail_order(database, KEY, ("the CA said no", ""), house.gateway.world.now)
    answer = await house.ask("POST", f"/v1/orders/{KEY}/certificate", content=certificate(), headers=PEM)
    assert answer.status_code == 409


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


async def test_a_slip_of_whoever_brings_it_leaves_the_order_as_it_is(
    database: Engine, world: World, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(whole(POLICY))
    async with open_order_under(file, database, world) as (house, _):
        answer = await house.ask("POST", f"/v1/orders/{KEY}/certificate", content=certificate(), headers=PEM)
        assert answer.status_code == 422
        told = answer.json()["errors"][0]
        assert told["field"] == "chain"
        assert "another key than the request" in answer.text
        assert "The order stays open" in told["remedy"]
        assert access.uploads_for(database, KEY) == []
        assert (await house.ask("GET", f"/v1/orders/{KEY}")).json()["state"] == "placed"


async def test_what_a_root_of_the_policy_issued_is_brought_without_that_root(
    database: Engine, world: World, tmp_path: Path
) -> None:
    file, outside = tmp_path / "policy.yaml", OutsideCA(world.now)
    file.write_text(whole(POLICY))
    async with open_order_under(file, database, world) as (house, csr):
        content = pem_of([outside.sign(csr, days=365)])
        unknown = await house.ask("POST", f"/v1/orders/{KEY}/certificate", content=content, headers=PEM)
        assert "add the CA's certificate" in unknown.text
        file.write_text(whole(f"{POLICY}roots: {json.dumps([pem_of([outside.certificate]).decode()])}\n"))
        known = await house.ask("POST", f"/v1/orders/{KEY}/certificate", content=content, headers=PEM)
        assert known.status_code == 202, known.text
