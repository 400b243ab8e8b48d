"""What passes the doors of the two Temporal UIs: the files of deploy/temporal-ui in front of a real UI, bare."""

import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.product import eventually
from tests.production.doored import ID, Entrance, as_the_page_does, send
from tests.production.doored import entrance as entrance

pytestmark = pytest.mark.server

API = "/api/v1/namespaces/everleaf"
HERE = f"{API}/workflows/{ID.replace('/', '%2F')}"
UPDATE, QUERY, TERMINATE = f"{HERE}/update/decide", f"{HERE}/query/state", f"{HERE}/terminate"


def said(word: str) -> str:
    """The body with which the page sends an update of one argument."""
    payload = {
        "metadata": {"encoding": b64encode(b"json/plain").decode()},
        "data": b64encode(json.dumps(word).encode()).decode(),
    }
    return json.dumps({"workflowExecution": {}, "request": {"meta": {}, "input": {"args": {"payloads": [payload]}}}})


def test_without_a_door_whoever_reaches_the_ui_can_end_a_lifecycle(entrance: Entrance) -> None:
    """Why there are doors; the switches of the compose file change nothing in it."""
    entrance.waiting.start("certificate/mc-victim")

    direct = TERMINATE.replace("mc-mluy5y4zkf", "mc-victim")
    assert send(entrance.ui, f"POST {direct} HTTP/1.1", as_the_page_does(entrance.ui), "{}").status == 200
    assert entrance.waiting.status("certificate/mc-victim") == "TERMINATED"


@pytest.mark.parametrize("door", ["approvers", "auditors"])
def test_pages_and_what_they_read_pass(entrance: Entrance, door: str) -> None:
    port = getattr(entrance, door)
    page = send(port, "GET / HTTP/1.1")
    assert "<!doctype html>" in page.text
    script = page.text.partition('"/_app/')[2].partition('"')[0]
    reads = (f"/_app/{script}", "/api/v1/settings", "/namespaces/everleaf/workflows?query=EverleafNeedsHuman%3Dtrue")
    lists = (f"{API}/workflows?query=WorkflowId%3D%22x%22", f"{API}/schedules", "/api/v1/namespaces", HERE)

    for path in (*reads, *lists, f"{HERE}/history"):
        assert send(port, f"GET {path} HTTP/1.1").status == 200, path
    assert send(port, "OPTIONS /api/v1/settings HTTP/1.1").status == 204
    # The UI's own answer to a HEAD.
    assert send(port, "HEAD / HTTP/1.1").status == 405


@pytest.mark.parametrize("kind", ["text/plain;charset=UTF-8", "application/json", "Application/JSON; charset=utf-8"])
def test_approvers_send_an_update_and_a_query(entrance: Entrance, kind: str) -> None:
    headers = as_the_page_does(entrance.approvers) | {"Content-Type": kind, "Sec-Fetch-Site": "same-origin"}

    update = send(entrance.approvers, f"POST {UPDATE} HTTP/1.1", headers, said(kind))
    # The page ends its addresses with an empty query string.
    query = send(entrance.approvers, f"POST {QUERY}? HTTP/1.1", headers, "{}")

    assert (update.status, query.status) == (200, 200), update.text + query.text
    assert "success" in json.loads(update.text)["outcome"]
    assert kind in entrance.waiting.heard()


def test_auditors_send_nothing(entrance: Entrance) -> None:
    headers, heard = as_the_page_does(entrance.auditors), entrance.waiting.heard()

    for path in (UPDATE, QUERY, TERMINATE):
        answer = send(entrance.auditors, f"POST {path} HTTP/1.1", headers, said("auditor"))
        assert (answer.status, answer.text) == (403, "Auditors read here; nothing else passes.\n"), path
    assert entrance.waiting.heard() == heard


ACTS = [
    *(f"POST {HERE}{act}" for act in ("/terminate", "/cancel", "/reset", "/signal/upgrade", "/pause", "/unpause")),
    *(f"POST {HERE}/{act}/decide" for act in ("signal", "signal-with-start", "terminate", "updates")),
    *(f"POST {HERE}{act}" for act in ("", "/signal-with-start/upgrade", "/update-options", "/delete", "/update")),
    *(f"POST {HERE}/{act}" for act in ("activities/1/complete", "activities/1/fail", "activities/reset")),
    # No update but those with a code, on no workflow but lifecycles, in no other namespace.
    *(f"POST {HERE}/update/{name}" for name in ("supply", "Decide", "decide2", "xdecide", "", "__temporal_x")),
    f"POST {API}/workflows/discovery%2Fone/update/decide",
    f"POST {UPDATE.replace('everleaf', 'default')}",
    f"POST {UPDATE.replace('everleaf', 'temporal-system')}",
    *(f"POST {API}/{act}" for act in ("batch-operations/b", "batch-operations/b/stop", "schedules/discovery")),
    *(
        f"POST {API}/{act}"
        for act in ("schedules/discovery/patch", "schedules/discovery/update", "update", "workflows")
    ),
    *(f"POST /api/v1/{act}" for act in ("namespaces", "operator/search-attributes", "nexus/endpoints", "settings")),
    *(f"POST {API}/{act}" for act in ("task-queues/lifecycle/update-config", "worker-deployments/d/set-manager")),
    *(f"DELETE {act}" for act in (HERE, f"{API}/schedules/discovery", API, f"{API}/workflow-rules/r", UPDATE)),
    *(f"{method} {HERE}/terminate" for method in ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post", "Post")),
    *(f"{method} {UPDATE}" for method in ("PUT", "PATCH", "TRACE", "post")),
    # The same without the prefix, as Temporal's own HTTP port has it.
    f"POST {HERE.removeprefix('/api/v1')}/terminate",
    "POST /",
    "POST /auth/refresh",
]
SPELLINGS = [
    f"{UPDATE}/../../terminate",
    f"{HERE}/update/../terminate",
    f"{HERE}/update/%2e%2e/terminate",
    f"{UPDATE}%2F..%2F..%2Fterminate",
    f"{UPDATE}%2f..%2fterminate",
    f"{TERMINATE}/../update/decide",
    f"{TERMINATE}/./update/decide",
    f"{TERMINATE}?/update/decide",
    f"{TERMINATE}?x={UPDATE}",
    f"{TERMINATE}%3F/update/decide",
    f"{TERMINATE};/update/decide",
    f"{TERMINATE}%23/update/decide",
    f"{TERMINATE}%00/update/decide",
    f"{TERMINATE}%0d%0a/update/decide",
    f"/{TERMINATE}",
    f"/{UPDATE}",
    f"/.{UPDATE}",
    f"{TERMINATE}/",
    f"{HERE}//terminate",
    f"{HERE}/%74erminate",
    f"{HERE}/TERMINATE",
    f"{HERE}/update/%64ecide",
    f"{HERE}/query/state/../../terminate",
    f"{HERE}/query/state%2F..%2Fterminate",
    f"{API}/workflows/certificate%2F..%2F{ID.rpartition('/')[2]}/update/decide",
    f"{API}/workflows/certificate%2Fmc-a%2Fterminate%3F/update/decide",
    f"{UPDATE}/",
    f"{UPDATE}??",
    f"{UPDATE}?workflowExecution.workflowId=other",
    f"{UPDATE}%20",
    f"{UPDATE}:terminate",
    UPDATE.replace("%2F", "%252F"),
    UPDATE.replace("%2F", "%2f"),
    UPDATE.replace("%2F", "/"),
    UPDATE.replace("/api/", "/API/"),
    UPDATE.replace("/v1/", "//v1/"),
    UPDATE.replace("everleaf", "Everleaf"),
    f"http://{{here}}{TERMINATE}",
    f"http://{{here}}{UPDATE}",
    f"http://{{here}}{UPDATE}/../../terminate",
]
DISGUISES = [
    *((UPDATE, (("X-HTTP-Method-Override", method),)) for method in ("DELETE", "POST", "")),
    (UPDATE, (("x-http-method-override", "DELETE"), ("Content-Type", "application/x-www-form-urlencoded"))),
    (UPDATE, (("X-HTTP-Method", "DELETE"),)),
    (UPDATE, (("X-Method-Override", "DELETE"),)),
    (UPDATE, (("Content-Type", "application/x-www-form-urlencoded"),)),
    (UPDATE, (("Content-Type", "multipart/form-data; boundary=x"),)),
    (UPDATE, (("Content-Type", "application/json, application/x-www-form-urlencoded"),)),
    (UPDATE, (("Content-Type", "application/json"), ("content-type", "application/x-www-form-urlencoded"))),
    (UPDATE, (("Content-Type", ""),)),
    (UPDATE, (("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABk"))),
    *((UPDATE, (("Sec-Fetch-Site", site),)) for site in ("cross-site", "same-site", "none", "")),
    (f"{TERMINATE}", (("X-Original-URL", UPDATE), ("X-Rewrite-URL", UPDATE))),
]


def refused(entrance: Entrance, line: str, headers: dict[str, str], more: tuple[tuple[str, str], ...] = ()) -> None:
    """By the door, with a sentence, and with nothing done."""
    own = {name.lower() for name, _ in more}
    pairs = (*((name, value) for name, value in headers.items() if name.lower() not in own), *more)
    answer = send(entrance.approvers, line, pairs, said("refused"))

    assert answer.status == 403, f"{line}: {answer.status} {answer.text}"
    assert answer.text.startswith("Approvers read here"), line


@pytest.fixture(scope="module")
def headers(entrance: Entrance) -> dict[str, str]:
    return as_the_page_does(entrance.approvers)


@pytest.fixture(autouse=True)
def untouched(entrance: Entrance) -> Iterator[None]:
    """Whatever was sent: it still runs, and heard nothing that was refused."""
    yield
    assert entrance.waiting.status() == "RUNNING"
    heard = entrance.waiting.heard()
    assert not [word for word in ("refused", "upgrade", "auditor") if word in heard]


@pytest.mark.parametrize("act", ACTS)
def test_what_would_change_anything_else_is_refused(entrance: Entrance, headers: dict[str, str], act: str) -> None:
    refused(entrance, f"{act} HTTP/1.1", headers)


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_a_path_passes(entrance: Entrance, headers: dict[str, str], path: str) -> None:
    refused(entrance, f"POST {path} HTTP/1.1", headers)


@pytest.mark.parametrize(("path", "more"), DISGUISES)
def test_no_header_makes_something_else_of_an_update(
    entrance: Entrance, headers: dict[str, str], path: str, more: tuple[tuple[str, str], ...]
) -> None:
    refused(entrance, f"POST {path} HTTP/1.1", headers, more)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", ["", "x"])
def test_no_other_protocol_is_spoken(entrance: Entrance, headers: dict[str, str], method: str, body: str) -> None:
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    wishes = {"Connection": "Upgrade", "Upgrade": "websocket"} | key

    assert send(entrance.approvers, f"{method} {UPDATE} HTTP/1.1", headers | wishes, body).status == 403
    assert send(entrance.auditors, f"{method} {UPDATE} HTTP/1.1", headers | wishes, body).status == 403
    other = {"Connection": "Upgrade", "Upgrade": "h2c"}
    assert send(entrance.approvers, f"{method} {UPDATE} HTTP/1.1", headers | other).status == 403


@pytest.mark.parametrize(
    "line", [f"POST {TERMINATE}#/update/decide HTTP/1.1", f"POST {UPDATE}\\..\\terminate HTTP/1.1"]
)
def test_what_is_no_path_at_all_does_not_pass(entrance: Entrance, headers: dict[str, str], line: str) -> None:
    assert send(entrance.approvers, line, headers, "{}").status in (400, 403)


def test_a_request_within_the_body_of_an_update_is_not_a_request_of_its_own(
    entrance: Entrance, headers: dict[str, str]
) -> None:
    """Two lengths that disagree; whoever read the other one would see a terminate."""
    known = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    hidden = f"POST {TERMINATE} HTTP/1.1\r\nHost: x\r\n{known}Content-Length: 2\r\n\r\n{{}}"
    for lengths in (
        "Content-Length: {0}\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ):
        body = f"0\r\n\r\n{hidden}"
        head = (
            f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\n{known}{lengths.format(len(body))}\r\nConnection: keep-alive\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", entrance.approvers), 30) as wire:
            wire.sendall((head + body).encode())
            wire.shutdown(socket.SHUT_WR)
            heard = b"".join(iter(partial(wire.recv, 65536), b"")).decode()
        # Refused as a whole, or seen by the door as the second request that it is.
        assert "200 OK" not in heard.partition("403")[2], heard
        assert entrance.waiting.status() == "RUNNING"


def test_http_2_passes_nothing_that_the_door_does_not_see(entrance: Entrance) -> None:
    with socket.create_connection(("127.0.0.1", entrance.approvers), 30) as wire:
        wire.sendall(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        assert b" 200 " not in wire.recv(65536)


def test_the_logs_tell_of_what_was_sent_and_refused_and_of_no_body(entrance: Entrance, headers: dict[str, str]) -> None:
    send(entrance.approvers, f"POST {UPDATE} HTTP/1.1", headers, said("logged"))
    refused(entrance, f"POST {TERMINATE} HTTP/1.1", headers)

    def told(path: str) -> bool:
        return f'"POST {path} HTTP/1.1"' in log()

    def log() -> str:
        return (entrance.bare.folder / "approvers-door.log").read_text()

    for path in (UPDATE, TERMINATE):
        eventually(partial(told, path), f"{path} is in the log")
    assert headers["X-CSRF-Token"] not in log()
