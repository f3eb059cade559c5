"""How long pods took to be ready: what was first seen of each stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aiops.adapters.kubernetes.startups import KEPT, FirstReady

NOW, TARGET = 1_700_000_000.0, "shop/storefront"


def text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, made_at: float, ready_at: float | None, restarts: int = 0) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "False"}]
    if ready_at is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": text(ready_at)}]
    status = {"conditions": conditions, "containerStatuses": [{"name": "main", "restartCount": restarts}]}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": text(made_at)}, "status": status}


def test_a_pod_that_was_not_ready_for_a_while_started_as_it_first_did():
    known = FirstReady()
    assert known.of(TARGET, [pod("a", NOW, NOW + 40.0)]) == (40.0,)
    assert known.of(TARGET, [pod("a", NOW, None)]) == (40.0,)
    assert known.of(TARGET, [pod("a", NOW, NOW + 1800.0)]) == (40.0,)
    assert known.of(TARGET, [pod("a", NOW, NOW + 9000.0, restarts=1)]) == (40.0,)


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


def test_the_newest_count_and_those_that_are_gone_are_forgotten():
    known = FirstReady()
    every = [pod(f"p{n}", NOW + n, NOW + n + 10.0 + n) for n in range(KEPT + 5)]
    assert known.of(TARGET, every) == tuple(15.0 + n for n in range(KEPT))
    assert known.of(TARGET, every[:1]) == (10.0,)
    late = pod("p1", NOW + 1.0, NOW + 600.0)
    assert known.of(TARGET, [late]) == (599.0,)
    known.gone(TARGET)
    assert known.of(TARGET, [pod("p1", NOW + 1.0, NOW + 700.0)]) == (699.0,)


def test_targets_do_not_share_what_is_known():
    known = FirstReady()
    known.of(TARGET, [pod("a", NOW, NOW + 40.0)])
    assert known.of("shop/other", [pod("a", NOW, NOW + 90.0)]) == (90.0,)
    assert known.of(TARGET, [pod("a", NOW, NOW + 90.0)]) == (40.0,)
