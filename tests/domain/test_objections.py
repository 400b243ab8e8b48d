"""What is brought for an order, and the last fence of our own CA: each check holds back exactly what it is for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.certificate import TrustClass
from domain.objections import BROUGHT, LAST_FENCE, Candidate, Check, Standard, objections
from tests.domain.simulation import START

DAY = timedelta(days=1)
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
GOOD = Candidate(
    names=("a.example",),
    other_names=(),
    usages=(SERVER,),
    algorithm="ecdsa",
    key_bits=256,
    signature_hash="sha256",
    not_before=START,
    ends_at=START + 90 * DAY,
    trust_class=TrustClass.PRIVATE,
    spki="aa",
)
ORDERED = Standard(
    now=START,
    names=("a.example",),
    trust_class=TrustClass.PRIVATE,
    usages=(SERVER,),
    algorithm="ecdsa",
    least_key_bits=256,
    shortest=45 * DAY,
    longest=91 * DAY,
    spki="aa",
)
EVERY: list[tuple[dict[str, object], str]] = [
    ({"spki": "bb"}, "other-key"),
    ({"names": ("a.example", "b.example")}, "other-names"),
    ({"algorithm": "rsa", "key_bits": 4096}, "other-algorithm"),
    ({"key_bits": 224}, "short-key"),
    ({"signature_hash": "sha1"}, "weak-signature"),
    ({"is_ca": True}, "ca-certificate"),
]
OF_AN_UPLOAD: list[tuple[dict[str, object], str]] = [
    ({"usages": (CLIENT,)}, "other-usages"),
    ({"usages": (SERVER, CLIENT)}, "other-usages"),
    ({"usages": ()}, "other-usages"),
    ({"other_names": ("login root",)}, "unordered-names"),
    ({"stranger": "it does not come from it"}, "other-issuer"),
    ({"ends_at": START + 92 * DAY}, "too-long"),
    ({"trust_class": TrustClass.SELF_SIGNED}, "trust-class"),
    ({"flaw": "expired: CN=Intermediate"}, "bad-path"),
    ({"not_before": START + DAY, "ends_at": START + 91 * DAY}, "not-begun"),
    ({"ends_at": START + 40 * DAY}, "ends-too-soon"),
]
OF_OUR_CA: list[tuple[dict[str, object], str]] = [
    ({"usages": (SERVER, CLIENT)}, "other-usages"),
    ({"ends_at": START + 92 * DAY}, "too-long"),
]


@pytest.mark.parametrize("chain", [BROUGHT, LAST_FENCE], ids=["brought", "last fence"])
def test_what_was_ordered_meets_no_objection(chain: tuple[Check, ...]) -> None:
    assert objections(GOOD, ORDERED, chain) == ()


@pytest.mark.parametrize(
    ("chain", "changes", "reason"),
    [(BROUGHT, *one) for one in (*EVERY, *OF_AN_UPLOAD)] + [(LAST_FENCE, *one) for one in (*EVERY, *OF_OUR_CA)],
)
def test_each_fault_meets_its_own_objection_alone(
    chain: tuple[Check, ...], changes: dict[str, object], reason: str
) -> None:
    found = objections(replace(GOOD, **changes), ORDERED, chain)  # type: ignore[arg-type]  # any field
    assert [one.reason for one in found] == [reason]
    assert found[0].message
