"""Informers behind a server that fails: no hammering, no old state taken for the present (S2, S10)."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from aiops.adapters.kubernetes import Clusters
from aiops.adapters.kubernetes.http import Call
from aiops.adapters.kubernetes.informer import Informer
from aiops.core.model import Reason
from tests.builders import NOW, TARGET
from tests.e2e.proxy import CutStream, FaultProxy, Rule, Status, StreamError
from tests.integration.kubernetes_server import KubernetesServer, deployment
from tests.integration.test_kubernetes import DEPLOYMENTS, connected, eventually


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    server = KubernetesServer()
    server.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    server.put(DEPLOYMENTS, deployment())
    yield server
    server.stop()


@pytest.fixture
def proxy(server: KubernetesServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as made:
        yield made


@pytest.fixture
def clusters(proxy: FaultProxy) -> Iterator[Clusters]:
    made = Clusters({"default": connected(proxy.url)})
    made.start()
    eventually(lambda: made.inventory([TARGET], NOW).workloads)
    yield made
    made.stop(5)


FAULTS = {
    "500": Rule(Status(500), method="GET"),
    "410": Rule(Status(410), verb="watch"),
    "410 in the stream": Rule(StreamError(410), verb="watch"),
    "cut": Rule(CutStream(0), verb="watch"),
    "no JSON": Rule(Status(200, body="<html>"), verb="watch"),
    "ended at once": Rule(Status(200, body=""), verb="watch"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_watches_that_fail_again_and_again_wait_longer_each_time_s10(proxy, clusters, name):
    proxy.rules = [FAULTS[name]]
    began = time.time()
    proxy.cut_all()
    time.sleep(3.0)
    asked = [one for one in proxy.seen if one.at > began and one.path == DEPLOYMENTS and one.verb == "watch"]
    # 0.2 s, 0.4 s, 0.8 s, 1.6 s, each at least half of it; a cut watch is a first failure of its own
    assert 1 <= len(asked) <= 8


def test_what_is_not_watched_any_more_is_known_as_of_then_s2(proxy, clusters):
    assert clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of == NOW
    proxy.rules = [Rule(Status(500), method="GET")]
    proxy.cut_all()
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of < NOW - 0.5)
    proxy.rules = []
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of == NOW)


def test_a_denial_that_stays_is_a_missing_permission_and_one_that_passes_is_not_s3(proxy, clusters):
    """An API server that has just begun knows no role yet, and denies everything for a moment."""
    denial = Rule(Status(403), path=DEPLOYMENTS, method="GET", times=2)
    proxy.rules = [denial]
    proxy.cut_all()
    ends_at = time.monotonic() + 1.5
    while time.monotonic() < ends_at:
        assert not clusters.inventory([TARGET], NOW).refused
        time.sleep(0.05)
    proxy.rules = [Rule(Status(403), path=DEPLOYMENTS, method="GET")]
    proxy.cut_all()
    reason, why = eventually(lambda: clusters.inventory([TARGET], NOW).refused.get(TARGET.key))
    assert reason is Reason.NO_PERMISSION
    assert "aiops rbac POLICIES" in why
    proxy.rules = []
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads)


# -- what a server may do to a history -------------------------------------------------------------------------


class Told:
    """An API server in whose place a test tells the events: one list, then what each watch is told."""

    host = "told"

    def __init__(self, *watches: Sequence[bytes]) -> None:
        self.watches = list(watches)
        self.lists: list[int] = []
        self.asked: list[str] = []

    def get(self, path: str, patience_s: float = 0.0, /, **query: str) -> dict:
        version = 100 * (len(self.lists) + 1)
        self.lists.append(version)
        return {"items": [thing("a", version)], "metadata": {"resourceVersion": str(version)}}

    def send(self, call: Call) -> object:
        self.asked.append(call.query["resourceVersion"])
        pieces = self.watches.pop(0) if self.watches else None
        return Stream(pieces)


class Stream:
    """A watch that is told in pieces; None hangs until it is shut down."""

    status = 200

    def __init__(self, pieces: Sequence[bytes] | None) -> None:
        self._pieces = pieces
        self._ended = threading.Event()

    def stream(self, **_: object) -> Iterator[bytes]:
        yield from self._pieces or ()
        if self._pieces is None:
            self._ended.wait(30)

    def shutdown(self) -> None:
        self._ended.set()

    def close(self) -> None:
        """Hold nothing."""


def thing(name: str, version: int) -> dict:
    return {"metadata": {"name": name, "namespace": "shop", "resourceVersion": str(version)}, "data": {"at": version}}


def event(kind: str, name: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": thing(name, version)}).encode() + b"\n"


@contextlib.contextmanager
def informed(told: Told, **more: float) -> Iterator[Informer]:
    informer = Informer(told, "/api/v1/namespaces/shop/things", **more)
    informer.start()
    try:
        yield informer
    finally:
        informer.stop(5)


def versions(informer: Informer) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in informer.objects()}


def test_an_event_that_is_older_than_what_is_known_overwrites_nothing_and_lists_anew_s2():
    told = Told([event("MODIFIED", "a", 140), event("MODIFIED", "a", 120)])
    with informed(told) as informer:
        eventually(lambda: versions(informer) == {"a": "200"})
    assert told.asked == ["100", "200"]


def test_a_bookmark_of_a_history_that_went_back_lists_anew_s2():
    told = Told([event("BOOKMARK", "", 40)])
    with informed(told) as informer:
        eventually(lambda: len(told.lists) == 2)
        eventually(lambda: versions(informer) == {"a": "200"})


def test_what_is_told_twice_is_known_once_and_a_bookmark_is_no_object():
    told = Told(
        [event("ADDED", "b", 101), event("ADDED", "b", 101), event("BOOKMARK", "", 150), event("DELETED", "b", 151)],
    )
    with informed(told) as informer:
        eventually(lambda: told.asked == ["100", "151"])
        assert versions(informer) == {"a": "100"}
        assert told.lists == [100]


def test_a_watch_goes_on_from_the_last_event_that_came_whole():
    whole, half = event("MODIFIED", "a", 140), event("MODIFIED", "a", 141)[:-20]
    told = Told([whole[:30], whole[30:] + half])
    with informed(told) as informer:
        eventually(lambda: told.asked == ["100", "140"])
        assert versions(informer) == {"a": "140"}


def test_a_watch_that_something_between_keeps_open_ends_all_the_same_s2():
    told = Told(Blank())
    with informed(told, longest_s=0.05):
        eventually(lambda: len(told.asked) == 2)


class Blank:
    """Blank lines without end, as a proxy sends them whose server is dead."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"\n"


def test_a_resource_that_is_not_served_any_more_is_no_empty_list_s4(server, proxy, clusters):
    path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
    proxy.rules = [Rule(Status(404), path=path, method="GET")]
    proxy.cut_all()
    found = eventually(lambda: clusters.inventory([TARGET], NOW).refused)
    reason, why = found[TARGET.key]
    assert (reason, why) == (Reason.UNKNOWN_TARGET, f"the API server does not serve {path}")
    assert not clusters.inventory([TARGET], NOW).workloads
