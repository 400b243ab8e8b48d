"""A root that cannot be read is refused with the policy, not met by the first renewal."""

import json

import pytest
from cryptography.hazmat.primitives import serialization

from domain.errors import BadPolicy
from formats.policy import parse_policy
from formats.x509 import pem_of
from tests.formats.test_policy import GOOD
from tests.formats.test_x509 import certificate
from tests.policies import whole

ROOT, ROOT_KEY = certificate("root", 3650, ca=True)
LEAF, _ = certificate("leaf", 90, ("root", ROOT_KEY))
PEM = pem_of([ROOT]).decode()
ENDED = pem_of([certificate("ended", 0, ca=True)[0]]).decode()
SECRET = ROOT_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def policy_with(*roots: str) -> bytes:
    return whole(GOOD + "roots:\n" + "".join(f"  - {json.dumps(root)}\n" for root in roots)).encode()


def test_roots_are_read_also_several_in_one_text_and_one_that_has_expired() -> None:
    texts = (PEM, PEM + "another one:\n" + ENDED)
    assert parse_policy(policy_with(*texts)).roots == texts


@pytest.mark.parametrize(
    ("root", "problem"),
    [
        ("/etc/ssl/certs/ca.pem", "is not a PEM certificate"),
        (PEM.replace("MII", "M!I", 1), "cannot be read"),
        (PEM[: len(PEM) // 2], "cannot be read"),
        (PEM + PEM[: len(PEM) // 2], "does not end"),
        (PEM.replace("\n", "", 3).replace("M", "N"), "cannot be read"),
        (PEM + SECRET, "holds a private key"),
        (PEM + pem_of([LEAF]).decode(), "certificate 2 of it is not of a CA"),
    ],
)
def test_a_root_that_is_none_is_refused_with_its_line(root: str, problem: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        parse_policy(policy_with(PEM, root), "p.yaml")
    assert (refused.value.field, refused.value.line) == ("roots[1]", len(GOOD.splitlines()) + 3)
    assert problem in refused.value.problem and refused.value.remedy
    assert "PRIVATE" not in str(refused.value)
