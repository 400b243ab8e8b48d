"""The description in ``docs/openapi.json`` is that of the code, and it is whole."""

from typing import Any

import jsonschema_rs
import pytest

from api.auth import ROLES
from api.describe import HEADERS, operations
from api.describe_file import FILE, text
from api.main import description

DESCRIBED = description()
OPERATIONS = {operation["operationId"]: operation for _, _, operation in operations(DESCRIBED)}


def test_the_committed_description_has_not_drifted_from_the_code() -> None:
    assert FILE.read_text() == text(DESCRIBED), "write it anew: .venv/bin/python -m api.describe_file"


def test_every_route_of_the_table_is_described_once() -> None:
    assert len(OPERATIONS) == len(list(operations(DESCRIBED)))
    assert set(OPERATIONS) == set(ROLES) | {"get_directory", "get_liveness", "get_readiness"}
    assert DESCRIBED["openapi"].startswith("3.1")


def contents(name: str) -> list[tuple[dict[str, Any], Any]]:
    """(Schema, example) of each body that is sent and of each good answer."""
    operation = OPERATIONS[name]
    whole = [
        operation.get("requestBody", {}),
        *(told for told in operation["responses"].values() if "$ref" not in told),
    ]
    return [(content["schema"], content["example"]) for told in whole for content in told.get("content", {}).values()]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_example_is_what_its_schema_says(name: str) -> None:
    assert contents(name)
    for schema, example in contents(name):
        whole = {"components": DESCRIBED["components"], **schema}
        jsonschema_rs.Draft202012Validator(whole).validate(example)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_every_guarded_operation_says_what_it_refuses(name: str) -> None:
    operation = OPERATIONS[name]
    assert {"401", "422", "429", "500", "503"} <= set(operation["responses"])
    assert "default" not in operation["responses"]
    assert operation["x-roles"] == sorted(ROLES[name])
    for status, answer in operation["responses"].items():
        assert "$ref" in answer or status.startswith(("2", "3"))


def test_headers_are_described_where_they_are_sent() -> None:
    assert "Link" in OPERATIONS["list_approvals"]["responses"]["200"]["headers"]
    assert "ETag" in OPERATIONS["get_approval"]["responses"]["304"]["headers"]
    assert {"Location", "Retry-After"} <= set(OPERATIONS["start_discovery"]["responses"]["202"]["headers"])
    assert {"409", "412"} <= set(OPERATIONS["decide_approval"]["responses"])
    assert "RateLimit" in OPERATIONS["who_am_i"]["responses"]["200"]["headers"]
    problems = DESCRIBED["components"]["responses"]
    assert all("Retry-After" in problems[f"Problem{status}"]["headers"] for status in (429, 503))
    assert set(DESCRIBED["components"]["headers"]) == set(HEADERS)
