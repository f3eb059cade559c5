"""Answers with many series for policies of plans: asked when they are due, and never seen by detection."""

from __future__ import annotations

import numpy as np

from aiops.core.model import Frame, RightsizeState, SeriesIndex, Table
from aiops.core.policies import PolicySet, WatchQuery
from aiops.loop import tables
from aiops.ports import Observation
from tests.unit.rightsized import START, a_policy

POLICY = a_policy()
SET = PolicySet(digest="p", plans=(POLICY,))
WATCHED = SeriesIndex(keys=("WatchPolicy/shop/errors#a=1",), labels=({"a": "1"},))


def observed(queries: tuple[WatchQuery, ...], **errors: str) -> Observation:
    """Return a frame with one watched series, and two pods of which one is gone for each table."""
    keys, labels, values = list(WATCHED.keys), list(WATCHED.labels), [7.0]
    for number, query in enumerate(queries):
        for pod, value in (("checkout-1", float(number)), ("checkout-2", np.nan)):
            keys.append(f"{query.policy}#pod={pod},container=app")
            labels.append({"pod": pod, "container": "app"})
            values.append(value)
    index = SeriesIndex(keys=tuple(keys), labels=tuple(labels))
    frame = Frame(at=START, index=index, values=np.array(values), learn=np.ones(len(keys), np.bool_))
    named = {
        query.policy: errors[query.policy.split("$")[1]] for query in queries if query.policy.split("$")[1] in errors
    }
    return Observation(answers={}, frame=frame, watch_errors=named)


def test_tables_are_asked_once_in_their_time():
    queries, named = tables.asked(SET, {}, START)
    assert sorted(name for _, name in named.values()) == ["cpu", "memory", "throttled"]
    assert {one.policy for one in queries} == set(named)
    known = {POLICY.key: RightsizeState(learnt_at=START)}
    assert tables.asked(SET, known, START + 15.0) == ((), {})
    assert len(tables.asked(SET, known, START + 300.0)[0]) == 3


def test_rows_of_tables_never_reach_detection_and_the_rest_keeps_its_index():
    queries, named = tables.asked(SET, {}, START)
    splitter = tables.Splitter()
    frame, found = splitter.parted(observed(queries), queries, named)
    assert frame.index.keys == WATCHED.keys
    assert frame.values.tolist() == [7.0]
    assert found[POLICY.key]["memory"] == Table(rows=(("checkout-1", "app"),), values=(1.0,))
    later, nothing = splitter.parted(observed(()), (), {})
    assert nothing == {}
    assert later.index is frame.index


def test_a_query_that_failed_is_told_with_its_table_and_the_others_stand():
    queries, named = tables.asked(SET, {}, START)
    _, found = tables.Splitter().parted(observed(queries, cpu="time-out"), queries, named)
    assert found[POLICY.key]["cpu"] == Table(error="time-out")
    assert found[POLICY.key]["memory"].values == (1.0,)
    assert tables.failed(queries, named, "no Prometheus")[POLICY.key]["memory"].error == "no Prometheus"
