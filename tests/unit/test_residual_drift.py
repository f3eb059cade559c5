"""Drift of what a forecast misses: from its opening to its end, through restarts, and as a finding for who asks."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.lineage import drift as drifts
from aiops.core.lineage.drift import STANDS_S, Cover, Drift, Window
from aiops.core.model import FindingKind, Percepts
from aiops.core.policies import ForecastSpec, PolicySet
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.fleet import SCALING, START, a_frame, a_scaling, a_set, a_watch, an_index

MINUTE_S = 60.0
ENOUGH, FEW = Cover(share=0.8, hours=6.0), Cover(share=0.4, hours=6.0)


def live(one: Drift, minutes: range, times: float = 1.0, covered: Cover | None = None) -> list[bool]:
    """Let minutes pass in which errors are so many times the usual; return in which of them drift stood."""
    stood = []
    for minute in minutes:
        dice = np.random.default_rng(minute)
        one.look(minute * MINUTE_S, minute, times * dice.gamma(4.0, 0.25), covered)
        stood.append(one.stands is not None)
    return stood


# -- from its opening to its end -----------------------------------------------------------------------


def test_errors_that_grew_stand_until_they_are_as_they_were_and_say_by_how_much() -> None:
    one = Drift()
    assert not any(live(one, range(2000)))
    stood = live(one, range(2000, 2400), 4.0)
    opened = 2000 + stood.index(True)
    assert all(stood[opened - 2000 :])
    assert one.stands is not None
    assert one.stands.since == opened * MINUTE_S
    assert (one.stands.seen, one.stands.usual, one.stands.times) == pytest.approx((4.0, 1.0, 4.0), rel=0.4)
    assert one.stands.upper < one.stands.seen
    stood = live(one, range(2400, 2600))
    assert not stood[-1]
    assert 50 <= stood.index(False) <= 125  # an hour of errors that are as they were, after the one that goes on


def test_errors_that_stay_are_the_usual_a_day_after_they_were_seen_last() -> None:
    one = Drift()
    live(one, range(2000))
    stood = live(one, range(2000, 5000), 4.0)
    assert 1 <= sum(stood) * MINUTE_S / STANDS_S < 2  # it is seen again while what is usual has not followed
    assert not stood[-1]
    assert not any(live(one, range(5000, 6000), 4.0))


def test_intervals_that_cover_too_little_stand_until_they_cover_nearly_enough() -> None:
    one = Drift()
    live(one, range(1), covered=FEW)
    assert one.stands is not None
    assert (one.stands.seen, one.stands.usual, one.stands.times) == pytest.approx((0.4, 0.8, 3.0))
    assert one.stands.lower == pytest.approx(FEW.least(3.09))
    assert all(live(one, range(1, 10), covered=Cover(share=FEW.least(2.0), hours=6.0)))
    assert all(live(one, range(10, 20)))  # nobody looked
    assert not any(live(one, range(20, 30), covered=ENOUGH))


def test_of_both_the_worse_is_told_since_the_first_was_seen() -> None:
    one = Drift()
    live(one, range(2000))
    live(one, range(2000, 2001), covered=FEW)
    live(one, range(2001, 2300), 6.0, FEW)
    assert one.stands is not None
    assert one.stands.since == 2000 * MINUTE_S
    assert "times what was usual" in one.stands.why
    assert one.stands.times > 3.0


def test_a_clock_that_was_ahead_and_is_set_back_leaves_nothing_that_stands_for_longer_than_a_day() -> None:
    one = Drift()
    one.look(1e9, 0, math.nan, FEW)
    one.set_back(500.0)
    assert one.stands is not None
    assert (one.stands.since, one.stands.until) == (500.0, 500.0 + STANDS_S)
    one.look(500.0 + STANDS_S, 1, math.nan, None)
    assert one.stands is None


# -- restarts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [10, 400, 2180, 2230, 2300, 4000])
def test_through_a_restart_drift_goes_on_to_the_bit(before: int) -> None:
    def lived(one: Drift, begin: int, end: int) -> Drift:
        live(one, range(begin, min(end, 2100)))
        live(one, range(max(begin, 2100), min(end, 2300)), 4.0)
        live(one, range(max(begin, 2300), end), covered=ENOUGH)
        return one

    through = lived(Drift(), 0, 4400)
    first = json.loads(json.dumps(lived(Drift(), 0, before).state()))
    assert lived(Drift.of(first), before, 4400).state() == through.state()


def test_a_window_is_bounded_and_goes_on_alike_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifts, "MOST_ERRORS", 64)
    dice = np.random.default_rng(1)
    whole, parted, cuts = Window(), Window(), 0
    for number in range(1000):
        error = float(dice.gamma(4.0, 0.25) * (1.0 if number % 300 < 200 else 4.0))
        cut = whole.add(error)
        assert parted.add(error) == cut
        cuts += cut
        parted = Window.of(parted.state())
        assert parted.state() == whole.state()
        assert len(whole._given) <= 64
    assert cuts >= 3


@pytest.mark.parametrize("window", ["*", "AAA="])
def test_a_window_of_a_checkpoint_that_is_none_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Drift.of(Drift().state() | {"window": window})


# -- as a finding --------------------------------------------------------------------------------------

SPEC = ForecastSpec(
    model="seasonal-naive", history_s=4 * 3600.0, quantile=0.95, lead_s=60.0, season_s=3600.0, finds_drift=True
)


def foreseen(*, finds: bool = True, **changes: object) -> PolicySet:
    return a_set(replace(a_scaling(), forecast=replace(SPEC, finds_drift=finds), **changes), a_watch())


def bank(policies: PolicySet) -> Bank:
    return Bank(policies)


def pass_by(one: Bank, policies: PolicySet, minutes: range, noise: float = 1.0) -> list[Percepts]:
    index, out = an_index([]), []
    for minute in minutes:
        at = START + minute * MINUTE_S
        usual = 500.0 + 200.0 * math.sin(2.0 * math.pi * at / 3600.0)
        demand = Demand(usual + noise * float(np.random.default_rng(minute).standard_normal()), whole=True)
        out.append(one.perceive(a_frame(at, index, []), {SCALING: demand}, policies))
    return out


def drifted(seen: list[Percepts]) -> list[int]:
    return [place for place, one in enumerate(seen) if any(f.kind is FindingKind.RESIDUAL_DRIFT for f in one.findings)]


def test_what_a_forecast_misses_is_a_finding_from_its_opening_to_its_end_and_an_incident() -> None:
    policies = foreseen()
    one = bank(policies)
    assert not drifted(pass_by(one, policies, range(1500)))
    seen = pass_by(one, policies, range(1500, 2000), 30.0)
    places = drifted(seen)
    assert places
    assert places == [*range(places[0], len(seen))]
    opened, last = (next(iter(seen[place].findings)) for place in (places[0], places[-1]))
    assert (opened.policy, opened.series) == (SCALING, f"{SCALING}#demand")
    assert opened.labels == {"__name__": "demand", "namespace": "shop", "workload": "checkout"}
    assert opened.since == opened.at == last.since
    assert "what seasonal-naive foretells of demand of checkout is off: " in opened.reason
    assert opened.score > 1.0
    assert [one.findings[0].alarm for one in (seen[place] for place in places)] == [True] + [False] * (len(places) - 1)
    (incident,) = seen[-1].incidents
    assert (incident.kind, incident.since) == ("residual-drift", opened.since)
    calm = pass_by(one, policies, range(2000, 3000))
    assert not calm[-1].findings
    assert not calm[-1].incidents


def test_who_does_not_ask_and_a_shadow_have_no_such_finding() -> None:
    for policies in (foreseen(finds=False), foreseen(candidate_for=f"{SCALING}-2")):
        one = bank(policies)
        pass_by(one, policies, range(1500))
        assert not drifted(pass_by(one, policies, range(1500, 2000), 30.0))
        assert one.lineages[SCALING].drifted is not None


def test_through_a_restart_the_finding_stands_since_it_was_opened_and_nobody_is_called_again() -> None:
    policies = foreseen()
    one = bank(policies)
    pass_by(one, policies, range(1500))
    before = pass_by(one, policies, range(1500, 2000), 30.0)[-1].findings[0]
    arrays = {name: np.array(array) for name, array in one.arrays().items()}
    other = bank(policies)
    assert other.restore(arrays) == ()
    (after,) = pass_by(other, policies, range(2000, 2001), 30.0)[0].findings
    assert (after.since, after.series, after.alarm) == (before.since, before.series, False)


def test_a_checkpoint_of_before_is_read_and_drift_begins_anew() -> None:
    policies = foreseen()
    one = bank(policies)
    pass_by(one, policies, range(1500))
    pass_by(one, policies, range(1500, 2000), 30.0)
    arrays = {name: np.array(array) for name, array in one.arrays().items()}
    name = f"lineage/{SCALING}/about"
    about = json.loads(bytes(arrays[name]))
    del about["drift"]
    arrays[name] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    other = bank(policies)
    assert other.restore(arrays) == ()
    assert other.lineages[SCALING].drifted is None


def test_a_policy_asks_by_the_kind_of_the_finding_and_by_no_other() -> None:
    document = """apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: web, namespace: shop}
spec:
  target: {kind: Deployment, name: web}
  signals: {rate: {query: 'sum(rate(requests_total[2m]))', unit: req/s}}
  objective: {demand: rate, perReplica: 50}
  forecast: {model: combined, kinds: [KIND]}
  bounds: {minReplicas: 1, maxReplicas: 9}
"""
    (policy,) = parse(document.replace("KIND", "residual-drift"), "web.yaml").scaling
    assert policy.forecast is not None
    assert policy.forecast.finds_drift
    with pytest.raises(InvalidPolicy, match=r"spec\.forecast\.kinds"):
        parse(document.replace("KIND", "drift"), "web.yaml")
