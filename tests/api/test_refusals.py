"""What a lifecycle refused is told in its words; what broke in it is not taken for a refusal."""

from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from api.gateway import TemporalGateway
from domain.errors import Conflict, EverleafError, NotReady
from domain.people.messages import RenewNow


class FailingLifecycle:
    """A client and its handle in one: every update fails with ``failure``."""

    def __init__(self, failure: ApplicationError) -> None:
        self.failure = failure

    def get_workflow_handle(self, *_: Any, **__: Any) -> "FailingLifecycle":
        return self

    get_workflow_handle_for = get_workflow_handle

    async def execute_update(self, *_: Any, **__: Any) -> None:
        raise WorkflowUpdateFailedError(self.failure)


@pytest.mark.parametrize(
    ("text", "kind", "raised"),
    [
        ("date value out of range", "OverflowError", NotReady),
        ("invalid literal for int()", "ValueError", NotReady),
        ("decided: a renewal case is open already", "decided", Conflict),
        ("blocked: other names are served than ours", "blocked", Conflict),
    ],
)
async def test_what_broke_is_never_said_to_be_forbidden(text: str, kind: str, raised: type[EverleafError]) -> None:
    gateway = TemporalGateway(cast(Client, FailingLifecycle(ApplicationError(text, type=kind))))
    with pytest.raises(raised) as told:
        await gateway.tell("mc-1", ("renew_now", RenewNow("c")), "u")
    assert (text in str(told.value)) is (raised is Conflict)
