import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from domain.errors import BadInput
from formats.bundle import load_bundle
from formats.x509 import pem_of
from tests.formats.test_x509 import certificate

ROOT, ROOT_KEY = certificate("root", 900, ca=True)
ISSUING, ISSUING_KEY = certificate("issuing", 300, ("root", ROOT_KEY), ca=True)
LEAF, _ = certificate("leaf", 90, ("issuing", ISSUING_KEY))


def test_the_leaf_of_a_bundle_comes_first_wherever_it_stands() -> None:
    for order in itertools.permutations((LEAF, ISSUING, ROOT)):
        read = load_bundle(pem_of(order))
        # What begins with its leaf is served as it is, and a wrong order is a finding of its own.
        assert read == (order if order[0] == LEAF else (LEAF, ISSUING, ROOT))
    assert load_bundle(pem_of((ROOT, LEAF))) == (LEAF, ROOT)
    assert load_bundle(pem_of((ISSUING, ISSUING, LEAF))) == (LEAF, ISSUING)


def test_of_cas_alone_it_is_the_one_that_another_issued() -> None:
    stranger, _ = certificate("stranger", 90, ca=True)
    assert load_bundle(pem_of((ROOT, ISSUING))) == (ISSUING, ROOT)
    assert load_bundle(pem_of((ISSUING,))) == (ISSUING,)
    assert load_bundle(pem_of((ROOT, stranger, ISSUING)))[:2] == (ISSUING, ROOT)


def test_a_leaf_with_the_wrong_ca_is_a_leaf_with_a_gap() -> None:
    stranger, _ = certificate("stranger", 90, ca=True)
    assert load_bundle(pem_of((stranger, LEAF))) == (LEAF, stranger)


def test_what_does_not_belong_together_is_not_guessed() -> None:
    other, _ = certificate("other", 90, ("issuing", ISSUING_KEY))
    stores = [certificate(f"root {n}", 90, ca=True)[0] for n in range(20)]
    for several in ((LEAF, ISSUING, other), (LEAF, other), stores, stores[:2]):
        with pytest.raises(BadInput, match="cannot be told"):
            load_bundle(pem_of(several))
    assert load_bundle(pem_of((*stores, LEAF)))[0] == LEAF


def test_certificates_that_issued_each_other_in_a_circle_have_no_leaf() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    circle = [certificate(one, 90, (other, key), ca=True, key=key)[0] for one, other in ("ab", "bc", "ca")]
    with pytest.raises(BadInput, match="cannot be told"):
        load_bundle(pem_of(circle))
