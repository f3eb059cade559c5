"""How long pods took to be ready: what was first seen of each stands, and which part of it is which phase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from aiops.adapters.kubernetes.startups import SHOWN, FirstReady

NOW, TARGET = 1_700_000_000.0, "shop/storefront"


def text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, made_at: float, ready_at: float | None, restarts: int = 0) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False"}]
    if ready_at is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": text(ready_at)}]
    status = {"conditions": conditions, "containerStatuses": [{"name": "main", "restartCount": restarts}]}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": text(made_at)}, "status": status}


def container(began_s: float | None, done_s: float | None = None) -> dict[str, Any]:
    """Return what a pod that was made at `NOW` says of a container, ended or not."""
    if began_s is None:
        return {"restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    began = {"startedAt": text(NOW + began_s)}
    if done_s is None:
        return {"restartCount": 0, "state": {"running": began}}
    return {"restartCount": 0, "state": {"terminated": {**began, "finishedAt": text(NOW + done_s)}}}


def seconds(known: FirstReady, pods: Sequence[dict[str, Any]], target: str = TARGET) -> tuple[float, ...]:
    return tuple(one.total_s for one in known.of(target, pods))


def test_a_pod_that_was_not_ready_for_a_while_started_as_it_first_did():
    known = FirstReady()
    assert seconds(known, [pod("a", NOW, NOW + 40.0)]) == (40.0,)
    assert seconds(known, [pod("a", NOW, None)]) == (40.0,)
    assert seconds(known, [pod("a", NOW, NOW + 1800.0)]) == (40.0,)
    assert seconds(known, [pod("a", NOW, NOW + 9000.0, restarts=1)]) == (40.0,)


@pytest.mark.parametrize(
    "hidden",
    [
        pod("a", NOW, None),
        pod("a", NOW, NOW + 40.0, restarts=1),
        pod("a", NOW, NOW + 86_400.0),
        pod("a", NOW, NOW - 5.0),
    ],
    ids=["not ready", "restarted", "ready since a day after", "ready before it was"],
)
def test_what_hides_the_first_readiness_is_not_counted(hidden):
    assert FirstReady().of(TARGET, [hidden]) == ()


def test_the_newest_are_shown_and_those_that_are_gone_are_not():
    known = FirstReady()
    every = [pod(f"p{n}", NOW + n, NOW + n + 10.0 + n) for n in range(SHOWN + 5)]
    assert seconds(known, every) == tuple(15.0 + n for n in range(SHOWN))
    assert seconds(known, every[:1]) == (10.0,)
    late = pod("p1", NOW + 1.0, NOW + 600.0)
    assert seconds(known, [late]) == (599.0,)
    known.gone(TARGET)
    assert seconds(known, [pod("p1", NOW + 1.0, NOW + 700.0)]) == (699.0,)


def test_they_are_in_the_order_in_which_they_became_ready():
    slow, quick = pod("slow", NOW, NOW + 300.0), pod("quick", NOW + 60.0, NOW + 90.0)
    assert seconds(FirstReady(), [slow, quick]) == (30.0, 300.0)


def test_targets_do_not_share_what_is_known():
    known = FirstReady()
    seconds(known, [pod("a", NOW, NOW + 40.0)])
    assert seconds(known, [pod("a", NOW, NOW + 90.0)], "shop/other") == (90.0,)
    assert seconds(known, [pod("a", NOW, NOW + 90.0)]) == (40.0,)


@pytest.mark.parametrize(
    ("scheduled_s", "initialised_s", "inits", "containers", "phases"),
    [
        (2.0, 2.0, [], [container(30.0), container(41.0)], (2.0, 39.0, 0.0, 19.0)),
        (2.0, 25.0, [container(10.0, 15.0), container(18.0, 25.0)], [container(41.0)], (2.0, 24.0, 15.0, 19.0)),
        (2.0, 12.0, [container(10.0)], [container(41.0)], (2.0, 37.0, 2.0, 19.0)),
        (-1.0, 0.0, [], [container(61.0)], (0.0, 62.0, 0.0, 0.0)),
        (None, 2.0, [], [container(41.0)], (math.nan, math.nan, 0.0, 19.0)),
        (2.0, 2.0, [], [container(30.0), container(None)], (2.0, math.nan, 0.0, math.nan)),
        (2.0, None, [container(None)], [container(41.0)], (2.0, math.nan, math.nan, 19.0)),
    ],
    ids=["plain", "init", "sidecar", "other clocks", "no schedule", "a container does not say", "init does not say"],
)
def test_phases_are_told_apart_where_the_pod_does(scheduled_s, initialised_s, inits, containers, phases):
    shown = pod("a", NOW, NOW + 60.0)
    for name, at_s in (("PodScheduled", scheduled_s), ("Initialized", initialised_s)):
        if at_s is not None:
            since = text(NOW + at_s)
            shown["status"]["conditions"].append({"type": name, "status": "True", "lastTransitionTime": since})
    shown["status"] |= {"containerStatuses": containers, "initContainerStatuses": inits}
    (one,) = FirstReady().of(TARGET, [shown])
    found = (one.pending_s, one.pull_s, one.init_s, one.ready_s)
    assert found == pytest.approx(phases, nan_ok=True)
    assert (one.total_s, one.ready_at) == (60.0, NOW + 60.0)
