"""Patch ids: each with its date and the fact that lets it be removed.

To change the order of a workflow's commands: a line here, ``if workflow.patched(...)`` there, and a new history below
tests/replay.
"""

# 24 Nov 2026: a Courier notes in the store what it has given up.  Removable when no Courier's run is older; a run ends
# after 100 batches.
COURIER_NOTES = "courier-notes-what-it-gave-up"

# 24 Nov 2026: a Discovery that fails says so in the store.  Removable when no run of before is within the retention.
DISCOVERY_SAYS_FAILED = "discovery-says-that-it-failed"
