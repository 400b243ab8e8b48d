"""What is wrong with a certificate, how bad that is, and what to do about it; and what each place answered."""

from api.web.text import count
from api.web.words import Row
from domain.findings import severity_of_kind

# Finding -> what to do about it.  Lifecycles write kinds with hyphens, discoveries with spaces.
REMEDIES = {
    "rolled back": "See the last look below: mend the target, then let it try again.",
    "not served": "The target took the certificate and does not serve it: reload it, or mend its configuration.",
    "drift": "Something put an earlier certificate back: find what writes there (a restore, an old job).",
    "foreign certificate": "Find who installed it. If it is right, renew through Everleaf or say that it is known.",
    "unseen": "Look whether it is switched off, moved or broken, and say so.",
    "broken chain": "Serve the intermediate certificates with it; the next renewal deploys the whole chain.",
    "unknown root": "Name its root under roots of the policy, or find who installed it.",
    "weak key": "The planned certificate has a stronger key; renew it now.",
    "weak signature": "Renew it now: the issuer signs with a stronger hash.",
    "wrong name": "Correct the endpoint's name, or renew it with the name that clients ask for.",
    "no owner": "Name an owner for its service in the policy.",
    "unplaced": "Add a rule to the policy; the next discovery applies it.",
    "shared key": "Give each service a key of its own at the next renewal.",
    "too long lived": "Renew it now with a profile of the policy.",
    "public clientAuth": "Public CAs are ending clientAuth: move it to the private CA.",
    "names changed": "Say which names hold.",
    "expired": "Renew it now.",
    "unreadable": "Replace the damaged file or certificate, or divide the file; nothing can be governed in it.",
    "missed": "Look whether it is switched off, moved or filtered; after three looks its owner is asked.",
    "missing SAN": "Renew it: the next one names in its SAN what clients ask for.",
    "expired issuer": "Serve the newer certificate of that CA; the leaf can stay.",
    "untidy chain": "Serve each certificate behind what it issued, and nothing else.",
    "malformed": "Show it to its CA: other readers refuse the whole certificate.",
    "too many places": "Give part of its places a certificate of their own; those beyond are not deployed.",
    "taken place": "Say whether it was retired there, or has moved.",
    "clock": "Set the clock of the host that looks, or ours.",
    "not yet valid": "Look at the server's clock, or wait for its first day.",
}


def finding(text: str) -> tuple[str, str, str, str]:
    """(severity, kind, detail, remedy) of a finding as it is recorded."""
    kind, _, detail = text.partition(": ")
    return severity_of_kind(kind).value, kind, detail, REMEDIES.get(kind.replace("-", " "), "")


def answer_of(endpoint: Row, not_ours: bool) -> tuple[str, str]:
    """(severity, word) of what the last looks at one place saw."""
    if endpoint.get("is_taken"):
        return "minor", "Another certificate has it now"
    if endpoint["matches"] is None:
        return "minor", "Not seen"
    if endpoint.get("misses"):
        return "minor", f"Nothing there, {count(endpoint['misses'], 'look')} in a row"
    if endpoint["matches"]:
        return "cleared", "Match"
    return ("warning", "Foreign certificate") if not_ours else ("major", "Another certificate")
