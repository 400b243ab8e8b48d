"""The roots that a policy names: each text read once, when the policy is, and never for the first time in a renewal."""

import re
from collections.abc import Iterable, Iterator, Sequence

from domain.errors import BadInput
from domain.policy_rules import Path, Problem
from formats.paths import PathBuilder
from formats.x509 import load_pem_chain, may_issue

_BEGIN = "-----BEGIN CERTIFICATE-----"
_SECRET = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PASTE = "Paste the PEM text itself under `- |`, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."


def anchors_of(roots: Iterable[str]) -> tuple[bytes, ...]:
    """The DER of every certificate in ``roots``, PEM as a policy holds it.  Raises BadInput."""
    return tuple(der for pem in roots for der in load_pem_chain(pem.encode()))


def paths_below(roots: Iterable[str]) -> PathBuilder:
    """Finds paths as whoever trusts ``roots`` does: every judgement under one policy must see the same ways."""
    return PathBuilder(anchors_of(roots))


def root_problems(roots: Sequence[str], of_issuers: Iterable[Sequence[str]]) -> Iterator[Problem]:
    """What is wrong with each text: of the policy's own, and ``of_issuers``; several certificates may stand in one.

    Whether one has expired is not asked: a policy that was good must not keep a worker from starting one day.
    """
    yield from _problems_at(("roots",), roots)
    for place, texts in enumerate(of_issuers):
        yield from _problems_at(("issuers", place, "roots"), texts)


def _problems_at(path: Path, roots: Sequence[str]) -> Iterator[Problem]:
    for index, text in enumerate(roots):
        found = _mistake(text)
        if found is not None:
            yield Problem((*path, index), *found)


def _mistake(text: str) -> tuple[str, str] | None:
    if _SECRET.search(text):
        return "holds a private key", "Take the key out, and treat it as disclosed: this file is stored and shown."
    if _BEGIN not in text:
        return "is not a PEM certificate", _PASTE
    try:
        chain = load_pem_chain(text.encode())
        if len(chain) != text.count(_BEGIN):
            return "holds a certificate that does not end", _PASTE
        strangers = [place for place, der in enumerate(chain, 1) if not may_issue(der)]
    except BadInput as error:
        return error.problem, _PASTE
    if strangers:
        return f"certificate {strangers[0]} of it is not of a CA", "Give the root of the CA, not what it has issued."
    return None
