"""What a comparison found, as a person reads it on a terminal."""

from io import StringIO
from typing import get_args

import pytest
from rich.console import Console

from cli.showing import reconciliation
from domain.reconciling import Kind


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("applied", [True, False])
def test_every_difference_is_told_with_what_becomes_of_it(kind: str, applied: bool) -> None:
    said = StringIO()
    one = {"kind": kind, "managed_id": "mc-1", "name": "a.example.in", "detail": "why", "told": True}
    found = {"living": 2, "running": 1, "differences": [one], "counts": {kind: 3}, "held_since": None}
    reconciliation({**found, "applied": applied}, Console(file=said, width=200))
    first, second, third = said.getvalue().splitlines()
    assert first == "2 certificates live, 1 lifecycles run."
    assert second.startswith("a.example.in (mc-1): why; ") and len(second.partition("; ")[2]) > 10
    assert third == "and 2 more"
