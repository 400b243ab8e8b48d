"""The scanners by endpoint scheme.  To add one: one file with a class like ``Scanner``, one line in the table."""

from collections.abc import Callable

from activities.scanners.base import Clock, Scanner
from activities.scanners.files import FileScanner
from activities.scanners.tls import TLSScanner
from domain.tiers import Scope

SCANNERS: dict[str, Callable[[Clock, Scope], Scanner]] = {
    "tls": lambda clock, scope: TLSScanner(clock),
    "file": lambda clock, scope: FileScanner(clock, scope.paths),
}
