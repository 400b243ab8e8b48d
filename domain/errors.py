"""Everything Everleaf raises on purpose, as one tree.

EverleafError
├── NotFound            what was named does not exist
├── Refused             a rule says no; the message names the rule and what to do instead
│   ├── Conflict        somebody else was first, or it is decided already
│   └── Stale           it was decided on a version that has changed since
├── NotAllowed          this actor may not do that
├── BadInput            the input is wrong; names the field and the remedy
│   └── BadPolicy       the same for a policy file: file, line, field, remedy
├── NotReady            a part we need does not answer; try again (transient)
│   └── ClockWrong      two clocks differ by more than a minute; names which (transient: clocks are mended)
├── TargetUnreachable   a deployment target does not answer; try again (transient)
├── TargetRefused       a deployment target answered no; a person must act
├── CAUnavailable       a CA does not answer; try again (transient)
└── CARefused           a CA answered no; a person or another plan is needed
"""

from typing import ClassVar


class EverleafError(Exception):
    """Raised on purpose.  ``permanent``: the same call can never succeed; a person or a new input is needed."""

    permanent: ClassVar[bool] = False


class NotFound(EverleafError):
    permanent = True


class Refused(EverleafError):
    permanent = True


class Conflict(Refused):
    pass


class Stale(Refused):
    pass


class NotAllowed(EverleafError):
    permanent = True


class BadInput(EverleafError):
    """``field`` is the path of what is wrong, ``remedy`` what to write instead."""

    permanent = True

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{field}: {problem}" + (f". {remedy}" if remedy else ""))
        self.field = field
        self.problem = problem
        self.remedy = remedy


class BadPolicy(BadInput):
    """A policy that is not accepted, for its first mistake; ``line`` counts from 1; ``others``: those behind it."""

    others: tuple["BadPolicy", ...] = ()

    def __init__(self, file: str, line: int, field: str, problem: str, remedy: str) -> None:
        EverleafError.__init__(self, f"{file}:{line}: {field}: {problem}. {remedy}")
        self.file = file
        self.line = line
        self.field = field
        self.problem = problem
        self.remedy = remedy


class NotReady(EverleafError):
    pass


class ClockWrong(NotReady):
    pass


class TargetUnreachable(EverleafError):
    pass


class TargetRefused(EverleafError):
    permanent = True


class CAUnavailable(EverleafError):
    pass


class CARefused(EverleafError):
    permanent = True
