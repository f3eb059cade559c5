"""The rows of a watch: kept while their series are away, and not flooded by a source that has gone wild."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.adapters.prometheus import rows
from aiops.adapters.prometheus.asking import Reply
from aiops.adapters.prometheus.rows import FEW, FORGET_S, STANDS_S, WatchRows
from aiops.core.policies import WatchQuery

AT = 1_772_450_000.0
QUERY = WatchQuery(policy="W", expr="y", identity=("pod",), max_series=100_000)
USUAL = tuple({"pod": f"p{number:03d}"} for number in range(200))
FLOOD = (*USUAL, *({"pod": f"request-{number}"} for number in range(2 * FEW)))


def reply(metrics: tuple[dict[str, str], ...], value: float = 1.0) -> Reply:
    return Reply(metrics=metrics, values=np.full(len(metrics), value))


def test_ten_times_as_many_series_are_not_followed_and_told_while_the_known_ones_go_on_s10():
    watch = WatchRows(QUERY)
    watch.values(reply(USUAL), AT)
    values = watch.values(reply(FLOOD, 2.0), AT + 15)
    assert len(values) == len(USUAL)
    assert (values == 2.0).all()
    assert (
        watch.note
        == "2200 series where there were 200: those that are new are not followed before this has stood for 60 min"
    )
    values = watch.values(reply(FLOOD, 3.0), AT + 30)
    assert (values == 3.0).all(), "the answer did not change its labels, and still is too large"


def test_when_the_source_is_itself_again_nothing_is_told_any_more():
    watch = WatchRows(QUERY)
    watch.values(reply(USUAL), AT)
    watch.values(reply(FLOOD), AT + 15)
    assert len(watch.values(reply((*USUAL, {"pod": "new"})), AT + 30)) == len(USUAL) + 1
    assert watch.note == ""


def test_many_series_that_stay_are_the_new_normal():
    watch = WatchRows(QUERY)
    watch.values(reply(USUAL), AT)
    for after_s in np.arange(15.0, STANDS_S + 15.0, 600.0):
        assert len(watch.values(reply(FLOOD), AT + after_s)) == len(USUAL)
    assert len(watch.values(reply(FLOOD), AT + 15.0 + STANDS_S)) == len(FLOOD)
    assert watch.note == ""


def test_growth_of_few_series_and_the_first_answer_are_nothing_to_be_afraid_of():
    watch = WatchRows(QUERY)
    assert len(watch.values(reply(USUAL[:2]), AT)) == 2
    assert len(watch.values(reply(USUAL), AT + 15)) == len(USUAL)
    assert len(WatchRows(QUERY).values(reply(FLOOD), AT)) == len(FLOOD)


def test_a_series_that_is_away_keeps_its_row_for_an_hour_and_no_longer():
    watch = WatchRows(QUERY)
    watch.values(reply(USUAL[:2]), AT)
    np.testing.assert_array_equal(watch.values(reply(USUAL[:1]), AT + 15), [1.0, np.nan])
    assert len(watch.values(reply((dict(USUAL[0]),)), AT + FORGET_S + 30)) == 1


def test_labels_that_are_the_same_object_are_named_once(monkeypatch: pytest.MonkeyPatch):
    named = []
    real = rows.series_key
    monkeypatch.setattr(rows, "series_key", lambda query, metric: named.append(metric) or real(query, metric))
    watch = WatchRows(QUERY)
    watch.values(reply(USUAL), AT)
    watch.values(reply((*USUAL[:50], *USUAL[51:], {"pod": "z"})), AT + 15)
    assert len(named) == len(USUAL) + 1


def test_two_series_of_one_identity_are_told_by_name():
    with pytest.raises(ValueError, match="'pod=p001': identity \\[pod\\] does not tell them apart"):
        WatchRows(QUERY).values(reply((*USUAL, {"pod": "p001", "x": "2"})), AT)
