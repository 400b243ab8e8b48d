"""Whatever a machine writes to start a discovery is a request, or is refused with its field and a remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contracts import DiscoveryRequest
from domain.discovery_request import discovery_request
from domain.errors import BadInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cidrs", "ports", "x", "\0"]), inner),
)


@given(JSON)
def test_nothing_but_a_request_or_a_refusal_comes_of_it(written: object) -> None:
    try:
        said = repr(discovery_request(written))
    except BadInput as refused:
        said = str(refused) if refused.remedy else "no remedy"
    assert said.startswith(("DiscoveryRequest(", "input"))
    assert said.isprintable()


def test_a_request_is_read() -> None:
    written = {"discovery_id": "d-1", "source": "vpn-team", "cidrs": ["10.0.0.0/24"], "ports": [1, 65535]}
    assert discovery_request(written) == DiscoveryRequest("d-1", "vpn-team", ("10.0.0.0/24",), (1, 65535))
    assert discovery_request(None) == discovery_request({}) == DiscoveryRequest()


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"ports": [True]}, "input.ports[0]"),
        ({"ports": [443, 65536]}, "input.ports[1]"),
        ({"ports": [4.5]}, "input.ports[0]"),
        ({"names": ["a\nb"]}, "input.names[0]"),
        ({"paths": ["/" + "a" * 5000]}, "input.paths[0]"),
        ({"source": "x" * 201}, "input.source"),
        ({"discovery_id": 7}, "input.discovery_id"),
        ({"cidrs": None}, "input.cidrs"),
        ({"Cidrs": []}, "input.Cidrs"),
        (0, "input"),
    ],
)
def test_a_slip_is_refused_by_its_field(written: object, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        discovery_request(written)
    assert refused.value.field == field
