"""PromQL over scraped samples: what tests/e2e compares with a real Prometheus, and what that one cannot show."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.adapters.scrape.functions import VECTOR_FUNCTIONS
from aiops.adapters.scrape.grouping import AGGREGATIONS
from aiops.adapters.scrape.joining import ARITHMETIC, COMPARISONS, SET_OPERATORS
from aiops.adapters.scrape.ranges import RANGE_FUNCTIONS
from aiops.adapters.scrape.vectors import Dialect
from aiops.app.scraped_policies import refused
from aiops.app.scraping import AGAIN_S, FallingAsker, Past, Reply, ScrapedAsker
from aiops.errors import SourceUnavailable, TooMuch
from aiops.policy import locally
from aiops.policy.checking import checked
from tests.unit.scraped import T0, buffer, filled, labels, values

COUNTER = labels("c_total", i="1")


# -- windows of Prometheus 3 -------------------------------------------------------------------------------


def test_a_window_leaves_out_the_sample_at_its_very_beginning():
    made = filled({COUNTER: [(0, 0.0), (15, 3.0), (30, 6.0)]})
    assert values(made, "sum(count_over_time(c_total[15s]))", 30) == {"": 1.0}
    assert values(made, "sum(count_over_time(c_total[15s]))", 30, Dialect.TWO) == {"": 2.0}
    assert values(made, "sum(count_over_time(c_total[15001ms]))", 30) == {"": 2.0}


def test_the_look_back_leaves_out_the_sample_at_its_very_beginning():
    made = filled({COUNTER: [(0, 7.0)]})
    assert [len(values(made, "c_total", at_s)) for at_s in (-0.001, 0, 299.999, 300, 301)] == [0, 1, 1, 0, 0]
    assert len(values(made, "c_total", 300, Dialect.TWO)) == 1


def test_where_a_counter_was_zero_binds_after_the_guess_of_the_windows_begin():
    # two samples 10 s apart, the first 30 s into the window and zero 9 s before it: half a distance, 5 s, is guessed
    made = filled({COUNTER: [(30, 9.0), (40, 19.0)]})
    increase = "sum(increase(c_total[40s]))"
    assert values(made, increase, 40) == {"": pytest.approx(10.0 * (10 + 5) / 10)}
    assert values(made, increase, 40, Dialect.TWO) == {"": pytest.approx(10.0 * (10 + 9) / 10)}
    near = filled({COUNTER: [(30, 2.0), (40, 12.0)]})
    assert values(near, increase, 40) == {"": pytest.approx(10.0 * (10 + 2) / 10)}


def test_a_reset_counts_what_was_before_it():
    made = filled({COUNTER: [(0, 10.0), (15, 40.0), (30, 5.0), (45, 20.0)]})
    # 30 before the reset, 5 and 15 after it, within 45 s of the window's 60: 8 s before and 7 after are like these
    assert values(made, "sum(increase(c_total[60s]))", 52) == {"": pytest.approx(50.0 * 60 / 45)}
    assert values(made, "sum(resets(c_total[60s]))", 52) == {"": 1.0}


def test_a_counter_of_one_sample_has_no_rate():
    assert values(filled({COUNTER: [(0, 1.0)]}), "rate(c_total[1m])", 1) == {}
    assert values(buffer(), "rate(c_total[1m])", 1) == {}


def test_a_quantile_of_nothing_is_nan_and_of_no_bucket_nothing():
    buckets = {labels("h_bucket", le=le): [(0, 0.0), (15, 0.0)] for le in ("0.1", "1", "+Inf")}
    made = filled(buckets)
    assert math.isnan(values(made, "histogram_quantile(0.9, sum by (le) (rate(h_bucket[1m])))", 20)[""])
    assert values(made, "histogram_quantile(0.9, sum(rate(h_bucket[1m])))", 20) == {}
    assert values(made, "histogram_quantile(0.9, nothing)", 20) == {}


# -- the part that is answered -----------------------------------------------------------------------------


def test_what_is_promised_is_what_is_implemented():
    others = {"absent", "absent_over_time", "time", "timestamp"}
    assert set(RANGE_FUNCTIONS) | VECTOR_FUNCTIONS | others == locally.FUNCTIONS
    assert set(AGGREGATIONS) == locally.AGGREGATIONS
    assert (set(ARITHMETIC), set(COMPARISONS), SET_OPERATORS) == (locally.ARITHMETIC, locally.COMPARISONS, locally.SETS)


@pytest.mark.parametrize(
    ("expr", "word", "said"),
    [
        ("sum(predict_linear(a[5m], 60))", "predict_linear", "the function predict_linear() is not answered"),
        ("1 + topk(3, a)", "topk", "the aggregation topk is not answered"),
        ("a + on (x) group_left (y) b", "group_left", "group_left is not answered"),
        ("a * on (x) group_right b", "group_right", "group_right is not answered"),
        ("a atan2 b", "atan2", "the operator atan2 is not answered"),
        ("max_over_time(rate(a[1m])[5m:30s])", "[", "a subquery is not answered"),
        ("sum(a @ end())", "@", "the modifier @ is not answered"),
        ('a{x="1" or y="2"}', " or ", "`or` between matchers is not answered"),
        ('a{x=~"[[:alpha:]]+"}', "[[:alpha:]]+", "is read otherwise by Prometheus"),
    ],
)
def test_what_is_beyond_it_is_named_where_it_stands(expr, word, said):
    (found,) = locally.refusals(expr)
    assert said in found.message
    assert expr[found.offset :].startswith(word)
    with pytest.raises(ValueError, match=r"answered|Prometheus"):
        values(buffer(), expr, 0)


POLICY = """apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: w, namespace: shop}
spec:
  query: >-
    sum by (service) (rate(a_total[2m]))
    + stddev_over_time(b[5m])
"""


def test_a_policy_that_asks_for_more_is_refused_at_its_line_and_column():
    found = checked([("w.yaml", POLICY)], 15.0)
    assert [str(one) for one in refused(found.made, {""})] == [
        "w.yaml:7:7: spec.query: the function stddev_over_time() is not answered from scraped samples"
    ]
    assert refused(found.made, ()) == ()
    assert refused(found.made, {"scrape"}) == ()


# -- as a metrics source -----------------------------------------------------------------------------------


class Scraped:
    """What an asker needs of a scraper."""

    def __init__(self, made):
        self.buffer = made


def asker(made) -> ScrapedAsker:
    return ScrapedAsker(Scraped(made))


def test_an_answer_is_columns_and_series_that_stay_are_not_made_again():
    made = filled({labels("a", x=str(n)): [(0, float(n)), (30, float(n))] for n in range(3)})
    one = asker(made)
    first, again = (one.instant("a", T0 / 1000 + at, many=True) for at in (1, 31))
    assert first.metrics == tuple({"__name__": "a", "x": str(n)} for n in range(3))
    assert first.metrics is again.metrics
    assert again.values.tolist() == [0.0, 1.0, 2.0]
    one.keep(())
    assert one.instant("a", T0 / 1000 + 31, many=True).metrics is not first.metrics


def test_numbers_and_what_has_no_answer_are_told_apart():
    one = asker(filled({COUNTER: [(0, 1.0)]}))
    assert one.instant("time() - 1", 7.0) == Reply(metrics=({},), values=one.instant("6 + 0", 7.0).values)
    with pytest.raises(SourceUnavailable, match=r"topk.* is not answered"):
        one.instant("topk(1, a)", 7.0)


def test_history_begins_with_the_first_sample_even_of_what_needs_none():
    one = asker(filled({COUNTER: [(60, 1.0), (120, 2.0)]}))
    (found,) = one.range("sum(c_total) or vector(0)", T0 / 1000 - 3600, T0 / 1000 + 7200, 60.0)
    assert (found.times - T0 / 1000).tolist() == [60.0 * n for n in range(1, 121)]
    assert found.values[:7].tolist() == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0]
    assert asker(buffer()).range("c_total", 0.0, 1e6, 60.0) == []


# -- in the place of a Prometheus --------------------------------------------------------------------------


class Far:
    """A Prometheus that answers 1, or is away, or refuses one query."""

    behind_s = 9.0

    def __init__(self):
        self.away, self.asked = False, []

    def instant(self, expr, at, *, many=False):
        self.asked.append(expr)
        if self.away:
            raise SourceUnavailable("cannot be reached")
        if expr == "bad":
            raise SourceUnavailable("refuses the query")
        if expr == "huge":
            raise TooMuch("too many samples")
        return Reply(metrics=({},), values=np.ones(1))

    def range(self, expr, start, end, step_s):
        self.instant(expr, start)
        return [Past(labels={}, times=np.array([start]), values=np.ones(1))]

    def keep(self, exprs):
        pass

    close = keep


@pytest.fixture
def stage():
    far, clock = Far(), [0.0]
    near = asker(filled({COUNTER: [(0, 5.0)]}))
    return far, clock, FallingAsker(far, near, lambda: clock[0])


def test_scraped_samples_answer_while_prometheus_is_away_and_no_longer(stage, caplog):
    far, clock, falling = stage
    now = T0 / 1000 + 1
    assert falling.instant("sum(c_total)", now).values.tolist() == [1.0]
    far.away = True
    assert falling.instant("sum(c_total)", now).values.tolist() == [5.0]
    assert falling.range("sum(c_total)", now, now, 60.0)[0].values.tolist() == [5.0]
    asked = len(far.asked)
    assert falling.instant("sum(c_total)", now).values.tolist() == [5.0]
    assert len(far.asked) == asked
    assert falling.behind_s == 0.0
    far.away, clock[0] = False, AGAIN_S
    assert falling.instant("sum(c_total)", now).values.tolist() == [1.0]
    assert falling.behind_s == 9.0
    assert [one.message for one in caplog.records] == ["prometheus_away", "prometheus_back"]


@pytest.mark.parametrize("query", ["bad", "huge"])
def test_a_query_that_is_wrong_is_no_prometheus_that_is_away(stage, query):
    _, _, falling = stage
    with pytest.raises(SourceUnavailable):
        falling.instant(query, T0 / 1000)
    with pytest.raises(SourceUnavailable):
        falling.range(query, T0 / 1000, T0 / 1000, 60.0)
    assert falling.away == ""
    assert falling.instant("sum(c_total)", T0 / 1000).values.tolist() == [1.0]
