"""The words of the watcher's letters: what is wrong since when and what to do, or that it is over."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from activities.notifiers.base import Letter
from activities.notifiers.text import line, when
from domain.watching import Watched

# Of one kind; a storm of one kind is one fact.
MOST_NAMED = 20


def alarm(faults: Sequence[Watched], host: str) -> Letter:
    """One letter about all that must be told in one round."""
    return _letter("", faults, host, "What to do:")


def all_clear(faults: Sequence[Watched], host: str, now: datetime) -> Letter:
    """One letter about all that ended."""
    letter = _letter("all clear: ", faults, host, "")
    return Letter(letter.subject, f"It is over since {when(now)}. Nothing is left to do.\n\n{letter.body}")


def _letter(mark: str, faults: Sequence[Watched], host: str, to_do: str) -> Letter:
    counted = Counter(one.fault.kind for one in faults)
    first = faults[0].fault
    told = f"{first.kind}: {first.says}" if len(faults) == 1 else ", ".join(map(_many, counted.items()))
    parts: list[str] = []
    for kind, count in counted.items():
        named = [one for one in faults if one.fault.kind is kind]
        for one in named[:MOST_NAMED]:
            of = f" {one.fault.subject}" if one.fault.subject else ""
            lines = [f"{kind}{of}: {one.fault.says}", f"Since:       {when(one.since)}"]
            lines += [f"{to_do}  {one.fault.remedy}"] if to_do else []
            parts.append("\n".join(line(text) for text in lines))
        if count > MOST_NAMED:
            parts.append(f"and {count - MOST_NAMED} more of the same")
    foot = f"The watcher of Everleaf on {host} says this by its own way, without Temporal and without the database."
    return Letter(line(f"[Everleaf watch] {mark}{told}")[:200], "\n\n".join(parts) + f"\n\n-- \n{line(foot)}\n")


def _many(counted: tuple[str, int]) -> str:
    kind, count = counted
    return kind if count == 1 else f"{count} × {kind}"
