"""The API over a real PostgreSQL.  Its gateway is a fake that keeps its word: the real domain, the real warrants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy.engine import Engine

from api.engine_health import QUEUES, Pulse
from api.gateway import DiscoveryRun, Explanation, LiveRun
from api.main import build
from api.parts import Parts
from api.refusals import refusal_of
from domain import comparison as k
from domain import contracts as c
from domain.errors import Conflict, NotFound
from domain.lifecycle import events as e
from domain.lifecycle import view
from domain.lifecycle.commands import NotRedeemed, Redeemed, Reserve
from domain.lifecycle.explaining import explain
from domain.names import reconciliation_workflow
from domain.people.approval import refusal
from domain.people.messages import Decide, Receipt, Warranted, clean_code, code_hash
from domain.tiers import Person, Role, Tier
from store import access, facts
from tests.api.browsers import Browser, browser_of
from tests.domain.simulation import World


@dataclass
class WorldGateway:
    """One simulated lifecycle, ``mc-1``, and every discovery that was asked for.

    ``deaf``: it does not answer; ``together``: it answers nobody before so many have asked.
    """

    database: Engine
    world: World
    answered: dict[str, Receipt] = field(default_factory=dict)
    asked: list[c.DiscoveryRequest] = field(default_factory=list)
    discoveries: dict[str, DiscoveryRun] = field(default_factory=dict)
    compared: list[k.Reconcile] = field(default_factory=list)
    recorded: int = 0
    deaf: Exception | None = None
    together: asyncio.Barrier | None = None

    async def tell(self, managed_id: str, message: tuple[str, Warranted], update_id: str) -> Receipt:
        if self.deaf is not None:
            raise self.deaf
        if self.together is not None:
            await self.together.wait()
        if managed_id != self.world.state.managed_id or self.world.state.is_over:
            raise Conflict(f"retired: the lifecycle of {managed_id} has ended")
        if update_id in self.answered:
            return self.answered[update_id]
        name, body = message
        why = refusal(self.world.state, body, self.world.now)
        if why:
            raise refusal_of(why)
        receipt = self.world.tell(Reserve(body))
        if receipt.outcome == "accepted":
            redeemed = await asyncio.to_thread(
                access.redeem, self.database, warrant(name, body, update_id), self.world.now
            )
            if redeemed.allowed:
                receipt = self.world.tell(Redeemed(body, redeemed.actor))
            else:
                receipt = self.world.tell(NotRedeemed(body, redeemed.reason, redeemed.actor))
        self.answered[update_id] = receipt
        self.record()
        if receipt.outcome == "refused":
            raise refusal_of(receipt.detail)
        return receipt

    async def explain(self, managed_id: str) -> Explanation:
        if self.deaf is not None:
            raise self.deaf
        state = self.world.state
        if managed_id != state.managed_id or state.life is None or state.terms is None:
            raise NotFound(f"Temporal knows no lifecycle of {managed_id}.")
        return Explanation(explain(state), state.seq, state.life, state.terms)

    async def newest_run(self, managed_id: str) -> LiveRun | None:
        return LiveRun("run-2", self.world.state.generation, '{"events": []}', 0, True)

    async def start_discovery(self, request: c.DiscoveryRequest) -> None:
        if request.discovery_id not in self.discoveries:
            self.asked.append(request)
            self.discoveries[request.discovery_id] = DiscoveryRun(
                "running", progress={"done": 1, "pages": 3, "seen": 9}
            )

    async def start_reconciliation(self, request: k.Reconcile) -> None:
        if reconciliation_workflow(request.id) not in self.discoveries:
            self.compared.append(request)
            self.discoveries[reconciliation_workflow(request.id)] = DiscoveryRun("running")

    async def discovery(self, workflow_id: str, run_id: str = "") -> DiscoveryRun | None:
        return self.discoveries.get(workflow_id.removeprefix("discovery/"))

    async def pulse(self) -> Pulse:
        return Pulse(True, 1) if self.deaf is None else Pulse(False, unknown=QUEUES)

    async def answers(self) -> bool:
        return self.deaf is None

    def record(self) -> None:
        """Store what happened since the last time, as the lifecycle's recorder does."""
        state = self.world.state
        number = state.case.number if state.case else 0
        fresh = tuple(record_of(fact, state.generation, number) for fact in self.world.happened[self.recorded :])
        snapshot = view.snapshot(state, self.world.now)
        facts.record(self.database, c.RecordBatch(state.managed_id, "run-2", fresh, snapshot), "test", self.world.now)
        self.recorded = len(self.world.happened)


def record_of(fact: e.Happened, generation: int, number: int) -> c.EventRecord:
    return c.EventRecord(
        fact.seq, fact.event.kind, fact.at, fact.cause, generation, number, fact.by, e.facts(fact.event)
    )


def warrant(name: str, message: Warranted, command_id: str) -> c.RedeemWarrant:
    bound = message if isinstance(message, Decide) else None
    return c.RedeemWarrant(
        code_hash(message.code),
        clean_code(message.code),
        command_id,
        "mc-1",
        name,
        bound.case if bound else 0,
        bound.generation if bound else 0,
        bound.plan_version if bound else "",
    )


@dataclass
class House:
    """The API with one certificate; ``ask`` speaks with the token of a role ("" none, a token as it is)."""

    app: FastAPI
    client: httpx2.AsyncClient
    gateway: WorldGateway
    tokens: dict[str, str]

    async def ask(self, method: str, path: str, who: str = "security-head", **more: Any) -> httpx2.Response:
        token = self.tokens.get(who, who)
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)


def open_house(database: Engine, world: World, policy: str = "") -> tuple[FastAPI, WorldGateway, dict[str, str]]:
    gateway = WorldGateway(database, world)
    app = build(Parts(database, gateway, lambda: world.now, policy, "test", api_url="http://everleaf"))
    # Whom a browser that logs in as a head stands for; who is nobody decides nothing.
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.SECURITY_HEAD)])
    # Machines' that may decide: the people of these tests come and go with their policies.
    tokens = {
        role.value: access.create_token(database, name=role.value, role=role, may_decide=role in access.DECIDING)
        for role in Role
    }
    tokens["decider"] = access.create_token(database, name="bot", role=Role.AUTOMATION, may_decide=True)
    return app, gateway, tokens


@pytest.fixture
def world() -> World:
    """A customer-facing certificate that waits for an approval: 280 of its 365 days are over."""
    made = World(tier=Tier.CUSTOMER_FACING, age=timedelta(days=280))
    made.adopt()
    made.run_until(made.now + timedelta(minutes=1))
    return made


@pytest_asyncio.fixture
async def house(database: Engine, world: World) -> AsyncIterator[House]:
    app, gateway, tokens = open_house(database, world)
    gateway.record()
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://everleaf") as client:
        yield House(app, client, gateway, tokens)


@pytest_asyncio.fixture
async def head(house: House, database: Engine) -> Browser:
    return await browser_of(house, database, Role.SECURITY_HEAD)
