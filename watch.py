"""The watcher: a process of its own that tells people, by its own ways, when Everleaf is unwell.

It holds no Temporal client and needs no database to speak: what it must know lies on its own disk.  What is a fault and
when it is told is decided in ``domain.vitals`` and ``domain.watching``; here is how the parts are asked.
Longer than 300 lines because it is one process: its questions, its files and its rounds are read together.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from activities.notifiers import Letter, Post, alarm_text
from activities.notifiers.alarms import Route, routes_to
from activities.notifiers.peers import answer_peers
from activities.notifiers.watch_files import Files
from activities.scanners import parts
from activities.scanners.base import Ask, Patience, Scanner, Sight
from activities.scanners.parts import ASKED_FOR, Question, in_a_thread
from activities.scanners.tls import TLSScanner
from domain import watching
from domain.certificate import Endpoint, LookOutcome
from domain.errors import BadInput, EverleafError
from domain.settings import Settings, WatchSettings, parse, parse_watch
from domain.tiers import Policy, Role
from domain.vitals import OWN_ENDS_WITHIN, Answer, Fault, Kind, Place, Seen, Vitals, faults_in
from domain.watching import Carried, Inventory, Judged, Owed, Status
from formats.policy import parse_policy
from formats.roots import paths_below
from formats.watch_memory import write_carried, write_inventory, write_status
from store import reader
from store.engine import create_engine

log = logging.getLogger("watch")

# A letter to a route: one that needs longer is told to be silent.
SENT_FOR = timedelta(seconds=40)
INVENTORY_EVERY = timedelta(hours=1)
LOOKS_KEPT_EVERY = timedelta(minutes=10)
# A letter that no route took for so long tells of another day.
OWED_FOR = timedelta(hours=24)
LOOKING = Patience(at_once=20)
RESTART = "See `everleaf status` and its log; restart it."
ROUTE_REMEDY = "Mend the route, or name another: EVERLEAF_WATCH_SMTP_URL, EVERLEAF_WATCH_WEBHOOK."


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Watcher:
    """``routes``: the ways out by their names; ``peers``: other watchers, by URL; ``lost``: what of its memory was
    damaged; ``unkept``: why it cannot be written; ``silent_routes``: why each does not take letters."""

    settings: Settings
    own: WatchSettings
    routes: dict[str, Route]
    peers: tuple[str, ...] = ()
    clock: Callable[[], datetime] = now
    scanner: Scanner = field(default_factory=lambda: TLSScanner(now))
    carried: Carried = field(default_factory=Carried)
    inventory: Inventory | None = None
    policy: Policy | None = None
    lost: str = ""
    unkept: str = ""
    rounded_at: datetime | None = None
    silent_routes: dict[str, str] = field(default_factory=dict)

    async def look(self) -> tuple[Fault, ...]:
        """Ask every part, look at the places that are due; everything that is wrong, causes and consequences."""
        store = asyncio.create_task(self._ask_database())
        asked = await asyncio.gather(
            *(question.answer() for question in self._questions()),
            *(self._own_certificate(address) for address in self._own_addresses()),
        )
        database, vitals, at = await store
        await self._look_at_places()
        answers = (database, *self._of_itself(), *asked)
        inventory = self.inventory
        places, taken_at = (inventory.places, inventory.taken_at) if inventory else ((), None)
        self.rounded_at = self.clock()
        return faults_in(Seen(at, answers, vitals, places, taken_at))

    def judge(self, faults: Sequence[Fault]) -> Judged:
        """What these faults come to.  What must be said is owed to every route from now on."""
        at = self.clock()
        patience = watching.Patience(self.own.patience, 2 * self.own.every)
        judged = watching.judge(self.carried.memory, faults, at, patience)
        host = socket.gethostname()
        letters = [alarm_text.alarm(judged.alarms, host)] if judged.alarms else []
        letters += [alarm_text.all_clear(judged.clears, host, at)] if judged.clears else []
        owed = [
            Owed(route, secrets.token_hex(8), letter.subject, letter.body, at)
            for letter in letters
            for route in self.routes
        ]
        for letter in letters:
            log.error("told: %s", letter.subject)
        self.carried = Carried(
            judged.memory,
            (*(one for one in self.carried.owed if one.route in self.routes), *owed),
            self.inventory is not None,
        )
        self.lost = ""
        return judged

    async def send(self) -> None:
        """Each route is given what it has not taken yet, in order; one that fails is asked again in the next round."""
        await asyncio.gather(*(self._send_by(name) for name in self.routes))

    async def _send_by(self, name: str) -> None:
        for one in [one for one in self.carried.owed if one.route == name]:
            try:
                letter = Letter(one.subject, one.body)
                await in_a_thread(partial(self.routes[name].send, letter, one.key), SENT_FOR)
            except (EverleafError, OSError, TimeoutError) as problem:
                said = str(problem) or "it takes too long"
                if name not in self.silent_routes:
                    log.error("an alarm could not be sent by %s: %s", name, said)
                self.silent_routes[name] = said
                if self.clock() - one.since < OWED_FOR:
                    return
                log.error("given up after a day: %s", one.subject)
            self.silent_routes.pop(name, None)
            self.carried = replace(self.carried, owed=tuple(left for left in self.carried.owed if left is not one))

    def _of_itself(self) -> list[Answer]:
        """How the watcher's own memory and ways out are."""
        again = "Nothing: it is begun anew. What was told before may be told once more."
        found = [Answer(Kind.MEMORY, self.lost, again)]
        found.append(Answer(Kind.DISK, self.unkept, "Free some space, or give the folder back.", "watcher's memory"))
        if not self.routes:
            found.append(Answer(Kind.ROUTE, "no alarm can be sent: none is set", ROUTE_REMEDY))
        silent = self.silent_routes.items()
        return found + [Answer(Kind.ROUTE, said, ROUTE_REMEDY, name) for name, said in silent]

    def _questions(self) -> list[Question]:
        """What is asked in each round, beside the database."""
        settings, api = self.settings, self.own.api.rstrip("/")
        asked = [
            Question(Kind.TEMPORAL, "", partial(parts.temporal, settings.temporal_address), RESTART),
            Question(Kind.API, "", partial(parts.http, f"{api}/health/live"), RESTART),
            Question(Kind.API_UNREADY, "api", partial(parts.http, f"{api}/health/ready"), RESTART),
            Question(Kind.POLICY, "", self._read_policy, "Correct the file; until then the last good policy holds."),
            Question(Kind.DISK, settings.home, partial(parts.disk, settings.home), "Free some before parts end."),
        ]
        for url in dict.fromkeys(filter(None, (settings.smtp_url, self.own.smtp_url))):
            where = urlsplit(url).netloc.rpartition("@")[2]
            asked.append(Question(Kind.MAIL, where, partial(parts.smtp, url), "Bring the mail server back."))
        peers = (Question(Kind.PEER, peer, partial(parts.http, peer), "Start it; see its log.") for peer in self.peers)
        return [*asked, *peers]

    async def _ask_database(self) -> tuple[Answer, Vitals | None, datetime]:
        """Its answer, what it said, and our clock when it said it."""
        remedy = "Start PostgreSQL; see `everleaf status` and its log."
        try:
            vitals, at, places = await in_a_thread(self._read_store, ASKED_FOR)
        except (SQLAlchemyError, EverleafError, OSError) as problem:
            said = str(getattr(problem, "orig", problem)).strip().splitlines() or [type(problem).__name__]
            return Answer(Kind.DATABASE, f"it does not answer: {said[0]}", remedy), None, self.clock()
        except TimeoutError:
            said = [f"it accepts, and says nothing for {ASKED_FOR.total_seconds():g} s"]
            return Answer(Kind.DATABASE, said[0], remedy), None, self.clock()
        if places is not None:
            self.inventory = watching.taken_anew(places, self.inventory, at)
        return Answer(Kind.DATABASE, "", remedy), vitals, at

    def _read_store(self) -> tuple[Vitals, datetime, tuple[Place, ...] | None]:
        """By a connection of this round alone: one of before may hang in a server that was stopped."""
        engine = create_engine(self.settings.database_url)
        try:
            vitals = reader.watched(engine)
            at = self.clock()
            is_old = self.inventory is None or abs(at - self.inventory.taken_at) >= INVENTORY_EVERY
            return vitals, at, reader.inventory(engine) if is_old else None
        finally:
            engine.dispose()

    def _read_policy(self) -> str:
        """What is wrong with the file of the policy, which says who is told and which roots hold."""
        try:
            self.policy = parse_policy(Path(self.settings.policy).read_bytes(), self.settings.policy)
        except OSError as problem:
            return f"{self.settings.policy} cannot be read: {problem.strerror}"
        except BadInput as problem:
            return str(problem)
        return ""

    def lives(self) -> bool:
        """Whether rounds end as often as they should: what a peer is told."""
        late = self.clock() - self.rounded_at if self.rounded_at else timedelta(0)
        return late <= 3 * self.own.every + SENT_FOR

    def status(self, at: datetime) -> Status:
        present = tuple(one for one in self.carried.memory.watched if one.gone_since is None)
        places = len(self.inventory.places) if self.inventory else 0
        routes, silent = tuple(self.routes), tuple(self.silent_routes)
        return Status(at, self.own.every, routes, silent, len(self.carried.owed), places, present)

    def recipients(self) -> tuple[str, ...]:
        """Who is told by mail: by the settings, else by the policy, else by the last good one."""
        if self.own.mail_to:
            return self.own.mail_to
        if self.policy is not None:
            return tuple(one.email for one in self.policy.people if one.role is Role.SECURITY_HEAD)
        return self.inventory.recipients if self.inventory else ()

    async def _look_at_places(self) -> None:
        inventory = self.inventory
        if inventory is None:
            return
        due = watching.next_looks(inventory.places, self.clock(), self.own.every)
        sights = await self.scanner.look([Ask(Endpoint.parse(url)) for url in due], LOOKING, lambda: None)
        ends = {sight.ask.endpoint.url: await self._ends(sight) for sight in sights}
        looked = {url: (sight.at, ends[sight.ask.endpoint.url]) for url, sight in zip(due, sights, strict=True)}
        places = tuple(
            replace(place, looked_at=looked[place.url][0], seen_ends=looked[place.url][1] or place.seen_ends)
            if place.url in looked
            else place
            for place in inventory.places
        )
        self.inventory = replace(inventory, places=places, recipients=self.recipients())

    async def _ends(self, sight: Sight) -> datetime | None:
        """When what was seen ends, judged as whoever trusts the policy's roots does; None where nothing was seen."""
        if sight.outcome is not LookOutcome.SEEN:
            return None
        builder = paths_below(self.policy.roots if self.policy else ())
        try:
            return await in_a_thread(lambda: builder.ways(sight.chain).at(sight.at).ends_at, ASKED_FOR)
        except (BadInput, TimeoutError):
            # A leaf that nobody can read is a finding of the next discovery.
            return None

    def _own_addresses(self) -> tuple[Endpoint, ...]:
        own = [one.rpartition(":") for one in self.own.own]
        named = [(host.strip("[]"), int(port)) for host, _, port in own]
        page = urlsplit(self.settings.api_url)
        if page.scheme == "https" and page.hostname:
            named.append((page.hostname, page.port or 443))
        return tuple(Endpoint("tls", host, port, host) for host, port in dict.fromkeys(named))

    async def _own_certificate(self, endpoint: Endpoint) -> Answer:
        """Who is told by a page must reach it.  That nothing is served there is said by who asks the part itself."""
        [sight] = await self.scanner.look([Ask(endpoint)], LOOKING, lambda: None)
        ends_at = await self._ends(sight)
        is_near = ends_at is not None and ends_at - self.clock() < OWN_ENDS_WITHIN
        problem = f"the certificate of {endpoint.url} ends {ends_at:%d %b %Y %H:%M} UTC" if is_near else ""
        return Answer(Kind.OWN_CERTIFICATE, problem, "Renew it, and reload what serves it.", endpoint.url)


@dataclass(slots=True)
class Rounds:
    """Round after round, until it is told to stop."""

    watcher: Watcher
    files: Files
    looks_kept_at: datetime | None = None
    inventory_of: datetime | None = None
    was_pinged: bool = True

    async def run(self, stopped: asyncio.Event) -> None:
        watcher = self.watcher
        while not stopped.is_set():
            watcher.judge(await watcher.look())
            # Before it is sent: who is ended now still owes it, and has told nothing twice.
            self._keep()
            await watcher.send()
            self._keep()
            await self._ping()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), watcher.own.every.total_seconds())

    def _keep(self) -> None:
        watcher, at = self.watcher, self.watcher.clock()
        try:
            self.files.keep("memory.json", write_carried(watcher.carried))
            inventory = watcher.inventory
            is_old = self.looks_kept_at is None or abs(at - self.looks_kept_at) >= LOOKS_KEPT_EVERY
            if inventory is not None and (is_old or inventory.taken_at != self.inventory_of):
                self.files.keep("inventory.json", write_inventory(inventory))
                self.looks_kept_at, self.inventory_of = at, inventory.taken_at
            self.files.keep("status.json", write_status(watcher.status(at)))
        except OSError as problem:
            if not watcher.unkept:
                log.error("the memory cannot be written: %s", problem)
            watcher.unkept = f"{self.files.folder} cannot be written: {problem.strerror}"
        else:
            watcher.unkept = ""

    async def _ping(self) -> None:
        """A monitor elsewhere hears that this round ended; what it misses is the watcher itself."""
        url = self.watcher.own.ping
        if not url:
            return
        try:
            problem = await in_a_thread(lambda: parts.http(url), ASKED_FOR)
        except TimeoutError:
            problem = "no answer in time"
        if problem and self.was_pinged:
            # Not the address: it may hold a token.
            log.warning("the monitor elsewhere could not be told that this watcher lives: %s", problem.replace(url, ""))
        self.was_pinged = not problem


def build(environment: Mapping[str, str], peers: Sequence[str] = ()) -> Watcher:
    """The watcher of this environment.  Raises BadInput naming the variable."""
    settings = parse(environment)
    own = parse_watch(environment, settings)
    watcher = Watcher(settings, own, {}, tuple(peers))
    watcher.routes = routes_to(Post(own.smtp_url, settings.mail_from), own.webhook, watcher.recipients)
    if not watcher.routes:
        log.error("no alarm can be sent: %s", ROUTE_REMEDY)
    return watcher


async def once(watcher: Watcher) -> int:
    """One round that tells nobody and keeps nothing: its findings on standard output, 1 if there is any."""
    found = watching.causes_first(await watcher.look())
    for fault in found:
        sys.stdout.write(f"{fault.kind}{' ' + fault.subject if fault.subject else ''}: {fault.says}\n")
        sys.stdout.write(f"    {fault.remedy}\n")
    if not found:
        sys.stdout.write("All is well.\n")
    return 1 if found else 0


async def serve(watcher: Watcher, listen: str) -> None:
    """Rounds until SIGTERM or SIGINT.  Raises NotReady where another watcher has the folder."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    files = Files(Path(watcher.settings.watch_dir))
    with files.held():
        watcher.carried, watcher.inventory = files.open()
        watcher.lost = files.lost
        listening = await answer_peers(listen, watcher.lives) if listen else None
        await Rounds(watcher, files).run(stopped)
        if listening is not None:
            listening.close()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    parser = argparse.ArgumentParser(prog="watch.py", description="Tells people when Everleaf is unwell.")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--listen", default="")
    asked = parser.parse_args()
    try:
        watcher = build(os.environ, asked.peer)
        if asked.once:
            sys.exit(asyncio.run(once(watcher)))
        asyncio.run(serve(watcher, asked.listen))
    except EverleafError as problem:
        sys.stderr.write(f"watch: {problem}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
