"""A Prometheus that is gone, hangs, lags or lies, while demand looks low: nothing is scaled in on it (S1, S2)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.faults import (
    BUSY,
    DEMANDS,
    QUIET,
    SETTLED,
    lowered,
    needs,
    recovers,
    rule,
    settled,
    sound,
    turns,
    until_reason,
    until_said,
)
from tests.e2e.proxy import Fault, FaultProxy, Hang, Rewrite, SlowAnswer, Status
from tests.e2e.rig import Daemon, Gauges, Rig
from tests.integration.prometheus_server import running_prometheus

QUERY = "/api/v1/query"
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def proxy(rig: Rig) -> Iterator[FaultProxy]:
    with FaultProxy(rig.prometheus) as made:
        yield made


def started(rig: Rig, deploy: Callable[..., str], proxy: FaultProxy, **changes: Any) -> tuple[str, Daemon]:
    asked = {"url": proxy.url, "jitter": "0s", "timeout": "2s", "retries": 0}
    return settled(rig, deploy, prometheus=asked, **changes)


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Fault:
    """Return the fault of an answer whose result is changed; `change` gets each series."""

    def rewrite(status: int, headers: dict[str, str], body: bytes) -> Answer:
        document = json.loads(body)
        result = [new for one in document["data"]["result"] for new in change(one)]
        document["data"]["result"] = result
        return status, headers, json.dumps(document).encode()

    return Rewrite(rewrite)


def is_age(one: dict[str, Any]) -> bool:
    return str(one["metric"].get("aiops_companion", "")).startswith("age")


def is_demand(one: dict[str, Any]) -> bool:
    return not one["metric"]


def value(one: dict[str, Any], said: Any) -> dict[str, Any]:
    return {**one, "value": [one["value"][0], str(said)]}


def frozen(at: float) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """Return the change to an old sample: the least demand, as of then."""

    def change(one: dict[str, Any]) -> list[dict[str, Any]]:
        return [value(one, at)] if is_age(one) else [value(one, DEMANDS[QUIET])] if is_demand(one) else [one]

    return change


def truncated(status: int, headers: dict[str, str], body: bytes) -> Answer:
    return status, headers, body[: len(body) // 2]


def low(one: dict[str, Any]) -> dict[str, Any]:
    return value(one, DEMANDS[QUIET]) if is_demand(one) else one


HTML = Status(200, {"Content-Type": "text/html"}, "<html>log in</html>")
FAULTS: dict[str, tuple[Callable[[], Fault], str, str]] = {
    "hanging": (Hang, "no answer within the 0.7 s", "failed_signal"),
    "trickling": (lambda: SlowAnswer(40), "no answer within the 0.7 s", "failed_signal"),
    "500": (lambda: Status(500), "fails \\(500", "failed_signal"),
    "429": (lambda: Status(429), "is asked too much", "failed_signal"),
    "a login page": (lambda: HTML, "not JSON: is that a Prometheus", "failed_signal"),
    "JSON that is cut off": (lambda: Rewrite(truncated), "cut off or no JSON", "failed_signal"),
    "nothing": (lambda: rewritten(lambda one: []), "answers nothing, and once did", "empty_signal"),
    "NaN": (lambda: rewritten(lambda one: [value(one, "NaN") if is_demand(one) else one]), "nan", "nan_signal"),
    "samples that stand still": (lambda: rewritten(frozen(time.time() - 8)), "s old, at most 5 s", "stale_signal"),
    "a vector of two": (
        lambda: rewritten(lambda one: [low(one), low(one)]),
        "2 series, a signal is one",
        "failed_signal",
    ),
    "ten times the series": (lambda: rewritten(lambda one: [low(one)] * 10), "10 series", "failed_signal"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_prometheus_that_answers_wrongly_scales_nothing_in_s1(rig, deploy, proxy, name):
    path, daemon = started(rig, deploy, proxy)
    make, said, reason = FAULTS[name]
    fault = make()
    begun = len(daemon.sentences())
    proxy.rules = [rule(fault, path=QUERY)]
    needs(rig, QUIET)
    until_said(rig, daemon, said, since=begun)
    until_reason(rig, reason)
    began = time.monotonic()
    # twice its window and more: and each tick ends, with its reason
    spoken = turns(rig, daemon, 6, 40)
    assert time.monotonic() - began < 6 * 3.5
    assert all("hold 4" in one for one in spoken), spoken
    assert lowered(rig) == []
    assert rig.replicas(path) == SETTLED
    proxy.rules = []
    if isinstance(fault, Hang):
        fault.heal()
    recovers(rig, daemon, path)
    sound(rig, daemon)


def test_a_prometheus_that_is_gone_scales_nothing_in_and_the_floor_still_holds_s2(rig, deploy, proxy):
    path, daemon = started(rig, deploy, proxy)
    begun = len(daemon.sentences())
    proxy.refuse()
    proxy.cut_all()
    rig.demand(None)
    until_said(rig, daemon, "cannot be reached", since=begun)
    until_reason(rig, "failed_signal")
    turns(rig, daemon, 6)
    assert lowered(rig) == []
    assert daemon.ready()[0] == 503
    # a person goes below the minimum: what is needed needs no signal
    rig.plane.patch(path, {"spec": {"replicas": 1}})
    turns(rig, daemon, 3)
    assert any("rises to the minimum 2" in one or "somebody" in one or "yield" in one for one in daemon.sentences())
    rig.plane.patch(path, {"spec": {"replicas": SETTLED}})
    proxy.reopen()
    needs(rig, SETTLED)
    rig.until(lambda: daemon.ready()[0] == 200, "readiness")
    until_said(rig, daemon, "demand 190 req/s")
    sound(rig, daemon)


def test_a_prometheus_that_lags_is_stale_and_scales_nothing_in_s1(rig, deploy, proxy):
    """It answers with what was there 20 s ago, and is honest about it."""
    path, daemon = started(rig, deploy, proxy)

    def change(one: dict[str, Any]) -> list[dict[str, Any]]:
        return [value(one, float(one["value"][1]) - 20.0)] if is_age(one) else [low(one)]

    proxy.rules = [rule(rewritten(change), path=QUERY)]
    until_said(rig, daemon, "demand is stale: 2\\d s old, at most 5 s")
    turns(rig, daemon, 7)
    assert lowered(rig) == []
    proxy.rules = []
    recovers(rig, daemon, path)
    sound(rig, daemon)


def test_one_target_that_is_down_holds_scale_in_and_what_is_seen_scales_out_s1_s2(rig, deploy, tmp_path):
    """Of two targets one is down: the sum is a lower bound, enough to scale out on, never to scale in on."""
    here, there = Gauges(), Gauges()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    for one in (here, there):
        one.set("demand", rig.namespace, DEMANDS[SETTLED] / 2)
    try:
        with running_prometheus(folder, f"{here.address}', '{there.address}") as url:
            path, daemon = settled(rig, deploy, prometheus={"url": url, "jitter": "0s", "timeout": "2s", "retries": 0})
            there.stop()
            here.set("demand", rig.namespace, DEMANDS[QUIET])
            until_said(rig, daemon, "demand is partial: 1 of (2 targets|about 2 series)")
            until_reason(rig, "partial_signal")
            turns(rig, daemon, 7)
            assert lowered(rig) == []
            here.set("demand", rig.namespace, DEMANDS[BUSY])
            rig.until(lambda: rig.replicas(path) == BUSY, "the scale-out on what can be seen")
            here.set("demand", rig.namespace, DEMANDS[QUIET])
            turns(rig, daemon, 7)
            assert lowered(rig) == []
            sound(rig, daemon)
    finally:
        here.stop()
