"""The least that a workflow can be: it starts and comes to rest.  What any workflow costs on a server."""

from datetime import timedelta

from temporalio import workflow

# Run ids of those that rest, in this process: the module is loaded once, not anew for each workflow.
RESTING: list[str] = []


@workflow.defn
class Empty:
    @workflow.run
    async def run(self) -> None:
        RESTING.append(workflow.info().run_id)
        await workflow.sleep(timedelta(days=30))
