"""The JSON Schemas in ``docs`` are those of the code.

To write them anew: ``.venv/bin/python -m tests.formats.test_published_schemas``.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from domain.contracts import DiscoveryRequest
from formats.policy import policy_json_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"


def published() -> dict[str, dict[str, Any]]:
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {
        "discovery-request.schema.json": {
            "$schema": draft,
            **TypeAdapter(DiscoveryRequest).json_schema(),
            "additionalProperties": False,
        },
        "policy.schema.json": policy_json_schema(),
    }


@pytest.mark.parametrize("name", published())
def test_a_published_schema_has_not_drifted_from_the_code(name: str) -> None:
    assert json.loads((DOCS / name).read_text()) == published()[name]


if __name__ == "__main__":
    for name, schema in published().items():
        (DOCS / name).write_text(json.dumps(schema, indent=2) + "\n")
