"""How often one may ask: token buckets of this process alone.  Two API processes let in twice as much together."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Layer
from api.problems import TooMany

# Fifty a second for ever, and three thousand at once: a page, a script or a monitor never comes near it.
CALLS_PER_MINUTE = 3000
# A person needs one; whoever guesses codes of 256 bits needs rather more than sixty.
LOGINS_PER_MINUTE = 60
# What is remembered of callers: the one that was quiet for longest is forgotten first, and starts anew.
MOST_REMEMBERED = 10_000
WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Left:
    """After one request: ``remaining`` of ``limit``; ``full_in`` seconds all of it is there again.  ``wait``: seconds
    until the next one is let in, 0 where this one was."""

    policy: str
    limit: int
    remaining: int
    full_in: int
    wait: int = 0

    def headers(self) -> dict[str, str]:
        """draft-ietf-httpapi-ratelimit-headers-11."""
        return {
            "ratelimit-policy": f'"{self.policy}";q={self.limit};w={WINDOW_SECONDS}',
            "ratelimit": f'"{self.policy}";r={self.remaining};t={self.full_in}',
        }


class Rates:
    """To be used in the event loop alone.  ``clock``: seconds that never go back."""

    def __init__(
        self,
        calls: int = CALLS_PER_MINUTE,
        logins: int = LOGINS_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"calls": calls, "logins": logins}
        self._clock = clock
        # (policy, who) -> (tokens, when they were counted)
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, policy: str, who: str) -> Left:
        """Take one token of ``who``, where there is one."""
        limit, now = self._limits[policy], self._clock()
        rate = limit / WINDOW_SECONDS
        tokens, counted = self._buckets.pop((policy, who), (float(limit), now))
        tokens = min(float(limit), tokens + (now - counted) * rate)
        wait = 0 if tokens >= 1 else max(1, ceil((1 - tokens) / rate))
        tokens -= 0 if wait else 1
        self._buckets[policy, who] = (tokens, now)
        if len(self._buckets) > MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return Left(policy, limit, int(tokens), ceil((limit - tokens) / rate), wait)


class OncePerMinute:
    """Whether something should be said again: what is refused a thousand times is written down once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def is_due(self, *what: str) -> bool:
        now = self._clock()
        if now - self._said.get(what, -float("inf")) < WINDOW_SECONDS:
            return False
        self._said.pop(what, None)
        self._said[what] = now
        if len(self._said) > MOST_REMEMBERED:
            self._said.popitem(last=False)
        return True


def count_call(request: Request) -> None:
    """One call of this session, or of this token.  Raises TooMany."""
    session = getattr(request.state, "session", None)
    proof = session.id if session else sha256(request.headers.get("authorization", "").encode()).hexdigest()
    _let_in(request.scope, rates_of(request.scope).take("calls", proof))


def count_login(request: Request) -> None:
    """One login from this address.  Raises TooMany."""
    _let_in(request.scope, rates_of(request.scope).take("logins", address_of(request.scope)))


def rates_of(scope: Scope) -> Rates:
    rates = scope["app"].state.rates
    assert isinstance(rates, Rates)
    return rates


def _let_in(scope: Scope, left: Left) -> None:
    scope.setdefault("state", {})["rate"] = left
    if left.wait:
        what = "logins from your address" if left.policy == "logins" else "requests with this token or session"
        raise TooMany(f"At most {left.limit} {what} a minute; go on in {left.wait} s.", left.wait)


class RateLimit(Layer):
    """Says in every answer that was counted how much is left."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            left = scope.get("state", {}).get("rate")
            if message["type"] == "http.response.start" and left is not None:
                headers = MutableHeaders(scope=message)
                headers.update(left.headers())
                if message["status"] == 429:
                    headers.setdefault("retry-after", str(left.wait))
            await send(message)

        await self.app(scope, receive, told)


def address_of(scope: Scope) -> str:
    """Who asks, by network: of IPv6 the /64, for one customer has as many addresses there as he likes."""
    given = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(given)
    except ValueError:
        return str(given)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
