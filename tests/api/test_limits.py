"""How often, how large and by which name one may ask."""

import httpx2
import pytest
from sqlalchemy.engine import Engine

from api import rates
from api.hosts import is_ours
from api.limit import LARGEST_HEADERS_BYTES, LONGEST_ADDRESS_BYTES, MOST_HEADERS
from api.rates import OncePerMinute, Rates
from store import access
from tests.api.browsers import Browser
from tests.api.conftest import House
from tests.api.test_problems import is_problem


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_token_that_asks_too_often_is_told_when_to_go_on(house: House, clock: Clock) -> None:
    house.app.state.rates = Rates(calls=2, clock=clock)
    first = await house.ask("GET", "/v1/me")
    assert first.headers["ratelimit-policy"] == '"calls";q=2;w=60'
    assert first.headers["ratelimit"] == '"calls";r=1;t=30'
    assert (await house.ask("GET", "/v1/certificates/none")).headers["ratelimit"] == '"calls";r=0;t=60'
    refused = await house.ask("GET", "/v1/me")
    assert is_problem(refused, 429)
    assert refused.headers["retry-after"] == "30"
    assert (await house.ask("GET", "/v1/me", "auditor")).status_code == 200
    clock.seconds = 30
    assert (await house.ask("GET", "/v1/me")).status_code == 200


async def test_a_session_is_counted_apart_and_told_on_a_page(house: House, head: Browser, clock: Clock) -> None:
    house.app.state.rates = Rates(calls=1, clock=clock)
    assert (await house.ask("GET", "/v1/me")).status_code == 200
    assert (await head.get("/help")).status_code == 200
    refused = await head.get("/help")
    assert refused.status_code == 429
    assert refused.headers["content-type"].startswith("text/html")
    assert refused.headers["retry-after"] == "60"


async def test_logins_are_counted_by_address_and_health_never(house: House, clock: Clock) -> None:
    house.app.state.rates = Rates(calls=1, logins=2, clock=clock)
    statuses = [(await house.client.post("/login", data={"code": "guess"})).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    page = await house.client.post("/login", data={"code": "guess"}, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["retry-after"]) == (429, "30")
    assert "At most 2 logins from your address a minute" in page.text
    assert (await house.client.get("/login")).status_code == 200
    assert [(await house.ask("GET", "/health/ready", "")).status_code for _ in range(3)] == [200] * 3


def test_addresses_of_one_ipv6_network_are_one() -> None:
    one, other = ({"client": (address, 1)} for address in ("2001:db8::1", "2001:db8::ffff:1"))
    assert rates.address_of(one) == rates.address_of(other) == "2001:db8::/64"
    assert rates.address_of({"client": None}) == ""


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(rates, "MOST_REMEMBERED", 3)
    counted, once = Rates(calls=1, clock=clock), OncePerMinute(clock)
    for number in range(10):
        counted.take("calls", str(number))
        once.is_due(str(number))
    assert len(counted._buckets) == len(once._said) == 3


async def test_a_flood_of_refusals_is_one_event_an_actor_a_route_and_a_minute(
    house: House, database: Engine, clock: Clock
) -> None:
    house.app.state.refusals = OncePerMinute(clock)

    async def flood() -> int:
        for _ in range(20):
            assert (await house.ask("POST", "/v1/discoveries", "auditor")).status_code == 403
        assert (await house.ask("POST", "/v1/certificates/mc-1/renewals", "auditor")).status_code == 403
        assert (await house.ask("POST", "/v1/discoveries", "noc")).status_code == 403
        return sum(event["kind"] == "refused" for event in access.security_events(database, limit=1000))

    assert await flood() == 3
    assert await flood() == 3
    clock.seconds = 60
    assert await flood() == 6


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-much": "y" * LARGEST_HEADERS_BYTES}, 431),
        ({f"x-{number}": "" for number in range(MOST_HEADERS)}, 431),
    ],
)
async def test_headers_have_a_limit(house: House, headers: dict[str, str], status: int) -> None:
    assert is_problem(await house.ask("GET", "/v1/me", headers=headers), status)


async def test_an_address_has_a_limit(house: House) -> None:
    assert is_problem(await house.ask("GET", "/v1/certificates?q=" + "x" * LONGEST_ADDRESS_BYTES), 414)


@pytest.mark.parametrize(
    "host", ["evil.example", "everleaf.evil.example", "everleaf@evil.example", "[", "10.0.0.7", "127.0.0.1:8460.evil"]
)
async def test_another_name_than_ours_is_refused(house: House, host: str) -> None:
    assert is_problem(await house.client.get("/v1", headers={"host": host}), 400)
    assert (await house.client.get("/health/live", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["everleaf", "EVERLEAF:8460", "localhost:1", "127.0.0.1:8460", "127.9.9.9", "[::1]:8460"]
)
def test_our_own_name_and_this_machine_are_known(host: str) -> None:
    assert is_ours(host, "http://everleaf:8460")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8460.evil.example", "everleaf:8460.evil.example", "localhost:1x", "everleaf:", "127.0.0.1: 8460"),
        *("everleaf:-1", "everleaf:+1", "everleaf:8460:8460", "everleaf:123456", "everleaf:\u0661", "everleaf:\u00b2"),
        *(
            "evil.example@everleaf",
            "user:pw@127.0.0.1",
            "everleaf/",
            "everleaf/.evil.example",
            "everleaf?x",
            "everleaf#x",
        ),
        *("everleaf\\.evil.example", "everleaf.", "everleaf ", " everleaf", "everleaf\t", "everleaf\n", "every%6ceaf"),
        *("127.0.0.1.evil.example", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "0.0.0.0", "[::]"),
        *("::1", "[::1", "[::1]evil.example", "[::1]:x", "[::1%25eth0]", "[127.0.0.1", "[]", "", ":8460", "[everleaf]"),
        *("\u24d4verleaf", "everleaf\u0000", "everleaf,evil.example", "localhost.evil.example", "10.0.0.7:8460"),
    ],
)
def test_what_only_looks_like_our_name_is_not_known(host: str) -> None:
    assert not is_ours(host, "http://everleaf:8460")


async def test_two_names_at_once_are_none(house: House) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=house.app), base_url="http://everleaf") as client:
        answer = await client.get("/v1", headers=[("host", "everleaf"), ("host", "evil.example")])
    assert answer.status_code == 400
