"""Label selectors and quantities of the external metrics API."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.quantities import quantity
from aiops.web.external_metrics import quantity_text
from aiops.web.external_metrics_selector import selector
from aiops.web.external_metrics_server import common_names

LABELS = {"policy": "checkout", "signal": "demand", "quantile": "0.95", "horizon": "lead"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("policy=checkout", True),
        ("policy==checkout", True),
        ("policy = checkout , horizon = lead", True),
        ("policy=cart", False),
        ("policy!=cart", True),
        ("policy!=checkout", False),
        ("shadow!=yes", True),
        ("shadow=", False),
        ("horizon in (lead,5m)", True),
        ("horizon in ( 1m , 5m )", False),
        ("horizon notin (1m,5m)", True),
        ("horizon notin (lead)", False),
        ("shadow notin (yes)", True),
        ("quantile", True),
        ("shadow", False),
        ("!shadow", True),
        ("!quantile", False),
        ("policy=checkout,horizon in (lead,5m),quantile=0.95,!shadow", True),
        ("policy=checkout,horizon in (lead,5m),quantile=0.99", False),
        ("example.com/team=shop", False),
    ],
)
def test_a_selector_chooses_as_the_kubernetes_api_does(text, holds):
    assert selector(text).holds(LABELS) is holds


@pytest.mark.parametrize(
    "text",
    ["policy=", "a=b=c", "a in b", "a in (b", "a b", ",", "a=b,", "=b", "quantile>1", "a=b c", "a in (b c)", "-a=b"],
)
def test_what_is_no_selector_is_refused(text):
    if text == "policy=":
        assert not selector(text).holds(LABELS)  # an empty value is a value
        return
    with pytest.raises(ValueError, match="no requirement of a label selector"):
        selector(text)


def test_labels_that_are_not_known_yet_may_hold():
    known = {"policy": "checkout", "signal": "demand"}
    assert selector("policy=checkout,quantile=0.95,horizon=lead").may_hold(known)
    assert not selector("policy=cart,quantile=0.95").may_hold(known)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (5104.0, "5104"),
        (0.5, "500m"),
        (0.0001, "1m"),
        (1234.5678, "1234568m"),
        (0.1 + 0.2, "300m"),
        (-0.5, "-500m"),
        (1e15, "1000000000000000"),
        (1e20, "1.000000000e+20"),
    ],
)
def test_a_number_is_a_quantity_in_whole_units_or_thousandths(value, text):
    assert quantity_text(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_quantity_s1(value):
    with pytest.raises(ValueError, match="no quantity"):
        quantity_text(value)


@given(st.floats(min_value=0.0, max_value=1e12))
def test_a_quantity_is_never_less_than_the_number_and_less_than_a_thousandth_more(value):
    assert -1e-8 <= quantity(quantity_text(value)) - value <= 0.001 + 1e-9 * value


def test_the_names_of_a_certificate_are_its_common_names():
    shown = {"subject": ((("organizationName", "system:nodes"),), (("commonName", "front-proxy-client"),))}
    assert common_names(shown) == ("front-proxy-client",)
    assert common_names({}) == ()
