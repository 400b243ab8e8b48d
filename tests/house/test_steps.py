"""Each step that workflows may take is one activity, of the same name and types: they never import each other."""

import importlib
import inspect
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints


def steps() -> dict[str, Any]:
    """Step name -> the step: an object with ``name``, ``takes`` and ``gives``."""
    found = importlib.import_module("workflows.steps").STEPS
    return {step.name: step for step in found}


def activities() -> dict[str, list[Callable[..., Any]]]:
    """Activity name -> every function or method defined under it."""
    found: dict[str, list[Callable[..., Any]]] = defaultdict(list)
    package = importlib.import_module("activities")
    for module in pkgutil.walk_packages(package.__path__, "activities."):
        for name, function in defined_in(importlib.import_module(module.name)):
            found[name].append(function)
    return found


def defined_in(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    candidates = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    methods = [
        member for value in candidates if inspect.isclass(value) for member in vars(value).values() if callable(member)
    ]
    for function in (*candidates, *methods):
        definition = getattr(function, "__temporal_activity_definition", None)
        if definition is not None:
            yield definition.name, function


def types_of(function: Callable[..., Any]) -> tuple[Any, Any]:
    hints = get_type_hints(function)
    gives = hints.pop("return", None)
    takes = list(hints.values())
    return (takes[0] if takes else None), gives


def test_every_step_is_exactly_one_activity() -> None:
    known = activities()
    wrong = {name: len(known.get(name, ())) for name in steps() if len(known.get(name, ())) != 1}
    assert not wrong


def test_every_activity_is_a_step() -> None:
    assert not set(activities()) - set(steps())


def test_a_step_and_its_activity_have_the_same_types() -> None:
    known = activities()
    wrong = {
        name: f"step {(step.takes, step.gives)}, activity {types_of(known[name][0])}"
        for name, step in steps().items()
        if known.get(name) and types_of(known[name][0]) != (step.takes, step.gives)
    }
    assert not wrong
