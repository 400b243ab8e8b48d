"""Examples of the OpenAPI description: each answer and body, by operation; a test holds them to their schemas.

Longer than 300 lines because they are one table, read beside the description.
"""

from importlib.metadata import version
from typing import Any

ID = "5d1c7a90be42"
FINGERPRINT = "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
NAMES = ["pay.example.in", "www.pay.example.in"]
BEGINS, ENDS = "2026-02-17T04:00:00Z", "2027-02-17T04:00:00Z"
OPENED, RUNG = "2026-11-24T04:00:00Z", "2027-01-18T04:00:00Z"

PARAMETERS: dict[str, Any] = {
    "certificate_id": ID,
    "approval_id": f"{ID}.1.1",
    "discovery_id": "3f2a91c07be4",
    "order_key": f"{ID}.1.1.1",
    "last-event-id": "812.77",
    "idempotency-key": "renew-pay-2026-11-24",
    "if-match": '"p1"',
    "if-none-match": '"9f86d081884c7d65"',
    "expires_before": RUNG,
    "ends_from": OPENED,
}

CERTIFICATE: dict[str, Any] = {
    "id": ID,
    "names": NAMES,
    "tier": "customer-facing",
    "tier_reason": "rule payments",
    "owner": "payments",
    "service": "billing",
    "subscribers": 4_000_000,
    "issuer": "CN=Internal TLS CA",
    "trust_class": "private",
    "fingerprint": FINGERPRINT,
    "not_before": BEGINS,
    "not_after": ENDS,
    "generation": 1,
    "state": "awaiting-approval",
    "severity": "minor",
    "escalated": False,
    "next_action": "the head of IT security is told: 30 days before the end",
    "next_action_at": RUNG,
    "findings": ["weak key: RSA of 1024 bits"],
    "retired": False,
    "updated_at": OPENED,
    "workflow_id": f"certificate/{ID}",
}
DETAIL: dict[str, Any] = {
    **CERTIFICATE,
    "placed": True,
    "endpoints": [
        {
            "url": "tls://10.0.4.7:443?sni=pay.example.in",
            "algorithm": "ecdsa",
            "last_seen_fingerprint": FINGERPRINT,
            "last_seen_at": OPENED,
            "last_outcome": "seen",
            "last_looked_at": OPENED,
            "misses": 0,
            "matches": True,
        }
    ],
    "case": {
        "number": 1,
        "generation": 1,
        "cause": "lead-time",
        "stage": "awaiting-approval",
        "order_key": "",
        "opened_at": OPENED,
        "failure": "",
        "retry_at": None,
        "requested_by": "",
        "approved_by": "",
    },
    "chain": [
        {
            "fingerprint": FINGERPRINT,
            "subject": "CN=pay.example.in",
            "issuer": "CN=Internal TLS CA",
            "not_after": "2027-02-17T04:00:00Z",
        }
    ],
    "questions": [
        {
            "kind": "unseen",
            "asked_at": OPENED,
            "climbs_at": "2026-12-01T04:00:00Z",
            "level": "owner",
            "detail": "silent for three looks over a week",
            "about": "1/5d41402a",
        }
    ],
    "calls": [
        {
            "level": "security-head",
            "about": f"{FINGERPRINT[:16]}/30 days before the end",
            "last_at": OPENED,
            "quiet_until": None,
        }
    ],
    "served": [
        {
            "fingerprint": FINGERPRINT,
            "whose": "present",
            "not_before": BEGINS,
            "ends_at": ENDS,
            "place": "tls://127.40.1.1:8443?sni=pay.example.in",
            "count": 1,
        }
    ],
    "blocked_by": "",
    "lives": [
        {
            "generation": 1,
            "fingerprint": FINGERPRINT,
            "issuer": "CN=Internal TLS CA",
            "not_before": BEGINS,
            "not_after": ENDS,
            "began_at": OPENED,
            "ended_at": None,
        }
    ],
    "orders": [],
    "deliveries": [],
    "links": {name: f"/v1/certificates/{ID}/{name}" for name in ("timeline", "explain", "history")},
}
APPROVAL: dict[str, Any] = {
    "id": f"{ID}.1.1",
    "certificate_id": ID,
    "names": NAMES,
    "tier": "customer-facing",
    "state": "pending",
    "generation": 1,
    "case": 1,
    "asked_at": OPENED,
    "deadline": RUNG,
    "escalated": False,
    "plan": {"names": NAMES, "issuer": "internal-ca", "profile": "server", "version": "p1", "algorithm": "ecdsa"},
    "version": "p1",
    "decided_by": "",
    "decided_at": None,
}
OPERATION: dict[str, Any] = {
    "id": "0b7c5f0d4a5e4c5f9f0a9c1f3a6b2d10",
    "kind": "renew_now",
    "status": "done",
    "resource": f"/v1/certificates/{ID}",
    "workflow_id": f"certificate/{ID}",
    "detail": "",
    "seq": 12,
}
DISCOVERY: dict[str, Any] = {
    "id": "3f2a91c07be4",
    "status": "running",
    "state": "scanning",
    "source": "api/person/asha",
    "scope": {"cidrs": ["10.0.4.0/24"], "ports": [443, 8443]},
    "pages": 3,
    "targets": 512,
    "looks": None,
    "report": None,
    "detail": "",
    "started_at": OPENED,
    "finished_at": None,
    "progress": {"done": 1, "pages": 3, "seen": 9},
    "workflow_id": "discovery/3f2a91c07be4",
}
RECONCILIATION: dict[str, Any] = {
    "id": "3f2a91c07be4",
    "status": "done",
    "applied": False,
    "living": 320,
    "running": 319,
    "counts": {"begun-again": 1},
    "differences": [
        {
            "kind": "begun-again",
            "managed_id": ID,
            "name": "selfcare.example.in",
            "detail": "it was terminated",
            "told": True,
        }
    ],
    "held_since": None,
    "began_at": OPENED,
    "noted_at": OPENED,
    "asked_by": "",
    "workflow_id": "reconciliation/3f2a91c07be4",
}
CODE: dict[str, Any] = {
    "code": "4pvlewbktv2vj54pi5hssdxql4",
    "expires_at": "2026-11-24T04:15:00Z",
    "workflow_id": f"certificate/{ID}",
    "update": "decide",
    "paste": {"code": "4pvlewbktv2vj54pi5hssdxql4", "decision": "approve", "case": 1, "plan_version": "p1"},
    "command": f"temporal workflow update execute --workflow-id certificate/{ID} --name decide --input '<paste>'",
}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n"
POLICY = "people: [{id: asha, name: Asha Rao, email: asha@example.in, role: security-head}]\n"

# What is sent as JSON.
# One payload that is not packed: it comes back as it is.
PAYLOADS: dict[str, Any] = {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "Im1jLTEi"}]}

BODIES: dict[str, Any] = {
    "decode_payloads": PAYLOADS,
    "acknowledge": {"level": "security-head", "until": "2026-12-01T04:00:00Z"},
    "retire_certificate": {"reason": "decommissioned", "comment": "The portal was closed."},
    "answer_question": {"question": "unseen", "answer": "moved"},
    "make_message_code": {"message": "renew_now"},
    "decide_approval": {"decision": "approve", "comment": "As agreed.", "version": "p1"},
    "start_discovery": {"cidrs": ["10.0.4.0/24"], "ports": [443]},
    "start_reconciliation": {"apply": False},
}
# What is sent as text.
TEXTS = {"upload_certificate": PEM, "validate_policy": POLICY}

ANSWERS: dict[str, Any] = {
    "decode_payloads": PAYLOADS,
    "get_directory": {
        "name": "everleaf",
        "release": version("everleaf"),
        "links": {"certificates": "/v1/certificates"},
        "largest_body_bytes": 1_048_576,
    },
    "get_liveness": {"status": "live"},
    "get_readiness": {"status": "ready"},
    "list_certificates": {"items": [CERTIFICATE], "next_cursor": "WyIyMDI3LTAyLTE3VDA0OjAwOjAwKzAwOjAwIiwgIjVkMWMiXQ"},
    "get_certificate": DETAIL,
    "get_certificate_timeline": {
        "items": [{"seq": 0, "kind": "adopted", "at": "2026-11-24T04:00:00.000000Z", "by": "everleaf", "facts": {}}],
        "next_after": None,
    },
    "explain_certificate": {
        "certificate_id": ID,
        "because": [
            {"what": "the renewal case opens", "at": "2026-11-19T04:00:00Z", "sum": f"{ENDS} - 90 days"},
        ],
        "warnings": [],
        "seq": 7,
        "read_model_lags": False,
    },
    "get_certificate_history": {"workflow_id": f"certificate/{ID}", "generation": 1, "runs": [], "events": []},
    **dict.fromkeys(("start_renewal", "resume", "acknowledge", "retire_certificate", "answer_question"), OPERATION),
    "decide_approval": {**OPERATION, "kind": "decide"},
    "upload_certificate": {**OPERATION, "kind": "supply"},
    "make_message_code": {**CODE, "update": "renew_now", "paste": {"code": CODE["code"]}},
    "make_code": CODE,
    "list_approvals": {"items": [APPROVAL], "next_cursor": None},
    "get_approval": {**APPROVAL, "comments": [{"by": "person/asha", "text": "Why now?", "at": OPENED}]},
    "start_discovery": {
        **OPERATION,
        "id": "3f2a91c07be4",
        "kind": "discovery",
        "status": "running",
        "resource": "/v1/discoveries/3f2a91c07be4",
        "workflow_id": "discovery/3f2a91c07be4",
        "seq": None,
    },
    "start_reconciliation": {
        **OPERATION,
        "id": "3f2a91c07be4",
        "kind": "reconciliation",
        "status": "running",
        "resource": "/v1/reconciliations/3f2a91c07be4",
        "workflow_id": "reconciliation/3f2a91c07be4",
        "seq": None,
    },
    "get_reconciliation": RECONCILIATION,
    "list_discoveries": {"items": [DISCOVERY], "next_cursor": None},
    "get_discovery": DISCOVERY,
    "list_discovery_findings": {
        "items": [
            {
                "kind": "weak key",
                "severity": "minor",
                "url": "tls://10.0.4.7:443",
                "fingerprint": FINGERPRINT,
                "detail": "RSA of 1024 bits",
            }
        ],
        "next_cursor": None,
    },
    "get_order": {
        "order_key": f"{ID}.1.1.1",
        "certificate_id": ID,
        "state": "placed",
        "plan": APPROVAL["plan"],
        "approved_by": "person/asha",
        "csr_pem": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB...\n-----END CERTIFICATE REQUEST-----\n",
        "chain_pem": "",
        "fingerprint": None,
        "detail": "",
        "placed_at": OPENED,
        "closed_at": None,
    },
    "get_policy": {"version": "sha256:9f86d081", "policy": {"people": [], "scope": {"cidrs": ["10.0.4.0/24"]}}},
    "validate_policy": {
        "valid": False,
        "version": "",
        "errors": [
            {
                "line": 2,
                "field": "people[0].role",
                "detail": "Input should be 'noc', 'operator' or 'security-head'",
                "remedy": "demo/policy.yaml shows what may stand there.",
            }
        ],
    },
    "follow_events": f'event: certificate\nid: 812.77\ndata: {{"kind": "certificate", "id": "{ID}"}}\n\n',
    "get_metrics": 'everleaf_certificates{tier="internal",severity="cleared"} 240\neverleaf_pending_approvals 3\n',
    "who_am_i": {
        "id": "person/asha",
        "name": "Asha Rao",
        "role": "security-head",
        "may_decide": True,
        "routes": ["decide_approval", "list_approvals"],
    },
    "get_status": {
        "state": "settled",
        "settled": True,
        "managed": 320,
        "due_without_outcome": 0,
        "pending_approvals": 3,
        "temporal": {"reachable": True},
        "counts": {"by_state": {"sleeping": 317}, "by_severity": {"cleared": 317}},
    },
}
