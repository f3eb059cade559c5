"""Killed at every point between the journal, a request, its answer and its outcome: nothing is lost, nothing is done
twice, nothing is left half done without being said (S6, S9)."""

from __future__ import annotations

import json

import pytest

from aiops.core.act.set_floor import RESTORE
from tests.e2e.emulated import Emulated, hpa, is_active
from tests.e2e.faulty import POINTS
from tests.e2e.rig import Rig, scaling_policy

FAULTY = "tests.e2e.faulty"
OF_A_WRITE = tuple(one for one in POINTS if "claim" not in one and "stamp" not in one)
"""The points of one action; those of taking the lead are the same whatever is written then."""


def hpa_path(namespace: str, name: str = "checkout") -> str:
    return f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"


def killed_and_restarted(rig: Rig, point: str) -> None:
    """Let a daemon die at a point, and another one follow it."""
    first = rig.daemon("dies", module=FAULTY, environment={"AIOPS_E2E_DIE": point})
    rig.until(lambda: first.process.poll() is not None, f"the daemon to die {point}", 40)
    assert first.process.poll() == -9
    rig.daemon("follows")


def ended(rig: Rig) -> list[dict]:
    """Return every action of the record, once each has an end."""

    def all_ended() -> list[dict] | None:
        rows = rig.actions()
        return rows if rows and all(row["outcome"] and row["status"] != "begun" for row in rows) else None

    return list(rig.until(all_ended, "every action to have an end", 60))


@pytest.mark.parametrize("point", POINTS)
def test_a_scale_out_survives_a_death_s6(rig: Rig, deploy, point):
    path = deploy(replicas=4)
    rig.demand(330.0)  # needs 7
    rig.policy(scaling_policy(rig.namespace))
    killed_and_restarted(rig, point)
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    rows = ended(rig)
    rig.check()
    # what was written is in the record, and what the record calls done was written
    written = {event.action_id for event in rig.writes() if event.accepted and event.action_id}
    known = {row["id"] for row in rows}
    assert written <= known
    held = {row["id"] for row in rows if row["outcome"] == "took-effect"}
    assert held == written
    # an intent whose request never left is said, too
    assert all(row["outcome"] == "failed" for row in rows if row["id"] not in written)


@pytest.mark.parametrize("point", OF_A_WRITE)
def test_a_floor_survives_a_death_with_its_restore_record_s6_s9(rig: Rig, deploy, point):
    deploy(replicas=4)
    rig.plane.apply(hpa(rig.namespace, 80))
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    killed_and_restarted(rig, point)
    path = hpa_path(rig.namespace)
    rig.until(lambda: rig.plane.api("GET", path)["spec"]["minReplicas"] == 7, "a floor of 7")
    ended(rig)
    rig.check()

    found = rig.until(lambda: next(iter(rig.effects()), None), "the effect in the record")
    assert (found.original, found.written) == (2, 7)
    record = json.loads(rig.plane.api("GET", path)["metadata"]["annotations"][RESTORE])
    assert (record["minReplicas"], record["written"]) == (2, 7)


@pytest.mark.parametrize("point", [one for one in OF_A_WRITE if "announce" not in one])
def test_a_release_survives_a_death_and_the_floor_is_given_back_once_s6_s9(
    rig: Rig, deploy, emulated: Emulated, aggregated, point
):
    deploy(replicas=4)
    emulated.start("checkout")
    aggregated(emulated)
    emulated.load(100.0)
    rig.plane.apply(hpa(rig.namespace, 80))
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    path = hpa_path(rig.namespace)
    before = rig.daemon("sets")
    rig.until(lambda: rig.plane.api("GET", path)["spec"]["minReplicas"] == 7, "a floor of 7")
    ended(rig)
    before.process.term(20)
    rig.until(lambda: is_active(rig.plane, path), "the HPA to be active", 60)
    # the policy is gone when the next daemon begins: it hands back, and dies in the middle of it
    rig.policy(grant=False)
    killed_and_restarted(rig, point)
    rig.until(lambda: rig.plane.api("GET", path)["spec"]["minReplicas"] == 2, "the floor of before")
    ended(rig)
    rig.check()
    rig.until(lambda: not rig.effects(), "the effect to be forgotten", 90)
    assert RESTORE not in rig.plane.api("GET", path)["metadata"].get("annotations", {})
