"""Two runs side by side, by hand: what differed, and what came after the lead time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.app.comparing import Curve, Run, compared

STEP_S = 15.0
RUN = Run(at=0.0, ends=150.0, before=8, wished=8, wanted=8, word="steady", reason="", capacity=50.0, lead_s=30.0)


def curve(*demand: float | None, price: float | None = 0.05) -> Curve:
    count = len(demand)
    at = [STEP_S * number for number in range(count)]
    return Curve(step_s=STEP_S, at=at, demand=demand, replicas=[8] * count, usd_per_replica_hour=[price] * count)


def test_the_risk_looks_ahead_by_the_lead_time():
    # 8 replicas carry 400: the demand of 450 comes at the sixth tick and goes at the eighth
    seen = curve(*[390.0] * 5, 450.0, 450.0, *[390.0] * 3)
    made = compared([RUN], [replace(RUN, wanted=9)], seen)
    # judged are the eight ticks after which the lead time of two ticks was seen; short were the fourth and the fifth
    assert (made["live"]["judged_ticks"], made["live"]["slo_risk"]) == (8, pytest.approx(2 / 8))
    assert made["candidate"]["slo_risk"] == 0.0


def test_a_step_in_demand_is_charged_to_those_who_decided_before_it():
    before, after = replace(RUN, ends=60.0, wanted=8), replace(RUN, at=60.0, wanted=10)
    seen = curve(*[390.0] * 4, *[450.0] * 6)
    # who had 8 until the fourth tick was too late by the two ticks that a start-up takes
    assert compared([before, after], [RUN], seen)["live"]["slo_risk"] == pytest.approx(2 / 8)


def test_what_is_not_known_is_not_judged():
    seen = curve(*[None] * 10, price=None)
    made = compared([RUN], [RUN], seen)
    assert (made["live"]["slo_risk"], made["live"]["usd"], made["usd_per_replica_hour"]) == (None, None, None)
    assert (
        compared([replace(RUN, capacity=0.0)], [replace(RUN, capacity=0.0)], curve(*[1.0] * 10))["live"]["slo_risk"]
        is None
    )


def test_differences_that_follow_each_other_are_one_and_those_apart_are_two():
    live = [RUN]
    candidate = [
        replace(RUN, ends=30.0, wanted=9),
        replace(RUN, at=30.0, ends=60.0, wanted=10, reason="bounds"),
        replace(RUN, at=60.0, ends=120.0),
        replace(RUN, at=120.0, wanted=7, reason="rate"),
    ]
    made = compared(live, candidate, curve(*[390.0] * 10))
    assert [(one["seconds"], one["candidate"]["wanted"]) for one in made["differences"]] == [
        (60.0, [9, 10]),
        (30.0, [7, 7]),
    ]
    assert made["differences"][1]["candidate"]["reason"] == "rate"
    assert sum(one["replica_hours"] for one in made["differences"]) * 3600 == pytest.approx(30 + 60 - 30)
    assert made["candidate"]["replica_hours"] - made["live"]["replica_hours"] == pytest.approx(60 / 3600)


def test_a_bug_is_counted_and_nothing_is_compared_with_it():
    made = compared([RUN], [replace(RUN, word="bug", reason="bug", bug=True)], curve(*[390.0] * 10))
    assert (made["compared_s"], made["candidate"]["bugs"], made["from"]) == (0, 1, None)
