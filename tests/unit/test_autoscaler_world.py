"""The HPA in the world of the rehearsals: what it sees of the pods there, and what it makes of a flash crowd."""

from __future__ import annotations

import pytest

from aiops.policy import load as load_policies
from simulators.autoscalers.hpa import HpaController
from simulators.baselines import metered, run_hpa, run_static, static_peak, sync
from simulators.scenario import FOLDER, load

KEY = "shop/checkout"


@pytest.fixture(scope="module")
def crowd():
    return load("flash-crowd")


@pytest.fixture(scope="module")
def policies(crowd):
    return load_policies([FOLDER.parent / "demo" / "policies"], crowd.spec.step)


def test_before_the_first_scrape_no_pod_is_metered_and_nothing_changes(crowd):
    world, _ = crowd.world()
    pods = world.services[KEY].sim.pods
    assert metered(world, KEY)[1:] == (0, pods.count, 0)
    sync(world, {KEY: HpaController("checkout", (1, 50), 0.65)})
    assert pods.resized == []


def test_pods_that_start_are_there_and_not_metered(crowd):
    world, _ = crowd.world()
    world.advance(world.start + 60.0)
    pods = world.services[KEY].sim.pods
    stood = pods.count
    pods.resize(stood + 3, world.now)
    seen = metered(world, KEY)
    assert (seen.metered, seen.unready) == (stood, 3)
    assert 0.0 < seen.use_ratio <= 1.0
    # they are ready before the next scrape: still not metered
    pods.settle(world.now + 1e6)
    assert metered(world, KEY)[1:3] == (stood, 3)


def test_a_flash_crowd_is_followed_and_left_again(crowd, policies):
    world = run_hpa(crowd, policies, None, lambda: None)
    resized = world.services[KEY].sim.pods.resized
    assert max(resized) > 0 > min(resized)
    static = run_static(crowd, policies, None, lambda: None)
    assert static.services[KEY].sim.pods.resized == []
    assert world.services[KEY].account.violating < static.services[KEY].account.violating


def test_a_fleet_for_the_peak_carries_the_week_before_with_a_margin(crowd):
    world, _ = crowd.world()
    service = world.services[KEY]
    needed = static_peak(service, 50.0, world.start)
    assert static_peak(service, 25.0, world.start) in (2 * needed - 1, 2 * needed)
