from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from domain.contracts import RedeemWarrant
from domain.errors import BadInput, NotAllowed, NotFound
from domain.tiers import Person, Role
from store import access, tables

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
HEAD = access.Actor("person/asha", Role.SECURITY_HEAD, True)
DECIDE = access.Binding("mc-1", "decide", case=2, generation=1, plan_version="v1")


def people(database: Engine) -> None:
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.SECURITY_HEAD)])


def minted(database: Engine, bound_to: access.Binding = DECIDE, actor: access.Actor = HEAD) -> str:
    return access.mint_warrant(database, actor=actor, bound_to=bound_to, lives=timedelta(minutes=15), now=NOW)


def asking(code: str, command_id: str = "c-1") -> RedeemWarrant:
    return RedeemWarrant(sha256(code.encode()).hexdigest(), code, command_id, "mc-1", "decide", 2, 1, "v1")


def test_a_token_names_its_holder_until_it_is_revoked(database: Engine) -> None:
    token = access.create_token(database, name="ci", role=Role.AUTOMATION)
    actor = access.authenticate(database, token)
    assert actor is not None
    assert (actor.role, actor.may_decide, actor.person) == (Role.AUTOMATION, False, "")
    assert access.authenticate(database, token[:-1] + "~") is None
    assert access.revoke_token(database, actor.id.removeprefix("token/"))
    assert access.authenticate(database, token) is None


def test_an_expired_token_is_nobody(database: Engine) -> None:
    token = access.create_token(database, name="old", role=Role.NOC, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert access.authenticate(database, token) is None


def test_a_token_of_a_role_that_decides_names_its_person_or_is_a_machines_that_may(database: Engine) -> None:
    people(database)
    with pytest.raises(BadInput, match=r"person: is missing.*--person ID.*--may-decide"):
        access.create_token(database, name="h", role=Role.SECURITY_HEAD)
    with pytest.raises(BadInput, match="may_decide: is given for a person"):
        access.create_token(database, name="h", role=Role.SECURITY_HEAD, person="asha", may_decide=True)
    with pytest.raises(BadInput, match="ravi is nobody in the policy"):
        access.create_token(database, name="h", role=Role.SECURITY_HEAD, person="ravi")
    with pytest.raises(BadInput, match="asha is security-head in the policy, not operator"):
        access.create_token(database, name="h", role=Role.OPERATOR, person="asha")
    assert access.tokens_of(database, every=True) == []

    for how in ({"person": "asha"}, {"may_decide": True}):
        token = access.create_token(database, name="h", role=Role.SECURITY_HEAD, **how)
        actor = access.authenticate(database, token)
        assert actor is not None
        assert actor.may_decide
        assert minted(database, actor=actor)


def nameless_token(database: Engine) -> str:
    """As release 0.2.0 made them for a role alone, and as its migration leaves them."""
    token = access.create_token(database, name="of old", role=Role.SECURITY_HEAD, may_decide=True)
    with database.begin() as connection:
        connection.execute(sa.update(tables.tokens).values(may_decide=False))
    return token


def test_a_nameless_token_of_0_2_0_still_works_and_decides_nothing(database: Engine) -> None:
    actor = access.authenticate(database, nameless_token(database))
    assert actor is not None
    assert (actor.role, actor.may_decide) == (Role.SECURITY_HEAD, False)
    with pytest.raises(NotAllowed, match=r"names no person.*--person ID"):
        minted(database, actor=actor)
    assert access.security_events(database)[0]["kind"] == "warrant-refused"
    with pytest.raises(NotAllowed, match="four eyes are people"):
        minted(database, replace(DECIDE, message="grant"), actor)
    assert minted(database, replace(DECIDE, message="retire"), actor)


def test_a_code_that_a_nameless_token_was_given_before_the_upgrade_decides_nothing(database: Engine) -> None:
    actor = access.authenticate(database, nameless_token(database))
    assert actor is not None
    code = minted(database, actor=replace(actor, may_decide=True))
    refused = access.redeem(database, asking(code), NOW)
    assert not refused.allowed
    assert "no longer holds that role" in refused.reason


def test_a_login_of_a_role_for_which_the_policy_names_nobody_decides_nothing(database: Engine) -> None:
    cookie = access.log_in(database, access.create_login_link(database, Role.SECURITY_HEAD))
    assert cookie is not None
    session = access.session_of(database, cookie)
    assert session is not None
    assert (session.actor.id.partition("/")[0], session.actor.may_decide) == ("session", False)
    with pytest.raises(NotAllowed, match="names no person"):
        minted(database, actor=session.actor)


def test_a_login_link_works_once_and_stands_for_the_person_of_its_role(database: Engine) -> None:
    people(database)
    code = access.create_login_link(database, Role.SECURITY_HEAD)
    cookie = access.log_in(database, code)
    assert cookie is not None
    session = access.session_of(database, cookie)
    assert session is not None
    assert session.actor.id == "person/asha"
    assert access.log_in(database, code) is None
    assert access.session_of(database, cookie[:-1]) is None
    access.sync_people(database, [Person("asha", "Asha Rao", "asha@example.in", Role.NOC)])
    assert access.session_of(database, cookie) is None


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
def test_a_session_ends_by_idleness_and_at_the_latest_after_a_shift(database: Engine, column: str) -> None:
    cookie = access.log_in(database, access.create_login_link(database, Role.NOC))
    assert cookie is not None
    assert access.session_of(database, cookie) is not None
    with database.begin() as connection:
        past = sa.text(f"UPDATE sessions SET {column} = now() - interval '31 minutes'")
        connection.execute(past)
    assert access.session_of(database, cookie) is None


def test_a_session_can_be_ended_and_is_listed_without_its_cookie(database: Engine) -> None:
    cookie = access.log_in(database, access.create_login_link(database, Role.AUDITOR))
    assert cookie is not None
    listed = access.living_sessions(database)
    assert len(listed) == 1
    assert cookie not in str(listed)
    assert access.end_session(database, listed[0]["id"], "person/asha")
    assert not access.end_session(database, listed[0]["id"], "person/asha")
    assert access.session_of(database, cookie) is None
    kinds = [event["kind"] for event in access.security_events(database)]
    assert kinds[:2] == ["logout", "login"]


def test_a_code_is_redeemed_once_and_its_command_hears_the_same_again(database: Engine) -> None:
    people(database)
    code = minted(database)
    first = access.redeem(database, asking(code), NOW)
    assert first.allowed
    assert first.actor == "person/asha"
    assert access.redeem(database, asking(code), NOW + timedelta(hours=1)) == first
    other = access.redeem(database, asking(code, "c-2"), NOW)
    assert not other.allowed
    assert other.reason == "this code was used already"


def test_of_many_at_once_exactly_one_wins(database: Engine) -> None:
    people(database)
    code = minted(database)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: access.redeem(database, asking(code, f"c-{n}"), NOW), range(16)))
    assert sum(answer.allowed for answer in answers) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"managed_id": "mc-2"},
        {"message": "retire"},
        {"case": 3},
        {"generation": 2},
        {"plan_version": "v2"},
        {"requested_by": "person/asha"},
    ],
)
def test_a_code_for_something_else_is_refused_burnt_and_recorded(database: Engine, change: dict[str, object]) -> None:
    people(database)
    code = minted(database)
    wrong = replace(asking(code), **change)  # type: ignore[arg-type]  # any field
    refused = access.redeem(database, wrong, NOW)
    assert not refused.allowed
    assert access.redeem(database, wrong, NOW) == refused
    assert not access.redeem(database, asking(code, "c-2"), NOW).allowed
    assert access.security_events(database)[-1]["kind"] == "warrant-refused"


def test_a_code_dies_at_its_expiry_and_with_the_role_of_its_holder(database: Engine) -> None:
    people(database)
    assert not access.redeem(database, asking(minted(database)), NOW + timedelta(minutes=15)).allowed
    code = minted(database)
    access.sync_people(database, [])
    assert access.redeem(database, asking(code), NOW).reason == "this actor no longer holds that role"


def test_no_code_is_given_to_a_role_that_may_not_send_the_message(database: Engine) -> None:
    for role in (Role.NOC, Role.OPERATOR, Role.AUTOMATION, Role.AUDITOR, Role.ADMIN):
        with pytest.raises(NotAllowed):
            minted(database, actor=access.Actor("token/x", role, False))
    assert len(access.security_events(database)) == 5


def test_an_upload_needs_its_order(database: Engine) -> None:
    with pytest.raises(NotFound):
        access.add_upload(database, "u-1", access.Upload("none", (b"der",), "person/asha", NOW))


def test_the_text_of_every_policy_that_was_in_force_is_kept(database: Engine) -> None:
    for version in ("a", "b", "a"):
        access.keep_policy(database, version, f"text {version}", NOW)
    assert access.policy_text(database, "a") == "text a"
    with pytest.raises(NotFound, match="was ever in force"):
        access.policy_text(database, "c")


def test_a_persons_token_is_the_person_where_four_eyes_are_counted(database: Engine) -> None:
    people(database)
    token = access.create_token(database, name="asha's laptop", role=Role.SECURITY_HEAD, person="asha")
    actor = access.authenticate(database, token)
    assert actor is not None
    assert actor.id == "person/asha"
    with database.connect() as connection:
        token_id = connection.execute(sa.select(tables.tokens.c.id)).scalar_one()
    code = minted(database)
    refused = access.redeem(database, replace(asking(code), requested_by=f"token/{token_id}"), NOW)
    assert not refused.allowed
    assert (refused.person, refused.asker) == ("person/asha", "person/asha")
    assert "may not approve it" in refused.reason
