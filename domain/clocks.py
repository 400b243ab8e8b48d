"""Two witnesses of every clock, or three: a step does nothing by one that they do not confirm (DESIGN rule 12)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address

# Ours; the bound of a look from the future is the same (``domain.lifecycle.rules``, clock_skew).
TOLERANCE = timedelta(seconds=60)
OURS = "this machine's clock"
TEMPORAL, DATABASE = "Temporal", "the database"


def wrong_clock(own: datetime, witnesses: Mapping[str, datetime], here: Collection[str] = ()) -> str:
    """Which clock is wrong and by how much, in words; empty where every witness is within a minute of ``own``.

    ``witnesses``: name -> what it says at the instant at which ours says ``own``.  A clock is called wrong where all
    others agree against it; where no two agree nobody can say.  ``here``: which of them go by this machine's clock: one
    witness, however many parts repeat it.
    """
    far = {name: at - own for name, at in witnesses.items() if abs(at - own) > TOLERANCE}
    if not far:
        return ""
    near = [name for name in witnesses if name not in far]
    only_ours = all(name in here for name in near) and any(name not in here for name in far)
    if near and not only_ours:
        told = ", ".join(f"{name} is {_apart(by)} {', '.join([OURS, *near])}" for name, by in sorted(far.items()))
        return f"a clock is wrong: {told}"
    shifts = list(far.values())
    if not near and len(far) > 1 and max(shifts) - min(shifts) <= TOLERANCE:
        return f"a clock is wrong: {OURS} is {_apart(-shifts[0])} {', '.join(sorted(far))}"
    told = ", ".join(f"{name} is {_apart(by)} {OURS}" for name, by in sorted(far.items()))
    return f"clocks differ, and nobody can say which is wrong: {told}"


def is_here(host: str) -> bool:
    """Whether ``host`` is surely this machine: no name, the path of a socket, or what loops back."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _apart(by: timedelta) -> str:
    """ "100 days ahead of", "2 min behind"."""
    length = abs(by)
    if length >= timedelta(days=2):
        much = f"{length // timedelta(days=1)} days"
    elif length >= timedelta(hours=2):
        much = f"{length // timedelta(hours=1)} h"
    else:
        much = f"{length // timedelta(minutes=1)} min"
    return f"{much} {'ahead of' if by > timedelta() else 'behind'}"
