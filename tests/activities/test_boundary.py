"""What a failure of the store is called at the one place where it becomes Temporal's."""

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from activities.boundary import store_failure_of


def failed(original: psycopg.Error) -> sa.exc.SQLAlchemyError:
    return sa.exc.OperationalError("SELECT 1", {}, original)


@pytest.mark.parametrize("busy", [LockNotAvailable, QueryCanceled, DeadlockDetected])
def test_a_database_that_others_keep_busy_is_not_called_an_absent_one(busy: type[psycopg.Error]) -> None:
    told = store_failure_of(failed(busy("canceling statement\nDETAIL: of a row")))

    assert (told.message, told.non_retryable) == (
        "The database answers, but others keep it busy: canceling statement",
        False,
    )


def test_a_database_that_is_gone_is_called_one() -> None:
    told = store_failure_of(failed(psycopg.OperationalError("connection refused")))

    assert told.message == "The database does not answer: connection refused"
