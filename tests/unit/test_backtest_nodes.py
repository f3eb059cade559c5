"""Conditions on nodes in a backtest see the nodes that were recorded, at the prices of then, and no pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aiops.policy import parse
from simulators.backtest.node_metrics import NODES, RecordedNodes
from simulators.backtest.price_metrics import PriceMetrics
from simulators.backtest.recorder import ReplicaMetrics, asked
from simulators.backtest.replay import by_policy
from simulators.backtest.run import Order, past_of, warnings_of
from tests.unit.recorded import POLICY, lived, policy, wave

RAIL = "  guardrails: [{when: '%s', then: hold}]\n"
ALONE = Order(baselines=(), curves=False)


def with_nodes(recording, ready):
    size = len(recording.times)
    said = {"count": 10.0, "schedulable": 6.0, "cores": 28.0, "memoryGiB": 112.0, "gpus": 0.0, "usdPerHour": 2.0}
    columns = {f"nodes:{name}": np.full(size, one) for name, one in said.items()}
    return replace(recording, columns={**recording.columns, **columns, "nodes:ready": ready})


def test_conditions_see_the_nodes_of_then() -> None:
    world = lived(wave(3.0))
    size = len(world.times)
    middle = size * 3 // 4
    ready = np.where(np.arange(size) < middle, 8.0, 7.0)
    ruled = policy(POLICY + RAIL % "nodes.ready < 8 && nodes.usdPerHour > 1.9 && nodes.cores > 27")
    past = past_of(with_nodes(world, ready), ruled, (), ALONE)
    ours = by_policy(past, lambda: None)
    free = by_policy(past_of(world, policy(), (), ALONE), lambda: None)
    assert ours.replicas[: middle - past.first] == free.replicas[: middle - past.first]
    later = slice(middle - past.first + 1, None)
    assert len(set(ours.replicas[later])) == 1
    assert len(set(free.replicas[later])) > 1


def test_what_was_not_recorded_of_nodes_is_said() -> None:
    world = lived(wave(2.5))
    nodes = policy(POLICY + RAIL % "nodes.ready < 8")
    pools = policy(POLICY + RAIL % "pools.exists(p, p.spot)")
    told = with_nodes(world, np.full(len(world.times), 8.0))
    said = [warnings_of(past_of(*one, (), ALONE)) for one in ((world, nodes), (told, nodes), (told, pools))]
    wanted = ["no nodes were recorded", "", "to which pool nodes belonged was not recorded"]
    for warnings, part in zip(said, wanted, strict=True):
        about = [one for one in warnings if "nodes" in one]
        assert [one.startswith(part) for one in about] == ([True] if part else [])


def test_nodes_are_asked_for_where_a_condition_is_about_them() -> None:
    plain, ruled = (parse(text, "test") for text in (POLICY, POLICY + RAIL % "nodes.ready < 8"))
    assert not set(NODES) & set(asked(plain, ReplicaMetrics(), PriceMetrics()).exprs)
    assert set(NODES) <= set(asked(ruled, ReplicaMetrics(), PriceMetrics()).exprs)


def test_a_step_of_which_a_part_is_not_known_has_no_nodes() -> None:
    columns = {name: np.array([4.0, np.nan]) for name in NODES}
    nodes = RecordedNodes(columns, "default")
    assert (len(nodes.at(0)), nodes.at(1), nodes.usd_per_hour(0), nodes.usd_per_hour(1)) == (4, {}, 1.0, None)
    assert not RecordedNodes({}, "default").known
