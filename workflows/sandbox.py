"""How our workflows are run, by a worker, a replay or a test: what their sandbox lets through, and what it guards.

The sandbox stays on: imports, ``open`` and the like inside a workflow are refused where they happen.  ``domain`` and
``workflows`` are loaded once for the process and not anew for each workflow, which was two thirds of what a cold
lifecycle cost; so a test of the house reads both rooms for clocks, chance, files and the environment.
"""

from dataclasses import dataclass

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

LET_THROUGH = ("domain", "workflows")
RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules(*LET_THROUGH)


@dataclass(frozen=True)
class ContextFree(WorkflowInstance):
    """A sandboxed workflow whose payloads are converted alike, whatever they are of.

    For each payload the worker asks the sandbox up to eight times which context its converter needs, and each answer
    enters and leaves the sandbox: 40 ms of an 84-event replay.  Our converter needs none, and we store nothing outside.
    """

    sandboxed: WorkflowInstance

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self.sandboxed.activate(act)

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self.sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self.sandboxed.get_thread_id()


@dataclass(frozen=True)
class Sandbox(SandboxedWorkflowRunner):
    """The one runner of every worker and replayer of ours."""

    restrictions: SandboxRestrictions = RESTRICTIONS

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return ContextFree(super().create_instance(det))
