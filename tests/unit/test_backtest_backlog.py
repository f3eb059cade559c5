"""A backtest of queue workers: what a worker works off is found, the queue is moved on, and its error is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiops.core.decide.scaling.backlog import shared
from aiops.core.model import F64
from aiops.core.policies import ScalingPolicy
from aiops.policy import parse
from simulators.backtest import told
from simulators.backtest.calibration import Basis
from simulators.backtest.recording import Recording
from simulators.backtest.run import Order, Result, past_of, run
from simulators.backtest.work_queue import PATIENCE_S, WorkQueue
from simulators.backtest.worked_off import busy, moved_on
from simulators.service import ServiceSpec, Startup

EACH, PARTITIONS, STEP_S = 20.0, 24, 15.0
ORDER = Order(baselines=(("hpa", 0.8),), curves=False)
POLICY = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: mailer, namespace: shop}
spec:
  mode: dry-run
  target: {name: mailer}
  signals:
    published: {query: 'sum(rate(published_total{topic="mails"}[1m]))', unit: msg/s}
    waiting: {query: 'sum(lag{topic="mails"})', unit: msg}
  objective:
    demand: published
    perReplica: 15
    backlog: {signal: waiting, drainWithin: 10m, partitions: 24}
  bounds: {minReplicas: 2, maxReplicas: 48}
"""


def policy(*changes: tuple[str, str]) -> ScalingPolicy:
    text = POLICY
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse(text, "mailer.yaml").scaling[0]


def lived(hours: float = 24.0, workers: int = 8, noise: float = 0.02) -> Recording:
    """Return what a queue with so many workers showed: every two hours more comes for a while than they work off."""
    dice = np.random.default_rng(3)
    count = round(hours * 3600 / STEP_S)
    times = 1_772_409_600.0 + STEP_S * np.arange(1, count + 1)
    burst = (np.arange(count) * STEP_S) % 7200.0 < 1500.0
    load = np.where(burst, 280.0, 60.0) * (1.0 + dice.normal(0.0, noise, count))
    ready = np.full(count, float(workers))
    waiting, backlog = 0.0, np.zeros(count)
    able = shared(workers, PARTITIONS) * EACH * STEP_S * (1.0 + dice.normal(0.0, noise, count))
    for step in range(count):
        waiting = backlog[step] = max(0.0, waiting + load[step] * STEP_S - able[step])
    columns = {"published": load, "waiting": backlog, "ready": ready, "replicas": ready, "wanted": ready}
    return Recording(origin="made", times=times, step_s=STEP_S, columns=columns)


@pytest.fixture(scope="module")
def world() -> Recording:
    return lived()


@pytest.fixture(scope="module")
def result(world: Recording) -> Result:
    return run(past_of(world, policy(), (), ORDER), ORDER)


def test_what_a_worker_works_off_is_found_while_a_backlog_stands(world: Recording) -> None:
    model = past_of(world, policy(), (), ORDER).calibration
    assert model.basis is Basis.BACKLOG
    assert model.per_replica == pytest.approx(EACH, rel=0.02)
    low, high = model.per_replica_range
    assert low < EACH < high
    assert model.log_error is not None
    assert model.log_error < 0.04
    assert model.right_ratio is not None
    assert model.right_ratio > 0.97
    assert model.trusted


def test_the_error_is_of_steps_that_the_fit_did_not_see(world: Recording) -> None:
    slower = dict(world.columns)
    half = len(world.times) // 2
    ready = slower["ready"].copy()
    ready[half:] = 16.0  # of 24 partitions as good as 12, who worked off no more than 8
    model = past_of(replace(world, columns={**slower, "ready": ready}), policy(), (), ORDER).calibration
    assert model.per_replica == pytest.approx(EACH, rel=0.02)
    assert model.log_error == pytest.approx(np.log(12.0 / 8.0), rel=0.05)
    assert not model.trusted


def test_whole_partitions_are_shared(world: Recording) -> None:
    thirteen = lived(workers=13)
    model = past_of(thirteen, policy(), (), ORDER).calibration
    assert model.per_replica == pytest.approx(EACH, rel=0.02)
    by_signal = policy(
        ("partitions: 24", "partitions: parts"),
        ("unit: msg}\n", "unit: msg}\n    parts: {query: 'count(offset{topic=\"mails\"})'}\n"),
    )
    recorded = replace(thirteen, columns={**thirteen.columns, "parts": np.full(len(thirteen.times), 24.0)})
    assert past_of(recorded, by_signal, (), ORDER).calibration.per_replica == model.per_replica


def test_without_a_backlog_the_policy_says_what_a_worker_carries_and_misses_are_not_told(world: Recording) -> None:
    calm = replace(world, columns={**world.columns, "waiting": np.zeros(len(world.times))})
    found = run(past_of(calm, policy(), (), ORDER), ORDER)
    assert (found.calibration.basis, found.calibration.per_replica) == (Basis.POLICY, 15.0)
    assert "no backlog that stood for 20 steps or more to calibrate by" in found.calibration.note
    assert told.rows(found)[0][2] == told.UNKNOWN


def test_the_policy_works_off_what_the_recorded_workers_leave_waiting(result: Result) -> None:
    scores = {one.name: one for one in result.scores}
    assert (result.slo_s, result.drain_s) == (600.0, 600.0)
    # six times 120 msg/s too many for 25 minutes
    assert scores["recorded"].miss_minutes > 120.0
    assert scores["policy"].miss_minutes < 0.05 * scores["recorded"].miss_minutes
    assert scores["policy"].violating_ratio < 0.02
    assert scores["policy"].scale_outs > 4


def test_what_was_recorded_is_moved_on_as_it_was_seen(world: Recording) -> None:
    seen = world.columns["waiting"]
    told_ = moved_on(world.columns["published"], np.full(len(seen), 8.0), seen, EACH, STEP_S)
    stood = seen > 5000.0
    assert float(np.median(np.abs(told_[stood] / seen[stood] - 1.0))) < 0.02


def test_only_steady_steps_with_work_throughout_count_as_busy() -> None:
    load, ready = np.full(6, 100.0), np.array([2.0, 2.0, 2.0, 3.0, 3.0, 3.0])
    backlog = np.array([0.0, 900.0, 1800.0, 2400.0, 2700.0, 10.0])
    found = busy(load, ready, backlog, STEP_S, None).worked
    assert np.isnan(found[[0, 1, 3, 5]]).all()
    assert found[[2, 4]].tolist() == [40.0, 80.0]


def test_the_terminal_says_what_is_modelled_and_how_well(result: Result) -> None:
    lines = told.basis(result)
    assert "as a queue that nobody leaves" in lines[1]
    assert "longer than drainWithin, 600 s" in lines[1]
    assert lines[3].startswith("error of the model, on ")
    assert "busy steps that the fit did not see" in lines[3]
    assert result.as_json()["calibration"]["basis"] == "backlog"
    assert result.as_json()["drain_s"] == 600.0


def spec() -> ServiceSpec:
    return ServiceSpec(
        name="mailer", namespace="shop", capacity_rps=EACH, service_s=0.05, timeout_s=10.0, slo_s=600.0,
        error_ratio=0.0, replicas=2, startup=Startup(median_s=1.0, p95_s=1.0), usd_per_hour=0.0,
    )  # fmt: skip


def drained(queue: WorkQueue, seconds: float, rate: float, ready: int) -> tuple[float, float]:
    queue.serve(seconds, rate, ready)
    served = queue.drain(ready, ready, 0.0)
    return served.queue, served.p95_s


def test_nothing_that_waits_is_lost_and_the_wait_is_what_is_before_one() -> None:
    queue = WorkQueue(spec(), waiting=1000.0)
    assert drained(queue, 10.0, 0.0, 0) == (1000.0, pytest.approx(np.nan, nan_ok=True))
    assert drained(queue, 10.0, 50.0, 0) == (1500.0, PATIENCE_S)
    assert drained(queue, 10.0, 50.0, 5) == (1000.0, 10.0)
    assert drained(queue, 100.0, 0.0, 5)[0] == 0.0


def test_nobody_works_while_the_group_is_shared_anew_and_more_than_partitions_are_idle() -> None:
    queue = WorkQueue(spec(), waiting=10_000.0, rebalance_s=20.0)
    queue.partitions = 4
    assert drained(queue, 10.0, 0.0, 4)[0] == 9_200.0
    assert drained(queue, 10.0, 0.0, 8)[0] == 9_200.0
    assert drained(queue, 20.0, 0.0, 8)[0] == 8_400.0
    assert drained(queue, 10.0, 0.0, 8)[0] == 7_600.0


@pytest.fixture
def loads() -> F64:
    return np.full(10, 100.0)


def test_a_backlog_of_which_nothing_is_known_stays_unknown(loads: F64) -> None:
    assert np.isnan(moved_on(loads, loads, np.full(10, np.nan), EACH, STEP_S)).all()
