"""What money may sway, at any two prices: monotone in both, within its limits, and nothing while it is not known."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.scaling.propose import Situation, proposal
from aiops.core.model import Capacity, PriceBook, TargetState
from aiops.core.money.newsvendor import Stakes
from aiops.core.policies import ForecastSpec, ObjectivePrice
from tests import builders as make
from tests.builders import NOW

QUANTILES = (0.5, 0.9, 0.95, 0.99)
money = st.floats(1e-9, 1e3)
demand = st.floats(0.0, 5000.0)
AHEAD = ForecastSpec(model="seasonal-naive", history_s=1e6, quantile=0.95, lead_s=60.0, season_s=86400.0)


@st.composite
def worlds(draw):
    """Return a policy without prices and what it sees, with a capacity that is told or learnt."""
    learnt = draw(st.booleans())
    full = draw(st.floats(0.2, 0.95))
    objective = make.policy().objective
    objective = replace(
        objective,
        per_replica=None if learnt else draw(st.floats(1.0, 500.0)),
        utilisation="use",
        slo=draw(st.sampled_from((None, objective.slo))),
    )
    signals = {name: make.spec(name) for name in ("demand", "latency", "use")}
    policy = make.policy(
        signals=signals,
        objective=objective,
        forecast=replace(AHEAD, quantile=draw(st.sampled_from(QUANTILES))),
    )
    seen = Situation(
        now=NOW,
        tick_s=15.0,
        workload=make.workload(),
        signals={
            "demand": make.signal("demand", draw(demand)),
            "latency": make.signal("latency", draw(st.floats(0.01, 0.5))),
            "use": make.signal("use", draw(st.floats(0.1, 1.0))),
        },
        forecast=make.forecast(draw(demand)),
        capacity=Capacity(
            pods=(1.0, 50.0), carried=(80.0 * full, 4000.0 * full), busy=80.0, doubt_ratio=0.1, learned=True
        ),
        state=TargetState(uid="u"),
        replica_usd_per_hour=None,
    )
    return policy, seen


def with_prices(policy, replica_hour: float | None, violated: float):
    price = ObjectivePrice(violated_request=violated, replica_hour=replica_hour)
    return replace(policy, objective=replace(policy.objective, price=price))


@given(worlds(), money, money, money)
def test_the_dearer_a_late_request_the_more_is_served_slo(world, replica_hour, one, other):
    policy, seen = world
    cheap, dear = (proposal(with_prices(policy, replica_hour, price), seen).need for price in sorted((one, other)))
    assert dear.demand_ahead >= cheap.demand_ahead
    assert dear.forecast >= cheap.forecast


@given(worlds(), money, money, money)
def test_the_dearer_a_replica_the_less_is_served(world, violated, one, other):
    policy, seen = world
    cheap, dear = (proposal(with_prices(policy, price, violated), seen).need for price in sorted((one, other)))
    assert dear.demand_ahead <= cheap.demand_ahead
    assert dear.forecast <= cheap.forecast


@given(worlds(), money, money)
def test_money_never_goes_below_the_slo_and_never_below_what_is_needed_now(world, replica_hour, violated):
    policy, seen = world
    by_price = proposal(with_prices(policy, replica_hour, violated), seen)
    by_slo = proposal(policy, seen)
    assert by_price.need.reactive == by_slo.need.reactive
    assert by_price.change.after >= (by_price.need.reactive or 0)
    if policy.objective.slo is not None:
        assert by_price.need.demand_ahead >= by_slo.need.demand_ahead
        assert by_price.change.after >= by_slo.change.after


@given(worlds(), money, money)
def test_money_stays_within_what_the_forecast_can_tell(world, replica_hour, violated):
    policy, seen = world
    need = proposal(with_prices(policy, replica_hour, violated), seen).need
    until = seen.now + need.lead_s + seen.tick_s
    least, most = (seen.forecast.quantile_max(quantile, until) for quantile in (0.5, 0.99))
    assert least <= need.demand_ahead <= most


@given(worlds(), money)
def test_a_price_that_is_not_known_leaves_the_decision_as_it_is(world, violated):
    policy, seen = world
    made, same = proposal(with_prices(policy, None, violated), seen), proposal(policy, seen)
    assert replace(made, need=replace(made.need, price=None)) == same


@given(worlds(), money, money, st.floats(1e-3, 1e3))
def test_the_currency_of_both_prices_does_not_matter(world, replica_hour, violated, rate):
    policy, seen = world
    one = proposal(with_prices(policy, replica_hour, violated), seen).need
    other = proposal(with_prices(policy, replica_hour * rate, violated * rate), replace(seen, prices=PriceBook())).need
    assert abs(one.demand_ahead - other.demand_ahead) <= 1e-6 * max(1.0, one.demand_ahead)


@given(money, money, st.floats(0.0, 1e6), st.floats(1.0, 20.0))
def test_the_share_is_one(replica, violated, carried, steep):
    stakes = Stakes(replica_usd_per_hour=replica, violated_usd=violated, carried=carried, steepness=steep)
    assert 0.0 <= stakes.short_ratio <= 1.0
