"""A daemon with the permissions that `aiops rbac` prints lets a namespace sleep and wake on a real API server.

The HPA controller is Kubernetes' own: what it does about a target without replicas is not emulated.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aiops.core.model import Plan, PlanStatus
from aiops.core.objects.resting import MARK, RECORD
from tests.e2e.grants import denied
from tests.e2e.rig import Rig

ALWAYS, NEVER = "* * * * *", "0 0 29 2 *"


def policy(namespace: str, schedule: str = ALWAYS, **more: Any) -> dict[str, Any]:
    """Return a CostPolicy under which everything sleeps while its schedule is active."""
    window = {"schedule": schedule, "duration": "1h", "timeZone": "UTC"}
    sleep = {"windows": [window], "wakeAhead": "0s", "manualOverride": "0s", **more}
    target = {"kinds": ["Deployment", "CronJob"], "every": True, "maxTargets": 10}
    return {
        "apiVersion": "policy.aiops/v1alpha1",
        "kind": "CostPolicy",
        "metadata": {"name": "nights", "namespace": namespace},
        "spec": {"mode": "enforce", "target": target, "sleep": sleep},
    }


class Sleeping:
    """A namespace with a Deployment, another with an HPA, and a CronJob."""

    def __init__(self, rig: Rig, deploy: Callable[..., str]) -> None:
        self.rig, self.plane, ns = rig, rig.plane, rig.namespace
        self.web, self.api = deploy("web", replicas=3), deploy("api", replicas=4)
        self.cron = f"/apis/batch/v1/namespaces/{ns}/cronjobs/report"
        self.hpa = f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers/api"
        aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
        self.plane.apply(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "api", "namespace": ns},
                "spec": {"minReplicas": 4, "maxReplicas": 8, "scaleTargetRef": aim},
            }
        )
        pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
        self.plane.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "report", "namespace": ns},
                "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
            }
        )

    def values(self) -> list[Any]:
        cron = self.plane.api("GET", self.cron)["spec"].get("suspend", False)
        return [self.rig.replicas(self.web), self.rig.replicas(self.api), cron]

    def notes(self, path: str) -> dict[str, str]:
        return dict(self.plane.api("GET", path)["metadata"].get("annotations") or {})

    def asleep(self) -> bool:
        return self.values() == [0, 0, True]

    def awake(self) -> bool:
        return self.values() == [3, 4, False]

    def plans(self) -> list[Plan]:
        with self.rig.store() as store:
            return list(store.plans.every())

    def paths(self) -> tuple[str, str, str]:
        return self.web, self.api, self.cron


@pytest.mark.timeout(300)
def test_a_namespace_sleeps_and_wakes_though_the_daemon_dies_on_the_way_s4_s6_s10(rig: Rig, deploy: Callable[..., str]):
    world = Sleeping(rig, deploy)
    rig.policy(policy(rig.namespace))
    first = rig.daemon()
    rig.until(lambda: rig.replicas(world.web) == 0 or rig.replicas(world.api) == 0, "the first to sleep", 60.0)
    first.process.kill9()
    rig.daemon("b")
    rig.until(world.asleep, "all to sleep", 60.0)
    record = json.loads(world.notes(world.web)[RECORD])
    uid = rig.plane.api("GET", world.web)["metadata"]["uid"]
    assert (record["original"], record["to"], record["uid"]) == ("3", "0", uid)
    # the HPA wants four, and stands still: Kubernetes' own rule for a target that has none
    rig.until(lambda: "ScalingDisabled" in json.dumps(rig.plane.api("GET", world.hpa)["status"]), "the HPA to see it")
    assert world.asleep()
    rig.policy(policy(rig.namespace, NEVER))
    rig.until(world.awake, "all to wake", 60.0)
    assert not {RECORD, MARK} & {key for path in world.paths() for key in world.notes(path)}
    rig.until(lambda: {one.status for one in world.plans()} == {PlanStatus.ROLLED_BACK}, "the plans to end", 60.0)
    assert denied(rig.audit()) == []


@pytest.mark.timeout(300)
def test_a_person_releases_all_of_it_and_what_somebody_scaled_up_stays_s7_s9(rig: Rig, deploy: Callable[..., str]):
    world = Sleeping(rig, deploy)
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(world.asleep, "all to sleep", 60.0)
    rig.policy(policy(rig.namespace, manualOverride="1h"))
    rig.plane.patch(world.web, {"spec": {"replicas": 2}})
    config = str(next(rig.folder.glob("a-*.yaml")))

    def effects() -> set[str]:
        told = json.loads(rig.aiops("--config", config, "-o", "json", "effects"))
        return {one["object"].rpartition("/")[2] for one in told}

    # what a plan did is an effect that stands once the plan is done; before, `aiops plans` tells of it
    rig.until(lambda: effects() == {"web", "api", "report"}, "the effects to be told", 60.0)
    rig.aiops("--config", config, "release", rig.namespace, "--reason", "demo", "--by", "ann")
    rig.until(lambda: world.values() == [2, 4, False], "all to wake", 60.0)
    rig.until(lambda: RECORD not in world.notes(world.web), "the record to go")
    assert denied(rig.audit()) == []


@pytest.mark.timeout(300)
def test_a_policy_that_is_deleted_wakes_what_it_put_to_sleep_and_a_torn_record_is_mended_s9(
    rig: Rig, deploy: Callable[..., str]
):
    world = Sleeping(rig, deploy)
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(world.asleep, "all to sleep", 60.0)
    rig.until(lambda: {one.status for one in world.plans()} == {PlanStatus.DONE}, "the plans to be done", 60.0)
    rig.plane.patch(world.web, {"metadata": {"annotations": {RECORD: None, MARK: None}}})
    rig.until(lambda: RECORD in world.notes(world.web), "the record to be written anew", 60.0)
    assert json.loads(world.notes(world.web)[RECORD])["original"] == "3"
    (rig.policies / "policies.yaml").unlink()
    rig.policy(grant=False)
    rig.until(world.awake, "all to wake", 60.0)
