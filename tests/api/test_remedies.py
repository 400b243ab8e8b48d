"""Every kind of finding has a remedy on its page."""

from api.web.findings import REMEDIES
from domain.findings import Kind
from store.reader.places import OF_LIFECYCLES


def test_every_kind_of_finding_says_what_to_do_about_it() -> None:
    kinds = {kind.value for kind in Kind} | set(OF_LIFECYCLES)
    assert {kind for kind in kinds if kind.replace("-", " ") not in REMEDIES} == set()
