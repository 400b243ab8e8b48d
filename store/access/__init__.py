"""Who may ask: people, tokens, login links, warrants, keys of requests; what people bring: comments, uploads, policy.

The one writer of those tables; one file per kind.
"""

from store.access.people import DECIDING, NAME_ONE, Actor, decides, everybody, head_of, people_of, person, sync_people
from store.access.requests import claim_key, forget_keys
from store.access.security import forget_security_events, record_security_event, security_events
from store.access.sessions import Session, end_session, forget_sessions, living_sessions, log_in, session_of
from store.access.submissions import (
    Comment,
    KeptPolicy,
    Upload,
    add_comment,
    add_upload,
    comments_on,
    keep_policy,
    last_policy,
    policy_text,
    say_comment,
    uploads_for,
)
from store.access.tokens import authenticate, create_login_link, create_token, revoke_token, tokens_of
from store.access.warrants import MAY_SEND, Binding, mint_warrant, redeem

__all__ = [
    "DECIDING",
    "MAY_SEND",
    "NAME_ONE",
    "Actor",
    "Binding",
    "Comment",
    "KeptPolicy",
    "Session",
    "Upload",
    "add_comment",
    "add_upload",
    "authenticate",
    "claim_key",
    "comments_on",
    "create_login_link",
    "create_token",
    "decides",
    "end_session",
    "everybody",
    "forget_keys",
    "forget_security_events",
    "forget_sessions",
    "head_of",
    "keep_policy",
    "last_policy",
    "living_sessions",
    "log_in",
    "mint_warrant",
    "people_of",
    "person",
    "policy_text",
    "record_security_event",
    "redeem",
    "revoke_token",
    "say_comment",
    "security_events",
    "session_of",
    "sync_people",
    "tokens_of",
    "uploads_for",
]
