"""The policy file: YAML to domain values, refused with file, line, field and remedy; and its JSON Schema."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from domain.errors import BadPolicy
from domain.policy_rules import Path, Problem, problems, too_late
from domain.tiers import (
    Policy,
    Tier,
)
from formats.policy_form import EMPTY, PolicyFile, to_domain
from formats.policy_text import PolicyText, read_policy_text, without_addresses
from formats.roots import root_problems

# Whoever has more of them than this mends the first and asks again.
MOST_TOLD = 50
MISSING = "is missing"


def policy_json_schema() -> dict[str, Any]:
    """The JSON Schema of the policy file (2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def parse_policy(
    text: bytes, file: str = "policy.yaml", took: Mapping[Tier, Sequence[timedelta]] | None = None
) -> Policy:
    """The policy in ``text``.  Raises BadPolicy naming file, line, field and remedy of each problem that can be told
    at once: those of the values show when those of the form are mended.

    ``took``: how long renewals took, where that is known; a policy that is set leaves that much time.
    """
    read = read_policy_text(text, file)
    try:
        form = PolicyFile.model_validate(read.tree)
    except ValidationError as error:
        raise _refusal(file, read, _of_form(error)) from error
    policy = to_domain(form, version_of(text))
    found = (*problems(policy), *root_problems(form.roots, [row.roots for row in form.issuers]))
    if not found:
        # Only a ladder that is whole can be held against how long renewals took.
        found = tuple(one for tier, times in (took or {}).items() for one in too_late(policy, tier, times))
    if found or read.cut:
        raise _refusal(file, read, found)
    return policy


def kept_policy(text: str, version: str) -> Policy:
    """One that was in force, as the store has it.  Raises BadPolicy where this release cannot read it.

    It was judged before it came into the store, and by the release of that day: releases before 0.3.0 asked for no end
    mark, and let empty parts be left out.  So what must be whole and true in a file is not asked here again.
    """
    read = read_policy_text(text.encode(), version)
    try:
        form = PolicyFile.model_validate({**EMPTY, **read.tree})
    except ValidationError as error:
        raise _refusal(version, PolicyText(read.tree, None), _of_form(error)) from error
    return to_domain(form, version)


def version_of(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _of_form(error: ValidationError) -> list[Problem]:
    return [_mistake(dict(found)) for found in error.errors(include_url=False)]


def _mistake(found: Mapping[str, Any]) -> Problem:
    path = tuple(part for part in found["loc"] if not (isinstance(part, str) and "[" in part))
    if found["type"] == "extra_forbidden":
        return Problem(path, "is not a field of a policy", "Remove it, or correct the spelling.")
    if found["type"] == "missing" and len(path) == 1:
        return Problem(path, MISSING, f"Every part is named: where it is empty, write `{_empty(str(path[0]))}`.")
    if found["type"] == "missing":
        return Problem(path, MISSING, "Add it; demo/policy.yaml shows every field.")
    if found["input"] is None and len(path) == 1 and path[0] in EMPTY:
        return Problem(path, "is followed by nothing", f"Where it is empty, write `{_empty(str(path[0]))}`.")
    return Problem(path, found["msg"].removeprefix("Value error, "), "demo/policy.yaml shows what may stand there.")


def _empty(part: str) -> str:
    return f"{part}: {EMPTY[part]}"


def _refusal(file: str, read: PolicyText, found: Sequence[Problem]) -> BadPolicy:
    """All of it as one: slips, then a cut, then what the cut explains: missing parts and a torn last line."""
    told = []
    for one in found:
        field, problem = without_addresses(one.field), without_addresses(one.problem)
        told.append(BadPolicy(file, _line(read.tree, one.path), field, problem, one.remedy))
    if cut := read.cut:
        explained = [one for one in told if one.problem == MISSING or one.line >= cut.line]
        told = [*(one for one in told if one not in explained), cut, *explained]
    told[0].others = tuple(told[1:MOST_TOLD])
    return told[0]


def _line(tree: Any, path: Path) -> int:
    """The line, from 1, of ``path`` in the loaded file, or of the deepest part of it that is there."""
    line = 0
    for key in path:
        places = getattr(tree, "lc", None)
        try:
            position = places.key(key) if isinstance(tree, dict) else places.item(key)  # type: ignore[union-attr]  # None is caught
            line, tree = position[0], tree[key]
        except (KeyError, IndexError, AttributeError, TypeError):
            break
    return line + 1
