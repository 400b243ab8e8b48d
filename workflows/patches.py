"""Patch ids: each with its date and the fact that lets it be removed.

To change the order of a workflow's commands while runs of before are alive: a line here, ``if workflow.patched(...)``
there, and a new history below tests/replay.  What a rule decides is not patched: a live state names its rule set
(``domain.lifecycle``), and both ways stay until no state names the old one.

Of 0.1.0 nothing runs any more: its lifecycles are begun anew from the store, and its patches are gone.
"""

# 2026-12-01.  A Courier gives up what is late before it sends the rest.  Two releases serve side by side during an
# upgrade, so one of before may have sent it.  Removable once no Courier of 0.2.0 runs: they continue as new.
LATE_IS_UNDELIVERABLE = "late-is-undeliverable"
