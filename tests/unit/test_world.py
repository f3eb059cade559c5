"""Worlds of several services: who calls whom, what comes again, what is scraped, and what a scenario may say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.errors import InvalidInput
from simulators.autoscalers.hpa import HpaController
from simulators.baselines import sync
from simulators.faults import GapAnswer
from simulators.scenario import Scenario, ScenarioSpec, load
from simulators.world import World

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHECKOUT = "shop/checkout"
FRONTEND = "shop/frontend"


def scenario(*services: Mapping[str, Any], **changed: Any) -> Scenario:
    given = {"name": "made", "start": START, "duration": "1h", "services": services, **changed}
    return Scenario(spec=ScenarioSpec.model_validate(given), folder=Path())


def service(name: str = "checkout", **changed: Any) -> dict[str, Any]:
    return {"name": name, "replicas": 4, "load": {"base": 150}, "errorRatio": 0, **changed}


def after(made: Scenario, seconds: float) -> World:
    world, _ = made.world()
    world.advance(world.start + seconds)
    return world


def per_second(world: World, key: str) -> dict[str, float]:
    last = world.services[key].last
    return {
        name: getattr(last, name) / world.step_s for name in ("offered", "retried", "served", "failed", "violating")
    }


def test_who_is_called_is_asked_for_what_its_callers_serve_times_the_ratio():
    world = after(
        scenario(
            service("frontend", calls=[{"service": "checkout", "ratio": 0.5}, {"service": "stock", "ratio": 2.5}]),
            service(calls=[{"service": "stock"}], load={"base": 20}),
            service("stock", load=None, replicas=12),
        ),
        300.0,
    )
    assert per_second(world, CHECKOUT)["offered"] == pytest.approx(20.0 + 0.5 * 150.0)
    assert per_second(world, "shop/stock")["offered"] == pytest.approx(95.0 + 2.5 * 150.0)
    nominal = world.services["shop/stock"].load.rates(np.array([world.now]))
    assert nominal == pytest.approx([470.0])


def test_a_caller_without_capacity_asks_for_what_it_serves_and_no_more():
    world = after(scenario(service("frontend", replicas=1, calls=[{"service": "checkout"}]), service(load=None)), 120.0)
    assert per_second(world, FRONTEND)["served"] == pytest.approx(60.0, rel=0.01)
    assert per_second(world, CHECKOUT)["offered"] == pytest.approx(60.0, rel=0.01)


def test_a_caller_is_as_slow_as_its_calls_make_it_and_fails_with_them():
    alone = after(scenario(service("frontend")), 60.0).services[FRONTEND].last
    calling = scenario(
        service("frontend", calls=[{"service": "checkout"}]),
        service(load=None, serviceTime="150ms", capacity=60, errorRatio=0.02),
    )
    world = after(calling, 60.0)
    both, beneath = world.services[FRONTEND].last, world.services[CHECKOUT].last
    dice = np.random.default_rng(4)
    own = dice.exponential(0.05, 200_000) + dice.exponential(0.15, 200_000)
    assert both.p50_s == pytest.approx(np.quantile(own, 0.5), rel=0.08)
    assert both.p95_s == pytest.approx(np.quantile(own, 0.95), rel=0.08)
    assert both.p95_s > max(alone.p95_s, beneath.p95_s)
    assert both.failed / both.offered == pytest.approx(0.02, rel=0.05)
    assert both.violating / both.offered == pytest.approx(0.02 + 0.98 * np.mean(own > 0.25), rel=0.1)


def test_an_overloaded_service_is_an_error_of_its_callers():
    world = after(scenario(service("frontend", calls=[{"service": "checkout"}]), service(load=None, replicas=1)), 120.0)
    assert per_second(world, CHECKOUT)["failed"] == pytest.approx(90.0, rel=0.02)
    assert per_second(world, FRONTEND)["failed"] == pytest.approx(90.0, rel=0.02)
    assert per_second(world, FRONTEND)["violating"] == pytest.approx(150.0, rel=0.01)


RETRIES = {"share": "90%", "backoff": "1s", "most": 3, "patience": "1s"}
SPIKE = {"base": 120, "bursts": [{"at": "5m", "factor": 2.5, "hold": "1m"}]}


def test_a_retry_storm_outlasts_its_cause_and_more_pods_end_it():
    calm, storm = service(load=SPIKE), service(load=SPIKE, retries=RETRIES)
    healed = after(scenario(calm), 900.0)
    assert healed.services[CHECKOUT].last.violating < 0.02 * healed.services[CHECKOUT].last.offered
    world = after(scenario(storm), 900.0)
    seen = per_second(world, CHECKOUT)
    assert seen["offered"] == pytest.approx(120.0)
    assert seen["retried"] > 2.0 * seen["offered"]
    assert seen["violating"] == pytest.approx(seen["offered"], rel=0.01)
    world.services[CHECKOUT].sim.pods.resize(10, world.now)
    world.advance(world.now + 300.0)
    seen = per_second(world, CHECKOUT)
    assert seen["retried"] < 0.01 * seen["offered"]
    assert seen["violating"] < 0.02 * seen["offered"]


def test_failures_that_come_again_are_at_most_so_many_and_are_no_new_requests():
    world = after(scenario(service(errorRatio="10%", retries={**RETRIES, "share": "100%", "most": 2})), 300.0)
    seen = per_second(world, CHECKOUT)
    assert seen["offered"] == pytest.approx(150.0)
    assert seen["retried"] == pytest.approx(150.0 * (0.1 + 0.01), rel=0.02)


def test_retries_make_calls_succeed_that_would_have_failed():
    frontend = service("frontend", calls=[{"service": "checkout"}])
    beneath = service(load=None, errorRatio="10%")
    once = after(scenario(frontend, beneath), 120.0)
    again = after(scenario(frontend, {**beneath, "retries": {**RETRIES, "share": "100%", "patience": None}}), 120.0)
    assert per_second(once, FRONTEND)["failed"] == pytest.approx(15.0, rel=0.01)
    assert per_second(again, FRONTEND)["failed"] == pytest.approx(150.0 * 0.1**4, rel=0.05)
    assert per_second(again, FRONTEND)["violating"] == pytest.approx(per_second(once, FRONTEND)["violating"], rel=0.05)


@settings(max_examples=25, deadline=None)
@given(
    base=st.floats(1.0, 150.0),
    factor=st.floats(1.0, 8.0),
    ratio=st.floats(0.1, 3.0),
    share=st.floats(0.0, 1.0),
    patience=st.sampled_from((None, "500ms", "2s")),
)
def test_in_a_mesh_every_request_is_served_or_fails_and_violates_at_most_once(base, factor, ratio, share, patience):
    again = {"share": share, "backoff": "1s", "most": 3, "patience": patience}
    shape = {"base": base, "bursts": [{"at": "1m", "factor": factor, "rise": "20s", "hold": "1m", "fall": "20s"}]}
    made = scenario(
        service("frontend", replicas=3, load=shape, calls=[{"service": "checkout", "ratio": ratio}], retries=again),
        service(load=None, replicas=2, errorRatio=0.01, retries=again),
    )
    world, _ = made.world()
    came, answered = dict.fromkeys(world.services, 0.0), dict.fromkeys(world.services, 0.0)
    for _ in range(20):
        world.advance(world.now + 15.0)
        for key, one in world.services.items():
            came[key] += one.last.offered + one.last.retried
            answered[key] += one.last.served + one.last.failed
            assert min(one.last.served, one.last.failed, one.last.retried) >= -1e-6
            assert one.last.violating <= one.last.offered + 1e-6
    for key, one in world.services.items():
        assert one.account.retried <= 3.0 * one.account.offered + 1e-6
        steady_lines = 40.0  # that of the last steady state is counted as served already
        assert answered[key] + one.last.queue == pytest.approx(came[key], abs=steady_lines)


def test_cold_pods_are_slower_until_they_are_warm():
    made = scenario(
        service(load={"base": 200}, startup={"median": "10s", "p95": "10s"}, warmUp={"factor": 4, "over": "2m"})
    )
    world, _ = made.world()
    pods = world.services[CHECKOUT].sim.pods
    pods.resize(2, world.now)
    pods.resize(4, world.now)
    world.advance(world.now + 30.0)
    cold = world.services[CHECKOUT].last
    world.advance(world.now + 600.0)
    warm = world.services[CHECKOUT].last
    assert (cold.ready, warm.ready) == (4, 4)
    assert cold.utilisation_ratio > 0.99
    assert warm.utilisation_ratio == pytest.approx(200.0 / 240.0, rel=0.01)
    assert cold.p95_s > 3.0 * warm.p95_s


def test_slower_machines_carry_less():
    world = after(scenario(service(load={"base": 90}, slower={"share": "100%", "capacity": "50%"})), 60.0)
    last = world.services[CHECKOUT].last
    assert last.utilisation_ratio == pytest.approx(90.0 / 120.0)
    assert last.p50_s > 0.065


POOL = {
    "name": "general",
    "podsPerNode": 2,
    "maxNodes": 3,
    "provisioning": {"median": "60s", "p95": "60s"},
    "price": 0.36,
    "emptyFor": "5m",
}


def test_services_bear_the_nodes_of_their_pool_by_their_pods():
    made = scenario(
        service(pool="general", replicas=3),
        service("frontend", pool="general", replicas=1),
        service("alone"),
        pools=[POOL],
    )
    world = after(made, 3600.0)
    usd = {key: one.account.usd for key, one in world.services.items()}
    assert usd[CHECKOUT] + usd[FRONTEND] == pytest.approx(2 * 0.36)
    assert usd[CHECKOUT] == pytest.approx(3.0 * usd[FRONTEND])
    assert usd["shop/alone"] == pytest.approx(4 * 0.042)
    assert world.pools["general"].node_s == pytest.approx(2 * 3600.0)


def test_pods_without_a_node_serve_nothing_and_are_seen_as_not_ready():
    world, _ = scenario(service(pool="general"), pools=[POOL]).world()
    world.services[CHECKOUT].sim.pods.resize(9, world.now)
    world.advance(world.now + 600.0)
    last = world.services[CHECKOUT].last
    assert (last.ready, last.replicas, last.pending) == (6, 9, 3)
    assert world.services[CHECKOUT].account.pending_s > 3 * 540.0


def test_scrapes_are_seen_late_by_the_lag():
    world = after(scenario(service(), scrape={"lag": "40s"}), 300.0)
    seen, trouble = world.scrapes(CHECKOUT)
    assert (seen[-1].at, trouble) == (world.now - 45.0, None)


def test_a_lost_scrape_is_made_up_for_by_the_next_one():
    made = scenario(service(load={"base": 100, "noise": {"fast": 0.3}}), scrape={"loss": "30%"}, duration="2h")
    world, _ = made.world()
    answered, seen, lost = 0.0, {}, 0
    for _ in range(480):
        world.advance(world.now + 15.0)
        answered += world.services[CHECKOUT].last.served
        scrapes, trouble = world.scrapes(CHECKOUT)
        lost += trouble is GapAnswer.STALE
        seen.update({scrape.at: scrape.requests for scrape in scrapes})
    assert lost / 480 == pytest.approx(0.3, abs=0.05)
    assert len(seen) == 480 - lost
    at = [world.start, *sorted(seen)]
    counted = sum(seen[later] * (later - early) for early, later in pairwise(at))
    assert counted == pytest.approx(answered, rel=0.01)


def test_a_gap_loses_all_scrapes_or_a_share_or_makes_them_late():
    gaps = [
        {"kind": "scrape-gap", "service": "checkout", "at": "5m", "hold": "2m", "answer": "absent"},
        {"kind": "scrape-gap", "service": "checkout", "at": "10m", "hold": "2m", "loss": 0, "lag": "1m"},
    ]
    world, _ = scenario(service(), faults=gaps).world()
    world.advance(world.start + 400.0)
    assert world.scrapes(CHECKOUT)[1] is GapAnswer.ABSENT
    assert world.scrapes(CHECKOUT)[0][-1].at == world.start + 300.0
    world.advance(world.start + 700.0)
    seen, trouble = world.scrapes(CHECKOUT)
    assert (trouble, world.now - seen[-1].at) == (None, 60.0)
    world.advance(world.start + 800.0)
    assert world.scrapes(CHECKOUT)[0][-1].at == world.now


def test_what_is_remembered_of_a_caller_is_as_slow_as_what_it_will_be():
    made = scenario(service("frontend", replicas=4, calls=[{"service": "checkout"}]), service(load=None))
    world, _ = made.world()
    past = world.services[FRONTEND].past(np.arange(world.start - 3600.0, world.start, 60.0))
    world.advance(world.start + 600.0)
    assert float(np.mean(past["p95_s"])) == pytest.approx(world.services[FRONTEND].last.p95_s, rel=0.1)
    assert float(np.mean(past["requests"])) == pytest.approx(150.0)


def run(made: Scenario, bounds: tuple[int, int] = (2, 40)) -> World:
    world, _ = made.world()
    hpas = {key: HpaController(key, bounds, 0.65) for key in world.services}
    for _ in range(round(made.spec.duration / made.spec.step)):
        world.advance(world.now + world.step_s)
        sync(world, hpas)
    return world


@pytest.mark.parametrize(("kind", "seeds"), [("plain", (1, 2, 3, 4, 5, 6)), ("mesh", (1, 2, 3))])
def test_steps_of_1_and_of_15_seconds_tell_the_same_story(kind, seeds):
    bursts = [{"at": "15m", "factor": 2.5, "rise": "2m", "hold": "10m", "fall": "5m"}]
    shape = {"base": 300, "noise": {"fast": 0.02, "slow": 0.05}, "bursts": bursts}
    services = {
        "plain": [service(load=shape, replicas=8)],
        "mesh": [
            service("frontend", capacity=120, replicas=5, load=shape, calls=[{"service": "checkout", "ratio": 0.5}]),
            service(load=None, replicas=4, pool="general", warmUp={"factor": 2}, retries={**RETRIES, "share": "30%"}),
        ],
    }[kind]
    pools = [{**POOL, "podsPerNode": 4, "maxNodes": 8}] if kind == "mesh" else []
    totals = {}
    for step in ("15s", "1s"):
        worlds = [run(scenario(*services, step=step, pools=pools, seed=seed)) for seed in seeds]
        assert len(worlds[0].scrapes(CHECKOUT)[0]) == 20
        totals[step] = {key: [world.services[key].account for world in worlds] for key in worlds[0].services}
    for key in totals["1s"]:
        for name in ("offered", "violating", "pod_s", "usd"):
            fine, coarse = (sum(getattr(one, name) for one in totals[step][key]) for step in ("1s", "15s"))
            assert fine == pytest.approx(coarse, rel=0.03), (key, name)


def test_the_same_seed_makes_the_same_world_and_another_one_does_not():
    made = scenario(
        service("frontend", calls=[{"service": "checkout"}], load={"base": 200, "noise": {"fast": 0.1}}),
        service(load=None, pool="general", slower={}, warmUp={}, retries=RETRIES),
        pools=[{**POOL, "maxNodes": 9}],
        scrape={"loss": "5%"},
        duration="30m",
    )

    def story(seed: int) -> list[Any]:
        world, _ = made.world(seed)
        for _ in range(120):
            world.advance(world.now + 15.0)
            world.services[CHECKOUT].sim.pods.resize(4 + int(world.now / 60.0) % 4, world.now)
        return [(one.account, world.scrapes(key)) for key, one in world.services.items()]

    assert str(story(1)) == str(story(1))
    assert str(story(1)) != str(story(2))


HEAD = "name: x\nstart: '2026-03-02'\nduration: 1h\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "services:\n- {name: a, load: {}, calls: [{service: b}]}",
            r":5:32: services\[0\]\.calls\[0\]\.service: there is no service 'b\'",
        ),
        (
            "services:\n- {name: a, load: {}, calls: [{service: b}]}\n- {name: b, calls: [{service: a}]}",
            r":5:23: .*in a circle: a -> b -> a",
        ),
        ("services:\n- {name: a}", r":5:3: .*'a' has no load and nobody calls it"),
        ("services:\n- {name: a, load: {}}\n- {name: a, load: {}}", r":6:4: .*a service 'a' already"),
        ("services:\n- {name: a, load: {}, pool: p}", r":5:23: .*no pool 'p'"),
        (
            "services:\n- {name: a, load: {}, pool: p, replicas: 9}\npools:\n- {name: p, podsPerNode: 4, maxNodes: 2}",
            r":7:29: .*the first 9 pods need more room than 8",
        ),
        (
            "services:\n- {name: a, load: {}}\npools:\n- {name: p, podsPerNode: 4, maxNodes: 2, minNodes: 3}",
            r":7:42: .*more than maxNodes",
        ),
        ("services:\n- {name: a, load: {}, retries: {patience: 100ms}}", r":5:33: .*shorter than the slo"),
        ("services:\n- {name: a, load: {}, retries: {most: 99}}", r":5:33: .*less than or equal to 10"),
        ("services:\n- {name: a, load: {}, startup: {median: 0s}}", r":5:33: .*greater than 0"),
        ("services:\n- {name: a, load: {}, startup: {median: 90s, p95: 60s}}", r":5:46: .*less than the median"),
        ("services:\n- {name: a, load: {}, warmUp: {factor: 0.5}}", r":5:32: .*greater than or equal to 1"),
        ("services:\n- {name: a, load: {}}\nscrape: {loss: 100%}", r":6:10: .*less than 1"),
        ("services:\n- {name: a, load: {}, slower: {capacity: 0%}}", r":5:32: .*greater than 0"),
    ],
)
def test_a_scenario_that_does_not_fit_together_is_refused_with_its_place(tmp_path, text, said):
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(InvalidInput, match=said):
        load(str(path))


def test_nothing_is_ever_infinite_in_a_world_without_pods():
    world = after(
        scenario(service(replicas=0, retries=RETRIES), service("frontend", calls=[{"service": "checkout"}])), 60.0
    )
    last = world.services[CHECKOUT].last
    assert last.failed == pytest.approx(last.offered + last.retried)
    assert all(math.isfinite(value) for value in last if not math.isnan(value))
