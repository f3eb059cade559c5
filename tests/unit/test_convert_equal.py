"""A converted HPA does what the HPA did: the same load, the same replicas."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from aiops.policy.convert import Source, convert
from simulators.autoscalers.behavior import STOCK, Behavior, Rate, Rules, Select, Unit
from simulators.autoscalers.hpa import HpaController
from simulators.autoscalers.replicas import Pods, Tolerance, average_value_replicas
from simulators.policy_tests import record
from simulators.policy_tests.files import suite

STEPS, STEP_S, TARGET = 960, 15.0, 0.7
FIRST, LEAST, MOST = 8, 2, 40
BAND = {"defaults": 0.1, "slow": 0.2}
"""The controller cuts utilisation off to whole per cent and a policy does not: on the edge of the tolerance one moves
and the other stays, so that they are apart by no more than the tolerance, until the load moves on."""

HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: web, namespace: shop}}
spec:
  scaleTargetRef: {{kind: Deployment, name: web}}
  minReplicas: 2
  maxReplicas: 40
  metrics: [{{type: Resource, resource: {{name: cpu, target: {target}}}}}]
  behavior: {behavior}
"""
SLOW = """\
{scaleUp: {stabilizationWindowSeconds: 60, policies: [{type: Pods, value: 2, periodSeconds: 60}]},
 scaleDown: {stabilizationWindowSeconds: 600, selectPolicy: Min, tolerance: 0.2,
             policies: [{type: Percent, value: 20, periodSeconds: 60}, {type: Pods, value: 3, periodSeconds: 120}]}}"""
SLOW_BEHAVIOR = Behavior(
    up=Rules(rates=(Rate(unit=Unit.PODS, value=2, period_s=60.0),), window_s=60.0),
    down=Rules(
        rates=(Rate(unit=Unit.PERCENT, value=20, period_s=60.0), Rate(unit=Unit.PODS, value=3, period_s=120.0)),
        window_s=600.0,
        select=Select.MIN,
    ),
    tolerance=Tolerance(down=0.2, up=0.1),
)


def load() -> list[float]:
    """Four hours of used pods: a slow wave, two bursts, noise."""
    dice = np.random.default_rng(7)
    at = np.arange(STEPS)
    wave = 9.0 + 7.0 * np.sin(2 * math.pi * at / STEPS)
    bursts = 8.0 * ((at > 300) & (at < 340)) + 5.0 * ((at > 700) & (at < 760))
    return [round(float(one), 4) for one in (wave + bursts) * dice.normal(1.0, 0.04, STEPS)]


def of_hpa(used: list[float], behavior: Behavior, *, by_value: bool) -> list[int]:
    """The replicas that an HPA sets. Pods are ready a step after they were wanted. by_value: averageValue of cores."""
    hpa = HpaController("web", (LEAST, MOST), TARGET, behavior)
    count, ready, path = FIRST, FIRST, []
    for step, one in enumerate(used):
        path.append(count)
        pods = Pods(one / ready, ready, max(0, count - ready))
        before = count
        wanted = average_value_replicas(one, TARGET, behavior.tolerance, count) if by_value else hpa.wanted(pods, count)
        count = hpa.settle(step * STEP_S, wanted, count)
        ready = min(before, count)
    return path


def of_policy(used: list[float], manifest: str, folder: Path) -> list[int]:
    """The replicas that the converted policy sets, by the daemon's own loop."""
    found = convert(Source.HPA, [("web.yaml", manifest)], replace=True)
    assert not found.errors
    (folder / "web.yaml").write_text(found.drafts[0].text())
    samples = " ".join(map(str, used))
    (folder / "web.test.yaml").write_text(
        f"policies: [web.yaml]\nstep: 15s\ntests:\n  - name: load\n    replicas: {FIRST}\n"
        f"    given: {{mode: enforce, leadTime: 15s}}\n    series: {{cpu: '{samples}'}}\n"
        "    expect: [{at: 0s, running: '> 0'}]\n"
    )
    cases = suite([folder / "web.test.yaml"])
    assert not cases.problems, cases.problems
    run = record(cases.cases[0], len(used))
    return [one.workload.replicas for one in run.moments if one.workload is not None]


CASES = {"defaults": ("{}", STOCK), "slow": (SLOW, SLOW_BEHAVIOR)}


@pytest.mark.parametrize("name", CASES)
def test_an_average_value_has_the_very_replicas_of_the_hpa(name: str, tmp_path: Path) -> None:
    behavior, same = CASES[name]
    used = load()
    manifest = HPA.format(behavior=behavior, target="{type: AverageValue, averageValue: 700m}")
    hpa = of_hpa(used, same, by_value=True)
    assert max(hpa) - min(hpa) > 10, "a load that moves nothing shows nothing"
    assert of_policy(used, manifest, tmp_path) == hpa


@pytest.mark.parametrize("name", CASES)
def test_a_utilisation_has_the_replicas_of_the_hpa_within_its_tolerance(name: str, tmp_path: Path) -> None:
    behavior, same = CASES[name]
    used = load()
    manifest = HPA.format(behavior=behavior, target="{type: Utilization, averageUtilization: 70}")
    hpa = np.array(of_hpa(used, same, by_value=False))
    policy = np.array(of_policy(used, manifest, tmp_path))
    assert (np.abs(hpa - policy) <= np.ceil(BAND[name] * np.maximum(hpa, policy))).all()
    assert policy.sum() == pytest.approx(hpa.sum(), rel=0.02)


def test_another_target_is_not_the_same(tmp_path: Path) -> None:
    used = load()
    manifest = HPA.format(behavior="{}", target="{type: AverageValue, averageValue: 600m}")
    assert of_policy(used, manifest, tmp_path) != of_hpa(used, STOCK, by_value=True)
