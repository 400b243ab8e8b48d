"""The one place where an EverleafError becomes a Temporal failure.

``type`` is the class's name, ``non_retryable`` its ``permanent``.  Causes stay behind: a failure is shown to whoever
may open the Temporal UI, and a cause could hold what our own messages never do.
"""

import logging
from typing import Any

import sqlalchemy.exc
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import EverleafError, NotReady

log = logging.getLogger(__name__)

# A lock that was waited for in vain, a statement that took too long, two that waited for each other.
BUSY = (LockNotAvailable, QueryCanceled, DeadlockDetected)


def failure_of(error: EverleafError) -> ApplicationError:
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=error.permanent)


def store_failure_of(error: sqlalchemy.exc.SQLAlchemyError) -> ApplicationError:
    """A database that does not answer is tried again, however it says so; and so is one that others keep busy."""
    original = getattr(error, "orig", None)
    lines = str(original or error).splitlines() or [type(error).__name__]
    if isinstance(original, BUSY):
        return failure_of(NotReady(f"The database answers, but others keep it busy: {lines[0]}"))
    return failure_of(NotReady(f"The database does not answer: {lines[0]}"))


class _Boundary(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await self.next.execute_activity(input)
        except EverleafError as error:
            log.warning("activity failed", extra={"activity": input.fn.__name__, "error": type(error).__name__})
            raise failure_of(error) from None
        except (
            sqlalchemy.exc.OperationalError,
            sqlalchemy.exc.InterfaceError,
            sqlalchemy.exc.TimeoutError,
        ) as error:
            log.warning("no database", extra={"activity": input.fn.__name__, "error": type(error).__name__})
            raise store_failure_of(error) from None


class Boundary(Interceptor):
    """Give one to every Worker: ``Worker(..., interceptors=[Boundary()])``."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Boundary(next)
