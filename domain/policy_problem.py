"""One mistake of a policy, and how its place in the file is told."""

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """``path``: keys and indexes from the top of the policy, as in its file."""

    path: Path
    problem: str
    remedy: str

    @property
    def field(self) -> str:
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip(".") or "policy"
