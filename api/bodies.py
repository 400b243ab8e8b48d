"""What is asked over the wire, in the words of the design; a body with an unknown field is refused."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from domain.discovery_request import LONGEST_TEXT, MOST_ENTRIES
from domain.people.messages import Answerable
from domain.tiers import Audience

Text = Annotated[str, Field(max_length=4000)]
# What a question or a call is about, as it stands beside it.
About = Annotated[str, Field(min_length=1, max_length=200)]


def _printable(given: str) -> str:
    if not given.isprintable():
        raise PydanticCustomError("unprintable", "holds a character that cannot be printed")
    return given


Entry = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_printable)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _without_nul(cls, given: Any) -> Any:
        """No text of PostgreSQL holds a NUL."""
        if any("\0" in part for part in (given if isinstance(given, tuple) else (given,)) if isinstance(part, str)):
            raise PydanticCustomError("nul", "holds a NUL character")
        return given


class DiscoveryAsked(_Asked):
    """Empty lists: all of the policy's scope.  The bounds are those of the workflow, which reads it once more."""

    cidrs: Annotated[tuple[Entry, ...], Field(max_length=MOST_ENTRIES)] = ()
    ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(max_length=MOST_ENTRIES)] = ()
    names: Annotated[tuple[Entry, ...], Field(max_length=MOST_ENTRIES)] = ()
    paths: Annotated[tuple[Entry, ...], Field(max_length=MOST_ENTRIES)] = ()


class ReconciliationAsked(_Asked):
    """``apply``: mend what can be mended, and tell it; without it, only say what differs.  ``release``: what differs
    was read after the store was put back, and our CAs may sign again; it needs ``apply``."""

    apply: bool = False
    release: bool = False


class DecisionAsked(_Asked):
    """``version``: of the plan that was read (the ETag of the approval); without one, the present plan is bound.
    ``overrule``: answer anew what was rejected, or held; without it that is 409.  ``until``: how long a hold holds;
    without one, as late as is safe."""

    decision: Literal["approve", "reject", "hold"]
    comment: Text = ""
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    overrule: bool = False
    until: AwareDatetime | None = None


class RetirementAsked(_Asked):
    reason: Literal["decommissioned", "replaced", "moved", "mistake"]
    comment: Text = ""


class AcknowledgementAsked(_Asked):
    """``about``: the call that was read, as it stands among the ``calls`` of the certificate; without one, the call
    that stands there as the request begins, where there is one alone."""

    level: Audience
    until: AwareDatetime
    about: About | None = None


class AnswerAsked(_Asked):
    """unseen: retired, moved or broken; taken: retired or moved; moved-to: nowhere; repair: repaired or retired;
    different: take or keep; revocation: revoked; forked: resume or gap; undeliverable: mended; drift and
    foreign-certificate: known.  ``about``: what the question that was read is about; without one, what it is about as
    the request begins, where one of its kind alone is open.  About anything else an answer is stale (412)."""

    question: Answerable
    answer: Annotated[str, Field(min_length=1, max_length=200)]
    about: About | None = None


class CodeAsked(_Asked):
    message: Literal["answer", "acknowledge", "resume", "retire", "renew_now"]
