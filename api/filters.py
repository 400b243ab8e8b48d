"""What lists can be asked for, and the headers of conditional requests."""

from typing import Annotated

from fastapi import Header, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import BadInput
from domain.tiers import Tier
from store.reader import CertificateQuery
from store.reader.certificates import SORTS

Word = Annotated[str, StringConstraints(max_length=200)]
Cursor = Annotated[str, StringConstraints(max_length=4000)]
# Its bounds are the store's to say, which also names the remedy.
Limit = Annotated[int, Query(description="1 to 500.")]
IfNoneMatch = Annotated[
    str | None, Header(alias="if-none-match", max_length=1000, description="The ETag that is known: 304 if unchanged.")
]


class CertificateFilter(BaseModel):
    """An empty word is no filter: forms send empty fields.  What is none of these is refused, not passed over."""

    model_config = ConfigDict(extra="forbid")

    tier: Tier | None = None
    state: Word | None = None
    severity: Word | None = None
    owner: Word | None = None
    service: Word | None = None
    issuer: Word | None = None
    q: Annotated[Word | None, Field(description="In names, id, fingerprint, owner, service.")] = None
    placed: Annotated[bool | None, Field(description="false: those that no rule places.")] = None
    attention: Annotated[bool, Field(description="Those of severity minor and worse: somebody must act.")] = False
    open: Annotated[bool, Field(description="Those with an open renewal case.")] = False
    finding: Annotated[Word | None, Field(description="Those with a finding of this kind.")] = None
    ends_from: Annotated[AwareDatetime | None, Field(description="Ends then or later.")] = None
    expires_before: Annotated[AwareDatetime | None, Field(description="Ends before then.")] = None
    retired: Annotated[bool, Field(description="The retired ones, instead of the living.")] = False
    sort: Annotated[str, Field(description=f"{', '.join(key for key in SORTS)}.")] = "not_after"
    limit: Annotated[int, Field(description="1 to 500.")] = 50
    cursor: Cursor | None = None

    def query(self) -> CertificateQuery:
        """Raises BadInput where no certificate could ever be asked for."""
        if self.ends_from and self.expires_before and self.ends_from >= self.expires_before:
            raise BadInput("ends_from", "is not before expires_before", "Write an earlier one, or leave one away.")
        words = ("state", "severity", "owner", "service", "issuer", "q", "finding")
        given = self.model_dump() | {name: getattr(self, name) or None for name in words}
        return CertificateQuery(**given | {"tier": self.tier.value if self.tier else None})
