"""Task queues, workflow ids, message and step names, as plain strings: the one place where they are spelled."""

LIFECYCLE_QUEUE = "lifecycle"
SCAN_QUEUE = "scan"
ISSUE_QUEUE = "issue"
DEPLOY_QUEUE = "deploy"

LIFECYCLE_WORKFLOW = "CertificateLifecycle"
DISCOVERY_WORKFLOW = "Discovery"
COURIER_WORKFLOW = "Courier"
RECONCILIATION_WORKFLOW = "Reconciliation"
DISCOVERY_SCHEDULE = "discovery"
RECONCILIATION_SCHEDULE = "reconciliation"

OBSERVE_SIGNAL = "observe"
DELIVERED_SIGNAL = "delivered"
UPGRADE_SIGNAL = "upgrade"
TELL_SIGNAL = "tell"


def certificate_workflow(managed_id: str) -> str:
    return f"certificate/{managed_id}"


def discovery_workflow(discovery_id: str) -> str:
    return f"discovery/{discovery_id}"


def courier_workflow(person: str, channel: str) -> str:
    return f"courier/{person}/{channel}"


def order_key(managed_id: str, generation: int, case: int, number: int) -> str:
    """Never from a run id, so a retry, a reset or a replay of the past meets the first order (DESIGN rule 6)."""
    return f"{managed_id}.{generation}.{case}.{number}"


def approval_id(managed_id: str, generation: int, case: int) -> str:
    return f"{managed_id}.{generation}.{case}"


def reconciliation_workflow(comparison_id: str) -> str:
    return f"reconciliation/{comparison_id}"
