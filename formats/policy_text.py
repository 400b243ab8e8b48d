"""The text of a policy file to its tree: what was cut, mangled or made to cost time is refused with its own line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.parser import ParserError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import ScannerError

from domain.errors import BadPolicy

# Ten times the policy of an operator with every service in it, and its roots.
MOST_BYTES = 1_048_576
# A policy has seven levels: rungs of tiers, values of `when`.  The reader's time grows with the square of the depth.
DEEPEST = 16
# An alias is read at each place that names it: nine lines of nine each are a milliard values.
MOST_VALUES = 100_000

END_MARK = "..."
_END = re.compile(r"\.\.\.\s*(#.*)?")
_NOTHING = re.compile(r"\s*(#.*)?")
# What YAML 1.2 allows (5.1), as its reader has it.
_UNPRINTABLE = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Not `name@10.0.4.7` of the scope, which is no mailbox.
_MAILBOX = re.compile(r"[^\s'\"<>,;]+@[^\s'\"<>,;@]*\.[A-Za-z][^\s'\"<>,;]*")
_LOOK = "Check indentation, colons, brackets and quotes there."


@dataclass(frozen=True, slots=True)
class PolicyText:
    """``tree``: mappings that know their lines.  ``cut``: why the text may not be whole, or None where it says so."""

    tree: dict[str, Any]
    cut: BadPolicy | None


def read_policy_text(text: bytes, file: str) -> PolicyText:
    """Raises BadPolicy with the line of what makes ``text`` unreadable, in the time that any other file takes."""
    written = _decoded(text, file)
    cut = _why_cut(written, file)
    try:
        tree = _yaml().load(written)
    except YAMLError as error:
        raise _syntax(error, file, written, cut) from error
    if not isinstance(tree, dict):
        if tree is None and cut:
            # Nothing, or comments alone: what is left of a file that was cut early.
            raise cut
        told = "Begin like demo/policy.yaml: tiers, people, owners, rules."
        raise BadPolicy(file, 1, "policy", "is not a mapping", told)
    return PolicyText(tree, cut)


def without_addresses(text: str) -> str:
    """A refusal stands in logs and tickets, where nobody's address belongs (RFC 6973 5.2.2)."""
    return _MAILBOX.sub("[an address]", text)


def _decoded(text: bytes, file: str) -> str:
    if len(text) > MOST_BYTES:
        told = "Name globs and CIDRs instead of hosts, and take out what is no policy."
        raise BadPolicy(file, 1, "policy", f"has more than {MOST_BYTES} bytes", told)
    try:
        written = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise BadPolicy(file, line, "policy", "is not UTF-8 text", "Save the file as UTF-8.") from error
    odd = _UNPRINTABLE.search(written)
    if odd:
        line = written.count("\n", 0, odd.start()) + 1
        told = "a NUL byte" if odd[0] == "\0" else f"the control character U+{ord(odd[0]):04X}"
        remedy = "Take it out; a file full of them was damaged: fetch it from your version control."
        raise BadPolicy(file, line, "policy", f"holds {told}", remedy)
    return written


def _why_cut(written: str, file: str) -> BadPolicy | None:
    """Why ``written`` may be the beginning of another file, or two that were joined.

    A policy that lost its end reads as a smaller one, and a smaller one alarms fewer people: so its end is marked.
    """
    lines = written.rstrip().split("\n")
    ends = next((number for number, line in enumerate(lines, 1) if _END.fullmatch(line.rstrip("\r"))), None)
    if ends is None:
        remedy = f"Compare it with the file that you meant; if it is whole, write `{END_MARK}` as its last line."
        # Where the mark is missing: behind the last line, or where that one breaks off.
        return BadPolicy(file, written.count("\n") + 1, "policy", f"was cut: it does not end with `{END_MARK}`", remedy)
    behind = next((number for number, line in enumerate(lines[ends:], ends + 1) if not _NOTHING.fullmatch(line)), None)
    if behind is None:
        return None
    told = f"goes on behind its end, the `{END_MARK}` of line {ends}"
    return BadPolicy(file, behind, "policy", told, "Keep one policy in one file, with the mark as its last line.")


def _syntax(error: YAMLError, file: str, written: str, cut: BadPolicy | None) -> BadPolicy:
    line, problem, remedy = _place_of(error, written)
    told = BadPolicy(file, line, "policy", without_addresses(problem), remedy)
    if cut is None:
        return told
    # What is not closed where the text ends was closed further down, before somebody cut it.
    is_torn = line >= cut.line and isinstance(error, ScannerError | ParserError)
    first, other = (cut, told) if is_torn else (told, cut)
    first.others = (other,)
    return first


def _place_of(error: YAMLError, written: str) -> tuple[int, str, str]:
    if isinstance(error, _Refused):
        return error.line, error.problem_told, error.remedy
    if isinstance(error, DuplicateKeyError):
        # Its own words show both values, whatever they are.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return line, "holds a key twice", "Keep one of them."
    if isinstance(error, MaxDepthExceededError):
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return line, f"is nested more than {DEEPEST} deep", "Compare it with demo/policy.yaml."
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        problem = f"is not YAML: {error.problem or error.context or 'cannot be read'}".splitlines()[0]
        return (mark.line + 1 if mark else 1), problem, _LOOK
    if isinstance(error, ReaderError):
        return written.count("\n", 0, int(error.position)) + 1, "holds a character that YAML does not allow", _LOOK
    return 1, "is not YAML", _LOOK


class _Refused(YAMLError):
    """YAML that is allowed, and no policy."""

    def __init__(self, node: Node, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.line, self.problem_told, self.remedy = node.start_mark.line + 1, problem, remedy


class _Composer(Composer):
    """Refuses doubled keys, keys that are no words, aliases that explode; ruamel itself bounds the depth."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self._values: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.parser.check_event(AliasEvent)
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._values:
            raise _Refused(node, "refers to itself", "Write it out.")
        if not is_alias:
            self._values[id(node)] = 1 + sum(self._values[id(one)] for one in _below(node))
        if self._values[id(node)] > MOST_VALUES:
            raise _Refused(node, f"stands for more than {MOST_VALUES} values", "Use no aliases of aliases.")
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise _Refused(key, "has a list or a mapping where a key stands", "Write a word before the colon.")
            line = key.start_mark.line + 1
            if key.value in seen:
                told = f"holds the key {key.value[:40]!r} twice, in line {seen[key.value]} and in line {line}"
                raise _Refused(key, told, "Keep one of them, with everything that belongs to it.")
            seen[key.value] = line
        return node


class _Constructor(RoundTripConstructor):
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            # A thirteenth month, a number that is none: they come through as they are.
            problem = "holds a date or number that cannot be read"
            raise _Refused(node, problem, "Write it in quotes, or as demo/policy.yaml has it.") from error


def _below(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif not isinstance(node, ScalarNode):
        yield from node.value


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.Composer, yaml.Constructor = _Composer, _Constructor
    yaml.max_depth = DEEPEST
    return yaml
