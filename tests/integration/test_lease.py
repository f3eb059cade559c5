"""The election against a small server with the shapes of a Lease; the real one is met in tests/e2e."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes.client import ApiClient, Configuration

from aiops.adapters.kubernetes import KubernetesLease, LeaseOptions
from aiops.adapters.kubernetes.http import Http

TIMES = {"duration_s": 0.9, "renew_s": 0.5, "retry_s": 0.05}


class LeaseServer:
    """One Lease with optimistic locking. broken: a status for every request; writes: what was written."""

    def __init__(self) -> None:
        self.item: dict | None = None
        self.broken = 0
        self.writes: list[dict] = []
        self.version = 0
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                with lock:
                    status, answer = server.answer(self.command, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PATCH = do_GET  # noqa: N815  # the standard library's names

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, body: dict) -> tuple[int, dict]:
        if self.broken:
            return self.broken, {"message": "the test refuses"}
        if method == "GET":
            return (404, {}) if self.item is None else (200, self.item)
        if method == "POST":
            if self.item is not None:
                return 409, {}
            self.item = {"metadata": {"uid": "u"}, "spec": {}}
        elif self.item is None or body["metadata"]["resourceVersion"] != self.item["metadata"]["resourceVersion"]:
            return 409, {}
        self.version += 1
        self.writes.append(body["spec"])
        spec = {**self.item["spec"], **body["spec"]}
        self.item = {"metadata": {"uid": "u", "resourceVersion": str(self.version)}, "spec": spec}
        return 200, self.item

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    made = LeaseServer()
    yield made
    made.stop()


@pytest.fixture
def competitor(server):
    started = []

    def make(holder: str, floor: int = 0, defer_s: float = 0.0) -> KubernetesLease:
        configuration = Configuration(host=server.url)
        configuration.retries = False
        options = LeaseOptions(
            namespace="aiops",
            name="aiops",
            holder=holder,
            floor=lambda: floor,
            wall=time.time,
            defer_s=defer_s,
            **TIMES,
        )
        lease = KubernetesLease(Http(ApiClient(configuration)), options)
        lease.start()
        started.append(lease)
        return lease

    yield make
    for one in started:
        one.stop(1)


def eventually(look, within_s: float = 5.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come about in time")


def leads(lease: KubernetesLease) -> bool:
    return lease.leadership(1000.0).leader


def test_one_of_two_leads_and_the_other_names_it_s6(server, competitor):
    a = competitor("a")
    eventually(lambda: leads(a))
    b = competitor("b")
    eventually(lambda: b.leadership(0.0).holder == "a")
    assert not leads(b)
    found = a.leadership(1000.0)
    assert (found.epoch, found.elected) == (1, True)
    assert 1000.0 < found.until <= 1000.0 + TIMES["renew_s"]


def test_a_leader_that_cannot_renew_steps_down_before_its_lease_runs_out_s6(server, competitor):
    a = competitor("a")
    eventually(lambda: leads(a))
    server.broken = 500
    began = time.monotonic()
    eventually(lambda: not leads(a))
    assert time.monotonic() - began < TIMES["duration_s"]
    server.broken = 0
    eventually(lambda: leads(a))
    assert a.leadership(0.0).epoch == 1  # nobody else had it


def test_a_hold_that_is_given_up_is_taken_at_once_under_the_next_epoch_s9(server, competitor):
    a, b = competitor("a"), competitor("b")
    first, second = eventually(lambda: (leads(a) and (a, b)) or (leads(b) and (b, a)))
    first.stop(1)
    began = time.monotonic()
    eventually(lambda: leads(second))
    assert time.monotonic() - began < TIMES["duration_s"]
    assert second.leadership(0.0).epoch == 2


def test_one_that_defers_leaves_a_free_lease_to_another_that_comes_later_and_one_that_was_given_up_s8(
    server, competitor
):
    home = competitor("home", defer_s=600.0)
    eventually(lambda: home.leadership(0.0).holder == "nobody")  # it has looked, and there is none
    first = competitor("first")
    eventually(lambda: leads(first))
    first.stop(1)
    eventually(lambda: home.leadership(0.0).holder == "nobody")
    second = competitor("second")
    eventually(lambda: leads(second))
    assert not leads(home)


def test_one_that_defers_takes_a_lease_that_nobody_else_wants_and_renews_it_s6(server, competitor):
    home = competitor("home", defer_s=0.2)
    eventually(lambda: leads(home))
    eventually(lambda: len(server.writes) > 2)
    assert home.leadership(0.0).epoch == 1


def test_the_epoch_is_above_every_epoch_that_the_journal_knows_s6(server, competitor):
    a = competitor("a", floor=41)
    eventually(lambda: leads(a))
    assert a.leadership(0.0).epoch == 42
    server.item = None  # somebody deletes the Lease
    eventually(lambda: server.item is not None and leads(a))
    assert a.leadership(0.0).epoch == 42


def test_a_lease_without_permission_says_which_and_what_prints_it_s10(server, competitor):
    server.broken = 403
    a = competitor("a")
    eventually(lambda: "the test refuses" in a.leadership(0.0).holder)
    holder = a.leadership(0.0).holder
    assert "get leases.coordination.k8s.io in namespace aiops" in holder
    assert "aiops rbac POLICIES" in holder
    assert a.unwell() in holder  # /readyz says it, too
    server.broken = 0
    eventually(lambda: leads(a))
    assert a.unwell() == ""
