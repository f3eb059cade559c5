"""What each kind of fault does to the world of a soak: it begins, it lasts, it is over."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from tests.e2e.proxy import (
    AfterStatus,
    CutStream,
    Delay,
    Fault,
    FaultProxy,
    Hang,
    LoseAnswer,
    Rewrite,
    Rule,
    SlowAnswer,
    Status,
    StreamError,
)

if TYPE_CHECKING:
    from tests.e2e.soak_world import World

Given = Mapping[str, Any]
Makes = Callable[["World", Given], AbstractContextManager[None]]
OLD_S = 300.0
SETTLED_S = 2.0
"""How long after a right came back, or an API server, a refusal may still be on its way."""


# -- processes -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _kill(world: World, given: Given) -> Iterator[None]:
    who = world.replica(given["who"])
    world.kill(who)
    yield
    world.start(who)


@contextlib.contextmanager
def _stop(world: World, given: Given) -> Iterator[None]:
    process = world.daemons[world.replica(given["who"])].process
    if process.poll() is None:
        process.stop_signal()
    yield
    process.cont()


# -- the API server --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _partition(world: World, given: Given) -> Iterator[None]:
    proxy = world.proxies[world.replica(given["who"])]
    proxy.partition()
    yield
    proxy.heal()


@contextlib.contextmanager
def _api_server(world: World, given: Given) -> Iterator[None]:
    with _denials(world):
        world.plane.down("kube-apiserver")
        yield
        world.plane.up("kube-apiserver")
        world.plane.wait_for_api()


def _ruled(fault: Callable[[Given], Fault], *, cut: bool = False, **match: str) -> Makes:
    """Return what puts one rule before the requests of one replica or of both, and takes it away again."""

    @contextlib.contextmanager
    def makes(world: World, given: Given) -> Iterator[None]:
        proxies = _befallen(world, given["who"])
        dice = random.Random(given["dice"]) if "dice" in given else None
        rule = Rule(fault(given), times=None, probability=given.get("share", 1.0), dice=dice, **match)
        for proxy in proxies:
            proxy.add(rule)
            if cut:
                proxy.cut_all()
        yield
        for proxy in proxies:
            proxy.remove(rule)
            if cut:  # what trickles goes on trickling else
                proxy.cut_all()

    return makes


def _befallen(world: World, who: str) -> list[FaultProxy]:
    return list(world.proxies.values()) if who == "both" else [world.proxies[world.replica(who)]]


# -- Prometheus ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _prometheus_down(world: World, given: Given) -> Iterator[None]:
    proxy = world.metrics
    match given["how"]:
        case "refuses":
            proxy.refuse()
            proxy.cut_all()
            yield
            proxy.reopen()
        case "hangs":
            hang = Hang()
            rule = Rule(hang)
            proxy.add(rule)
            yield
            proxy.remove(rule)
            hang.heal()
        case _:
            rule = Rule(Status(503, body="{}"))
            proxy.add(rule)
            yield
            proxy.remove(rule)


def _rewritten(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Makes:
    """Return what changes the series of every answer."""

    def function(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        document = json.loads(body)
        if isinstance(document.get("data"), dict):
            document["data"]["result"] = change(document["data"].get("result") or [])
        return status, headers, json.dumps(document).encode()

    @contextlib.contextmanager
    def makes(world: World, given: Given) -> Iterator[None]:
        rule = Rule(Rewrite(function), path=r"/api/v1/query$")
        world.metrics.add(rule)
        yield
        world.metrics.remove(rule)

    return makes


def _companion(one: Mapping[str, Any]) -> str:
    return str(one.get("metric", {}).get("aiops_companion", ""))


def _no_numbers(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one if _companion(one) else {**one, "value": [one["value"][0], "NaN"]} for one in series]


def _old(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def older(one: dict[str, Any]) -> dict[str, Any]:
        at, value = one["value"]
        return {**one, "value": [at, str(float(value) - OLD_S)]}

    return [older(one) if _companion(one).startswith("age") else one for one in series]


# -- the store, policies, people -------------------------------------------------------------------------


@contextlib.contextmanager
def _postgres(world: World, given: Given) -> Iterator[None]:
    server = world.postgres
    world.store_is_up = False
    match given["how"]:
        case "hangs":
            server.freeze()
            yield
            server.thaw()
        case how:
            (server.stop if how == "stops" else server.kill)()
            yield
            server.start()
    world.store_is_up = True


@contextlib.contextmanager
def _policy_broken(world: World, given: Given) -> Iterator[None]:
    file = world.rig.policies / "policies.yaml"
    file.write_text(file.read_text().replace("perReplica", "perReplicant"))
    yield
    world.write_policies()


@contextlib.contextmanager
def _mode_lowered(world: World, given: Given) -> Iterator[None]:
    world.write_policies(lowered=given["name"])
    yield
    world.write_policies()


@contextlib.contextmanager
def _person_scales(world: World, given: Given) -> Iterator[None]:
    with contextlib.suppress(AssertionError):  # it may have been deleted
        world.plane.kubectl("scale", "-n", world.namespace, f"deployment/{given['name']}", f"--replicas={given['to']}")
    yield


@contextlib.contextmanager
def _pause(world: World, given: Given) -> Iterator[None]:
    scope = f"{world.namespace}/{given['name']}"
    said = world.aiops("-o", "json", "pause", scope, "--reason", "soak", "--by", "soak")
    yield
    world.aiops("resume", json.loads(said)["id"])


@contextlib.contextmanager
def _made_anew(world: World, given: Given) -> Iterator[None]:
    world.plane.delete(world.path(given["name"]))
    yield
    world.deploy(given["name"])


@contextlib.contextmanager
def _nodes_lost(world: World, given: Given) -> Iterator[None]:
    world.plane.down("kwok")
    yield
    world.plane.up("kwok")


@contextlib.contextmanager
def _lease_deleted(world: World, given: Given) -> Iterator[None]:
    world.plane.delete(world.lease_path, wait=False)
    yield


@contextlib.contextmanager
def _permission_taken(world: World, given: Given) -> Iterator[None]:
    bindings = [one for one in world.roles if one["kind"] == "RoleBinding" and _in(one, world.namespace)]
    assert bindings, "the roles of the daemon have no binding in the namespace"
    with _denials(world):
        for one in bindings:
            world.plane.delete(world.plane.path_of(one))
        yield
        world.plane.apply(*bindings)


def _in(item: Mapping[str, Any], namespace: str) -> bool:
    return bool(item["metadata"].get("namespace") == namespace)


@contextlib.contextmanager
def _denials(world: World) -> Iterator[None]:
    """Take denials for granted meanwhile."""
    since = time.time()
    world.denied.append((since, float("inf")))
    yield
    world.denied[world.denied.index((since, float("inf")))] = (since, time.time() + SETTLED_S)


FAULTS: Mapping[str, Makes] = {
    "kill": _kill,
    "stop": _stop,
    "partition": _partition,
    "api-server-killed": _api_server,
    "all-refused": _ruled(lambda given: Status(given["code"])),
    "writes-refused": _ruled(lambda given: Status(given["code"]), method="PATCH"),
    "answers-lost": _ruled(lambda _: LoseAnswer(), method="PATCH"),
    "done-but-error": _ruled(lambda given: AfterStatus(given["code"]), method="PATCH"),
    "slow-requests": _ruled(lambda given: Delay(given["delay_s"])),
    "slow-watches": _ruled(lambda given: SlowAnswer(given["bytes_per_s"]), cut=True, verb="watch"),
    "cut-watches": _ruled(lambda given: CutStream(given["after"]), cut=True, verb="watch"),
    "gone-watches": _ruled(lambda given: StreamError(410, given["after"]), cut=True, verb="watch"),
    "prometheus-down": _prometheus_down,
    "prometheus-empty": _rewritten(lambda _: []),
    "prometheus-nan": _rewritten(_no_numbers),
    "prometheus-stale": _rewritten(_old),
    "postgres-down": _postgres,
    "policy-broken": _policy_broken,
    "mode-lowered": _mode_lowered,
    "person-scales": _person_scales,
    "pause": _pause,
    "made-anew": _made_anew,
    "nodes-lost": _nodes_lost,
    "lease-deleted": _lease_deleted,
    "permission-taken": _permission_taken,
}
