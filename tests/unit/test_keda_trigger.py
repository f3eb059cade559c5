"""What the metadata of a ScaledObject's trigger mean, and what answers them."""

from __future__ import annotations

import math

import pytest

from aiops.core.policies import PolicySet
from aiops.errors import InvalidInput, NotFound, SourceUnavailable
from aiops.grpc.trigger import Trigger, answer, trigger
from tests.builders import NOW
from tests.outlooks import Stage, finding, rising, sight


def asked(**metadata: str) -> Trigger:
    return trigger("shop", {"scalerAddress": "aiops:6000", "policy": "checkout", **metadata})


def test_what_is_left_out_is_what_the_policy_itself_scales_on():
    assert asked() == Trigger(
        namespace="shop", policy="checkout", metric="aiops_forecast_peak", signal="", quantile=None,
        horizon="lead", target=None, activation=0.0,
    )  # fmt: skip


def test_every_key_is_read():
    made = asked(
        metric="aiops_forecast", signal="demand", quantile="0.99", horizon="300s", targetValue="1.5k",
        activationValue="500m",
    )  # fmt: skip
    assert (made.metric, made.signal, made.quantile, made.horizon) == ("aiops_forecast", "demand", 0.99, "5m")
    assert (made.target, made.activation) == (1500.0, 0.5)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"policy": " "}, "policy is missing"),
        ({"metric": "aiops_ticks_total"}, "metric: 'aiops_ticks_total' is none of aiops_forecast,"),
        ({"quantile": "p95"}, "quantile: 'p95' is no number"),
        ({"horizon": "7m"}, "horizon: '7m' is none of lead, 1m, 5m, 15m, 30m"),
        ({"horizon": "soon"}, "horizon: 'soon' is no duration"),
        ({"targetValue": "0"}, "targetValue: '0' is not above 0"),
        ({"targetValue": "many"}, "targetValue: 'many' is no number"),
        ({"targetvalue": "50"}, "targetvalue: unknown key (did you mean 'targetValue'?)"),
        ({"horizn": "5m"}, "horizn: unknown key (did you mean 'horizon'?)"),
        ({"metric": "aiops_anomaly_score", "horizon": "5m"}, "horizon: aiops_anomaly_score has none"),
    ],
)
def test_a_slip_is_named(metadata, said):
    with pytest.raises(InvalidInput) as caught:
        asked(**metadata)
    assert said in str(caught.value)


def test_keys_of_keda_are_left_alone():
    assert asked(enableTLS="true", unsafeSsl="false", metricType="AverageValue", caCert="x") == asked()


@pytest.mark.parametrize(
    ("metadata", "value"),
    [
        ({}, 100.0 + 10.0 * 1),  # until 85 s: the first two steps
        ({"horizon": "30m"}, 390.0),
        ({"horizon": "30m", "quantile": "0.5"}, 312.0),
        ({"horizon": "5m", "metric": "aiops_forecast"}, 140.0),
    ],
)
def test_the_number_is_the_forecasts(metadata, value):
    assert answer(asked(**metadata), Stage(sight()).viewer).value == value


def test_an_anomaly_score_is_a_number_of_a_watch_policy():
    stage = Stage(sight(findings=(finding(3.5),)))
    made = trigger("shop", {"policy": "latency", "metric": "aiops_anomaly_score"})
    assert answer(made, stage.viewer).value == 3.5


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"policy": "cart"}, "no ScalingPolicy shop/cart foresees anything"),
        ({"signal": "latency"}, "checkout foresees demand, and not latency"),
        ({"quantile": "0.75"}, "quantile 0.75 is not foreseen; there are 0.05, 0.5, 0.9, 0.95, 0.99"),
        ({"policy": "checkout", "metric": "aiops_anomaly_score"}, "there is no WatchPolicy shop/checkout"),
    ],
)
def test_what_is_not_there_is_not_found(metadata, said):
    with pytest.raises(NotFound, match=said):
        answer(asked(**metadata), Stage(sight()).viewer)


def test_a_scaled_object_of_another_namespace_finds_nothing():
    with pytest.raises(NotFound):
        answer(trigger("else", {"policy": "checkout"}), Stage(sight()).viewer)


@pytest.mark.parametrize(
    ("sights", "later_s", "said"),
    [
        ([sight()], 181.0, "the forecast is 181 s old"),
        ([sight(demand=math.nan)], 0.0, "has not been seen"),
        ([sight(issued=rising(learned=False))], 0.0, "has not learnt enough"),
        ([sight(issued=rising(paths=((math.nan,) * 30,) * 5))], 0.0, "is not a number"),
    ],
)
def test_what_says_nothing_now_is_unavailable_and_never_zero_s1(sights, later_s, said):
    stage = Stage(*sights)
    stage.now = NOW + later_s
    with pytest.raises(SourceUnavailable, match=said):
        answer(asked(), stage.viewer)


def test_a_policy_that_goes_is_not_found_any_more():
    stage = Stage(sight())
    stage.look(sight(policies=PolicySet(digest="q")))
    with pytest.raises(NotFound):
        answer(asked(), stage.viewer)
