"""What saves a caller work: the following page, what has not changed, where to watch what was accepted."""

import pytest
from sqlalchemy.engine import Engine

from api.gateway import Unanswered
from domain.errors import NotReady
from store.facts import record
from tests.api.conftest import House
from tests.store.test_facts import NOW, batch, event, snapshot


@pytest.mark.parametrize("path", ["certificates/mc-1", "approvals/mc-1.1.1"])
async def test_what_has_not_changed_is_304_until_it_does(house: House, path: str) -> None:
    etag = (await house.ask("GET", f"/v1/{path}")).headers["etag"]
    same = await house.ask("GET", f"/v1/{path}", headers={"if-none-match": f'"other", W/{etag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    body = {"decision": "hold", "comment": "Wait."}
    assert (await house.ask("POST", "/v1/approvals/mc-1.1.1/decision", json=body)).status_code == 200
    changed = await house.ask("GET", f"/v1/{path}", headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_the_etag_of_an_approval_is_what_a_decision_is_bound_to(house: House) -> None:
    etag = (await house.ask("GET", "/v1/approvals/mc-1.1.1")).headers["etag"]
    path = "/v1/approvals/mc-1.1.1/decision"
    assert (await house.ask("POST", path, json={"decision": "approve"}, headers={"if-match": etag})).status_code == 200


async def test_a_discovery_has_an_etag_and_says_when_to_look_again(house: House) -> None:
    started = await house.ask("POST", "/v1/discoveries", json={})
    assert started.headers["retry-after"] == "2"
    watched = await house.ask("GET", started.headers["location"])
    assert watched.headers["retry-after"] == "2"
    again = await house.ask("GET", started.headers["location"], headers={"if-none-match": watched.headers["etag"]})
    assert again.status_code == 304


async def test_every_list_links_to_its_following_page(house: House) -> None:
    path = "/v1/certificates/mc-1/timeline?limit=2"
    seen: list[int] = []
    while path:
        page = await house.ask("GET", path)
        seen += [event["seq"] for event in page.json()["items"]]
        link = page.headers.get("link", "")
        path = link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == list(range(len(house.gateway.world.happened)))


async def test_what_was_accepted_says_where_to_watch_it(house: House) -> None:
    answer = await house.ask("POST", "/v1/certificates/mc-1/resumptions")
    assert (answer.status_code, answer.headers.get("location")) in {(202, "/v1/certificates/mc-1"), (409, None)}
    approval = "/v1/approvals/mc-1.1.1/decision"
    house.gateway.deaf = Unanswered("nothing yet")
    answer = await house.ask("POST", approval, json={"decision": "approve"})
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["resource"] == "/v1/certificates/mc-1"
    assert answer.headers["retry-after"]
    house.gateway.deaf = NotReady("away")
    assert (await house.ask("POST", approval, json={"decision": "approve"})).headers["retry-after"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("attention=true&open=true&placed=true", 1),
        ("placed=false", 0),
        ("finding=weak-key", 0),
        ("ends_from=2026-01-01T00:00:00Z&sort=-tier", 1),
        ("ends_from=2036-01-01T00:00:00Z&sort=service", 0),
        ("state=&severity=&sort=-state", 1),
    ],
)
async def test_certificates_are_filtered_as_on_the_pages(house: House, query: str, found: int) -> None:
    assert len((await house.ask("GET", f"/v1/certificates?{query}")).json()["items"]) == found


async def test_a_range_that_holds_nothing_is_named(house: House) -> None:
    query = "ends_from=2027-01-01T00:00:00Z&expires_before=2026-01-01T00:00:00Z"
    answer = await house.ask("GET", f"/v1/certificates?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "ends_from"


async def test_one_certificate_shows_its_lives_and_questions(house: House) -> None:
    detail = (await house.ask("GET", "/v1/certificates/mc-1")).json()
    assert detail["questions"] == []
    assert [life["generation"] for life in detail["lives"]] == [1]
    assert detail["lives"][0]["fingerprint"] == detail["fingerprint"]
    assert detail["lives"][0]["ended_at"] is None


@pytest.mark.parametrize("wrong", ["tir=internal", "state=bogus", "severity=urgent", "finding=week-key", "tier=x"])
async def test_a_filter_that_is_none_is_named_and_not_passed_over(house: House, wrong: str) -> None:
    answer = await house.ask("GET", f"/v1/certificates?{wrong}")
    assert answer.status_code == 422
    assert wrong.partition("=")[0] in answer.text


async def test_a_cursor_is_good_for_its_own_sort_alone(house: House, database: Engine) -> None:
    for number in range(3):
        record(database, batch(event(0), managed_id=f"mc-x{number}", read_model=snapshot(f"mc-x{number}")), "t", NOW)
    cursor = (await house.ask("GET", "/v1/certificates?limit=2&sort=not_after")).json()["next_cursor"]
    assert (await house.ask("GET", f"/v1/certificates?limit=2&sort=not_after&cursor={cursor}")).status_code == 200
    for sort in ("name", "-not_after", "tier"):
        answer = await house.ask("GET", f"/v1/certificates?limit=2&sort={sort}&cursor={cursor}")
        assert answer.status_code == 422
