"""The end of an installation: everything is handed back without a daemon; and the store of the release before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aiops.adapters.store import REVISION, Asked, Store
from aiops.app.handing_back import HandingBack, Wish
from aiops.app.settings import load_settings
from aiops.app.wiring import Built, build
from aiops.core.model import Direction, Pause, PlanKind, PlanStatus
from aiops.core.plans.guards import Bounds, stopped
from aiops.errors import ConfigurationError
from tests.plan_world import NOW, plan
from tests.unit.test_plan_lifecycle import policy, world

FIXTURE = Path(__file__).parents[1] / "fixtures/store-0009.sql"
SCENARIO = """
name: small
start: 2026-03-02T09:00:00Z
duration: 7m
services:
  - name: checkout
    capacity: 60
    serviceTime: 50ms
    slo: 250ms
    replicas: 4
    price: 0.042
    hpa: {minReplicas: 2, maxReplicas: 20, target: 0.7}
    load: {base: 300}
"""
POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  lever: hpa-floor
  signals:
    demand: {query: 'sum(rate(http_requests_total{namespace="shop",service="checkout"}[1m]))', unit: req/s}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 20}
"""
WISH = Wish(by="ann", reason="moves", within_s=0.5)


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Built]:
    """A daemon of a small simulated world, whose policy has raised a floor."""
    (tmp_path / "small.yaml").write_text(SCENARIO)
    (tmp_path / "checkout.yaml").write_text(POLICY)
    flags = {
        "mode": "enforce",
        "promotion": "file",
        "simulation": {"scenario": str(tmp_path / "small.yaml")},
        "policies": [tmp_path / "checkout.yaml"],
        "store": {"url": f"sqlite:///{tmp_path / 'aiops.db'}"},
    }
    made = build(load_settings(None, flags))
    made.world.start()
    for _ in range(40):
        made.tick()
        if made.store.reader.effects():
            break
    yield made
    made.store.close()


def test_without_a_daemon_everything_is_handed_back_and_nothing_new_is_done_s9(built: Built):
    (effect,) = built.store.reader.effects()
    told = HandingBack(built, WISH).run(wait=lambda _: None)
    assert [(one["object"], one["original"], one["written"]) for one in told.stood] == [
        ("HorizontalPodAutoscaler shop/checkout", effect.original, effect.written)
    ]
    assert (told.left, told.why) == ((), ())
    assert built.store.reader.effects() == ()
    (pause,) = built.store.people.pauses(built.world.present())
    assert (pause.scope, pause.release, pause.by, pause.reason) == ("*", True, "ann", "moves")
    built.tick()
    assert built.store.reader.effects() == ()


def test_what_a_person_takes_back_goes_on_under_a_release_and_not_under_a_pause_s9():
    back = plan(kind=PlanKind.REMEDIATION, status=PlanStatus.ROLLING_BACK)
    for release, said in ((True, ""), (False, "paused by ann: moves")):
        pause = Pause(
            id="p", scope="*", direction=Direction.ALL, reason="moves", by="ann", since=NOW - 1.0, release=release
        )
        bounds = Bounds(policy=policy(), snapshot=world(pauses=(pause,)), plans=(back,))
        assert stopped(back, bounds) == said


# -- the store of the release before -------------------------------------------------------------------------------


def older(folder: Path, sql: str) -> str:
    with closing(sqlite3.connect(folder / "aiops.db")) as database:
        database.executescript(sql)
    return f"sqlite:///{folder / 'aiops.db'}"


def test_the_store_of_the_release_before_is_brought_up_to_date_with_all_that_it_knew(tmp_path: Path):
    store = Store.open(older(tmp_path, FIXTURE.read_text(encoding="utf-8")), writer=True)
    try:
        assert store.found == "0009"
        assert [(one.original, one.written) for one in store.reader.effects()] == [(2, 7)]
        assert [one.scope for one in store.people.pauses(NOW)] == ["shop/legacy"]
        assert len(store.reader.decisions(Asked(limit=100))) == 12
        assert list(store.journal.load().targets) == ["ScalingPolicy/shop/checkout"]
    finally:
        store.close()


def test_a_newer_store_is_refused_with_3_and_left_as_it_is(tmp_path: Path):
    sql = FIXTURE.read_text(encoding="utf-8").replace("VALUES('0009')", "VALUES('9999')")
    url = older(tmp_path, sql)
    with closing(sqlite3.connect(tmp_path / "aiops.db")) as database:
        before = list(database.iterdump())
    with pytest.raises(ConfigurationError, match=f"schema 9999, this program knows {REVISION}") as caught:
        Store.open(url, writer=True)
    assert caught.value.exit_code == 3
    with closing(sqlite3.connect(tmp_path / "aiops.db")) as database:
        assert list(database.iterdump()) == before
