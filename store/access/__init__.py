"""Who may ask: people, tokens, login links, warrants, and what people bring (comments, uploads, policies).

The one writer of those tables; one file per kind.
"""

from store.access.papers import (
    Comment,
    Upload,
    add_comment,
    add_upload,
    comments_on,
    current_policy,
    refuse_comment,
    save_policy,
    uploads_for,
)
from store.access.people import Actor, head_of, person, sync_people
from store.access.security import record_security_event, security_events
from store.access.tokens import (
    authenticate,
    create_login_link,
    create_token,
    revoke_token,
    use_login_link,
)
from store.access.warrants import Binding, mint_warrant, redeem

__all__ = [
    "Actor",
    "Binding",
    "Comment",
    "Upload",
    "add_comment",
    "add_upload",
    "authenticate",
    "comments_on",
    "create_login_link",
    "create_token",
    "current_policy",
    "head_of",
    "mint_warrant",
    "person",
    "record_security_event",
    "redeem",
    "refuse_comment",
    "revoke_token",
    "save_policy",
    "security_events",
    "sync_people",
    "uploads_for",
    "use_login_link",
]
