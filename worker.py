"""The composition root of a worker process: settings -> plug-ins -> activities -> Worker.

``python worker.py lifecycle,deploy`` serves those queues.  Each process gets only the keys that its queues need.
Longer than 300 lines because what is made of what is read here from top to bottom.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from activities.adoption import AdoptionActivities, new_managed_id
from activities.boundary import Boundary
from activities.clocks import Witnessed, confirmed
from activities.deployers import DEPLOYERS, DeployerParts
from activities.deployment import DeploymentActivities, DeploymentParts, returnable
from activities.discovery import DiscoveryActivities
from activities.failpoint import failpoint
from activities.heartbeat import Heart, HeartParts
from activities.issuance import IssuanceActivities, OrderActivities
from activities.issuers import ISSUERS, IssuerParts
from activities.issuers.private_ca.authority import ensure_authorities, publish_roots
from activities.issuers.private_ca.regaining import RegainingActivities
from activities.issuers.private_ca.revocation import renew_old_crls
from activities.keys.custodian import StoreCustodian
from activities.keys.envelope import load_kek
from activities.mending import MendingActivities, MendingParts
from activities.notification import NotificationActivities, NotificationParts
from activities.notifiers import NOTIFIERS, Post
from activities.ntp import TimeServer
from activities.policy_file import PolicyFile, recalling
from activities.reconciling import ReconcilingActivities, ReconcilingParts
from activities.recording import RecordingActivities, RecordingParts
from activities.restoring import RestoringActivities, RestoringParts
from activities.retention import Pruning
from activities.telling import TellingActivities
from activities.verification import VerificationActivities
from activities.warrants import WarrantActivities
from cli import engine as temporal_engine
from domain.clocks import DATABASE, TEMPORAL, is_here
from domain.errors import EverleafError, NotReady
from domain.names import DEPLOY_QUEUE, ISSUE_QUEUE, LIFECYCLE_QUEUE, SCAN_QUEUE
from domain.settings import Settings, parse
from domain.terms import expand_target
from domain.tiers import Policy
from formats.payload_keys import parse_keys
from store.access import keep_policy, sync_people
from store.engine import create_engine
from workflows.client import connect
from workflows.connection import keep_connected
from workflows.courier import Courier
from workflows.discovery import Discovery
from workflows.lifecycle import CertificateLifecycle
from workflows.messenger import Messenger
from workflows.reconciliation import Reconciliation
from workflows.replaying import recorded_batches
from workflows.sandbox import Sandbox
from workflows.scheduling import keep_schedules, make_schedules
from workflows.sealing import keys_of

log = logging.getLogger(__name__)

# Longer than the longest activity that does not heartbeat, so that a release cuts none of them off.
GRACE = timedelta(seconds=30)
REPEATED_EVERY = timedelta(minutes=1)
THREADS = 16
# Workflow code is Python and shares one core with all threads.  Each task has two seconds before Temporal calls it a
# deadlock, waiting for the core included: with 20 at once, and 16 activities beside them, some did not make it.
WORKFLOW_TASKS = 4


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every queue's activities are made of."""

    settings: Settings
    client: Client
    engine: Engine
    load_policy: Callable[[], Policy]
    failpoint: Callable[[str], None]
    every_minute: list[Callable[[], object]]
    elsewhere: Callable[[], Mapping[str, datetime]] = dict


def lifecycle(parts: Parts) -> list[Any]:
    messenger, settings = Messenger(parts.client, parts.settings.api_url), parts.settings
    # Takes up its people and its text, also later: who must be told must be told, without the database too (DESIGN 4).
    parts.load_policy()
    notifiers = {name: make(Post(settings.smtp_url, settings.mail_from)) for name, make in NOTIFIERS.items()}
    adoption = AdoptionActivities(parts.engine, parts.load_policy, now, new_managed_id, parts.failpoint)
    telling = TellingActivities(parts.engine, now, messenger.observe, parts.failpoint)
    recording = RecordingActivities(
        RecordingParts(
            parts.engine, parts.client, version("everleaf"), now, parts.failpoint, lambda: parts.load_policy().issuers
        )
    )
    notification = NotificationActivities(
        NotificationParts(
            parts.engine,
            notifiers,
            messenger.tell,
            settings.api_url,
            now,
            parts.failpoint,
            lambda: parts.load_policy().people,
        )
    )
    pruning = Pruning(parts.engine, lambda: parts.load_policy().retention, now)
    parts.every_minute.extend((notification.note_what_waits, pruning.portion))
    warrants = WarrantActivities(parts.engine, now, parts.failpoint)
    reconciling = ReconcilingActivities(ReconcilingParts(parts.engine, parts.client, now))
    mending = MendingActivities(
        MendingParts(
            parts.engine,
            now,
            messenger.begin_again,
            messenger.begin_anew,
            messenger.observe,
            messenger.tell,
            messenger.give_up,
        )
    )
    replayed = partial(recorded_batches, keys=keys_of(settings, parse_keys))
    restoring = RestoringActivities(RestoringParts(parts.engine, parts.client, version("everleaf"), now, replayed))
    return [
        adoption.adopt,
        adoption.consult,
        telling.tell_lifecycles,
        recording.record,
        recording.recall,
        recording.archive,
        recording.sweep,
        notification.send,
        notification.deliver,
        notification.note_undelivered,
        warrants.redeem,
        reconciling.compare,
        mending.begin_again,
        restoring.restore_streams,
        restoring.find_lost_orders,
        restoring.find_revoked_orders,
        mending.hand_over,
        reconciling.note_seen,
        reconciling.note_reconciliation,
    ]


def scan(parts: Parts) -> list[Any]:
    discovery = DiscoveryActivities(parts.engine, parts.load_policy, now)
    verification = VerificationActivities(parts.engine, parts.load_policy, now)
    return [discovery.begin_discovery, discovery.scan_page, discovery.fail_discovery, verification.look_again]


def issue(parts: Parts) -> list[Any]:
    kek = load_kek(parts.settings.ca_kek, "EVERLEAF_CA_KEK")
    # Makes the CAs that it needs; without the database later, and with a wrong key this worker does not start.
    parts.load_policy()
    made_of = IssuerParts(
        parts.engine,
        kek,
        now,
        lambda: parts.load_policy().issuers,
        lambda: parts.load_policy().profiles,
        parts.failpoint,
        lambda: parts.load_policy().roots,
    )
    issuers = {kind: make(made_of) for kind, make in ISSUERS.items()}
    issuance = IssuanceActivities(parts.engine, issuers, now, lambda: parts.load_policy().roots)
    regaining = RegainingActivities(parts.engine, kek, now)
    return [
        issuance.collect_order,
        issuance.revoke_order,
        regaining.regain_issued,
        regaining.find_forgotten,
        regaining.revoke_again,
    ]


def ready_authorities(settings: Settings, engine: Engine, policy: Policy) -> None:
    """Every CA that ``policy`` needs, with its list and its published root."""
    kek, at = load_kek(settings.ca_kek, "EVERLEAF_CA_KEK"), confirmed(engine, now)
    ensure_authorities(engine, policy.issuers, kek, at)
    renew_old_crls(engine, kek, at)
    publish_roots(engine, Path(settings.home) / "ca")


def follow(
    settings: Settings, engine: Engine, queues: Sequence[str]
) -> tuple[Callable[[Policy], None], Callable[[Policy, bytes], None]]:
    """What a worker of ``queues`` does with the policy in force, and with the text of each one that was."""

    def take_up(policy: Policy) -> None:
        if LIFECYCLE_QUEUE in queues:
            sync_people(engine, policy.people)
        if ISSUE_QUEUE in queues:
            ready_authorities(settings, engine, policy)

    def keep(policy: Policy, text: bytes) -> None:
        # Histories call it by its version.
        if LIFECYCLE_QUEUE in queues:
            keep_policy(engine, policy.version, text.decode(), now())

    return take_up, keep


async def repeat(every_minute: list[Callable[[], object]]) -> None:
    """Who leaves the policy loses their token within a minute, also where nothing is due that would read it."""
    while True:
        await asyncio.sleep(REPEATED_EVERY.total_seconds())
        for work in every_minute:
            try:
                await asyncio.to_thread(work)
            except (EverleafError, SQLAlchemyError, OSError):
                # It is due again in a minute, and so is the rest: none may end the others.
                log.exception("what is done every minute failed, tried again")


async def keep_repeating(client: Client) -> None:
    """Make the Schedules anew where Temporal was wiped: nothing that could say so is left in it."""
    while True:
        await asyncio.sleep(REPEATED_EVERY.total_seconds())
        try:
            if await make_schedules(client):
                # One that was wiped has lost these as well: with its own retention of a day it would lose closed runs.
                await temporal_engine.prepare(client)
                log.warning("Temporal had lost its Schedules: it was wiped or put back; they are made anew")
        except (RPCError, NotReady):
            log.warning("Temporal does not answer; its Schedules are looked after in a minute", exc_info=True)


def deploy(parts: Parts) -> list[Any]:
    kek = load_kek(parts.settings.leaf_kek, "EVERLEAF_LEAF_KEK")
    custodian = StoreCustodian(parts.engine, kek, now)
    made_of = DeployerParts(now, returnable(parts.engine, now), parts.failpoint, lambda: parts.load_policy().roots)
    deployers = {kind: make(made_of) for kind, make in DEPLOYERS.items()}
    deployment = DeploymentActivities(
        DeploymentParts(parts.engine, custodian, deployers, lambda slot: expand_target(parts.load_policy(), slot), now)
    )
    orders = OrderActivities(parts.engine, custodian, now, parts.failpoint)
    return [orders.place_order, deployment.deploy, deployment.roll_back]


QUEUES: dict[str, Callable[[Parts], list[Any]]] = {
    LIFECYCLE_QUEUE: lifecycle,
    SCAN_QUEUE: scan,
    ISSUE_QUEUE: issue,
    DEPLOY_QUEUE: deploy,
}


def build(parts: Parts, queue: str, executor: ThreadPoolExecutor) -> Worker:
    """One queue's worker.  Workflows run on the lifecycle queue, in their sandbox."""
    pollers = PollerBehaviorAutoscaling(minimum=2, initial=2, maximum=10)
    return Worker(
        parts.client,
        task_queue=queue,
        workflows=[CertificateLifecycle, Discovery, Courier, Reconciliation] if queue == LIFECYCLE_QUEUE else [],
        activities=QUEUES[queue](parts),
        activity_executor=executor,
        workflow_runner=Sandbox(),
        interceptors=[Boundary(), Witnessed(parts.engine, now, parts.elsewhere, on_this_machine(parts.settings))],
        max_cached_workflows=1000,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        max_concurrent_activities=THREADS,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment(parts.settings),
    )


def on_this_machine(settings: Settings) -> list[str]:
    """Which witnesses repeat this machine's clock.  A container's name says nothing of where it runs."""
    hosts = {
        TEMPORAL: settings.temporal_address.rpartition(":")[0],
        DATABASE: make_url(settings.database_url).host or "",
    }
    return [name for name, host in hosts.items() if is_here(host)]


def deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """None: unversioned, so that a worker that nobody made current still serves (decision 0001).

    A run moves to the current version at its next task: lives of years cannot each keep the worker that began them.
    """
    if not settings.deployment:
        return None
    named = WorkerDeploymentVersion(settings.deployment, settings.build_id or version("everleaf"))
    return WorkerDeploymentConfig(
        named, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE
    )


async def serve(settings: Settings, queues: list[str]) -> None:
    """Run until SIGTERM or SIGINT, then finish what is in flight."""
    client = await connect(settings, keys_of(settings, parse_keys))
    if LIFECYCLE_QUEUE in queues:
        await keep_schedules(client)
    engine = create_engine(settings.database_url)
    policy = PolicyFile(Path(settings.policy), *follow(settings, engine, queues), recalling(engine))
    # Before the first step, whose clock it is to confirm.
    ntp = TimeServer(lambda: policy.load().ntp)
    await asyncio.to_thread(ntp.ask)
    every_minute: list[Callable[[], object]] = [policy.load, ntp.ask]
    parts = Parts(settings, client, engine, policy.load, failpoint(settings.failpoint), every_minute, ntp.says)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    with ThreadPoolExecutor(THREADS) as executor:
        workers = [build(parts, queue, executor) for queue in queues]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        stopping = asyncio.create_task(stopped.wait())
        beside = [asyncio.create_task(repeat(parts.every_minute)), asyncio.create_task(keep_connected(client, workers))]
        beside += [asyncio.create_task(keep_repeating(client))] if LIFECYCLE_QUEUE in queues else []
        heart = Heart(HeartParts(engine, client, tuple(queues), socket.gethostname(), now, settings.health_file))
        beside.append(asyncio.create_task(heart.beats()))
        # A worker whose heart stands still is missed by everybody: it ends, and says of what.
        await asyncio.wait([*running, stopping, *beside], return_when=asyncio.FIRST_COMPLETED)
        broken = [task for task in beside if task.done()]
        for task in beside:
            task.cancel()
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*running)
        await heart.stop()
    engine.dispose()
    for task in broken:
        task.result()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    queues = sys.argv[1].split(",") if len(sys.argv) == 2 else []
    if not queues or any(queue not in QUEUES for queue in queues):
        sys.stderr.write(f"usage: worker.py QUEUE[,QUEUE]   with queues among {', '.join(QUEUES)}\n")
        sys.exit(2)
    try:
        asyncio.run(serve(parse(os.environ), queues))
    except EverleafError as error:
        sys.stderr.write(f"worker {sys.argv[1]}: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
