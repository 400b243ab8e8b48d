"""Requests that nobody would think of, with the token of each role: every answer is one that is described."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.python.asgi import HOST
from sqlalchemy.engine import Engine

from api.auth import ROLES
from api.describe import operations
from api.gateway import DiscoveryRun
from api.rates import Rates
from domain.tiers import Role
from store.orders import Order, place_order
from tests.api.conftest import open_house
from tests.api.test_reading import POLICY
from tests.domain.simulation import World, plan
from tests.policies import whole

# Per role, operation and mode; the suite spends about a minute here on two cores.
REQUESTS = 12
CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# What there is in the house: without it, most requests would end at 404.
KNOWN = {"certificate_id": "mc-1", "approval_id": "mc-1.1.1", "discovery_id": "d-1", "order_key": "mc-1.1.1.1"}


@pytest.mark.parametrize("role", sorted(Role))
def test_every_answer_is_one_that_is_described(database: Engine, world: World, role: Role, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(whole(POLICY))
    app, gateway, tokens = open_house(database, world, str(file))
    gateway.record()
    gateway.discoveries["d-1"] = DiscoveryRun("running", progress={"done": 1, "pages": 3, "seen": 9})
    order = Order(KNOWN["order_key"], "mc-1", plan(world.length), "person/head", "k-1", b"csr")
    place_order(database, order, world.now)
    app.state.rates = Rates(calls=10**9)
    # The name by which its client calls.
    app.state.parts = replace(app.state.parts, api_url=f"http://{HOST}")
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    for _, _, described in operations(app.openapi()):
        operation = schema.find_operation_by_id(described["operationId"])
        for mode in GenerationMode:
            # What has neither parameter nor body nor token cannot be asked wrongly.
            if mode is GenerationMode.POSITIVE or described["operationId"] in ROLES:
                ask_about((operation, mode), {"authorization": f"Bearer {tokens[role.value]}"})


def ask_about(asked: tuple[Any, GenerationMode], headers: dict[str, str]) -> None:
    """``asked``: (operation, whether it is asked rightly or wrongly)."""
    operation, mode = asked
    checks = CHECKS.get_by_names(list(CHECKED))

    @seed(20261124)
    @settings(
        max_examples=REQUESTS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known:
            case.path_parameters = {
                name: KNOWN.get(name, given) for name, given in (case.path_parameters or {}).items()
            }
        answer = case.call(headers=headers)
        # Described, because that is honest; never to be seen here, because each is a fault of ours.
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=checks)

    ask()
