"""Which shard watches what, and how a query is parted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from aiops.engine.placing import owner
from aiops.policy.slicing import label_of, narrowed


@pytest.mark.parametrize(
    ("expr", "label"),
    [
        ("disk", "node"),
        ("max by (node) (rate(disk[5m]))", "node"),
        ("sum(disk)", ""),
        ("histogram_quantile(0.9, sum by (le, node) (rate(b[5m])))", "node"),
        ("a / on (node) b", "node"),
        ("a / on (zone) b", ""),
        ("a / scalar(sum(b))", ""),
        ("disk or vector(0)", ""),
        ("topk(3, disk)", ""),
        ("topk by (node) (3, disk)", "node"),
        ("label_replace(disk, 'node', '$1', 'pod', '(.*)')", ""),
        ("absent(disk)", ""),
        ("a * on (job) group_left (node) b", ""),
        ("1 - avg by (node) (disk) * 2", "node"),
        ("max_over_time(sum by (node) (disk)[5m:1m])", "node"),
    ],
)
def test_a_query_is_parted_where_each_series_comes_from_its_own_value_alone(expr, label):
    assert label_of(expr, ("node",)) == label


def test_a_part_asks_for_its_values_as_they_are():
    asked = narrowed('rate(x{a="b"}[5m] offset 1h)', "node", ["n.1", 'q"t', "a|b", ""])
    assert asked == 'rate(x{a="b",node=~"|a\\\\|b|n\\\\.1|q\\"t"}[5m] offset 1h)'


@drawn(st.text(max_size=20), st.integers(1, 40))
def test_when_a_shard_comes_things_move_to_it_and_nowhere_else(what, shards):
    assert owner(what, shards + 1) in (owner(what, shards), shards)


def test_shards_have_about_as_much_each():
    counts = np.bincount([owner(f"node=n-{number}", 8) for number in range(4000)], minlength=8)
    assert counts.min() > 400
    assert counts.max() < 600
