"""How safe a policy is by its two prices: the critical ratio, its limits, and what people are told of the sum."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest

from aiops.core.decide.scaling.pricing import demand_at, terms
from aiops.core.decide.scaling.propose import Situation, proposal
from aiops.core.model import LoopState, Percepts, PriceBook, Priced, PriceGap, TargetState, Unpriced
from aiops.core.money.newsvendor import LEAST_SHORT_RATIO, Stakes, steepness
from aiops.core.nowcast.margin import AIM_RATIO
from aiops.core.pipeline import Turn, decide, decide_one
from aiops.core.policies import ForecastSpec, ObjectivePrice, PolicySet
from aiops.core.record.codec import from_text, to_text
from aiops.core.record.story import Told, explanation
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests import builders as make
from tests.builders import KEY, NOW, TARGET
from tests.unit.storefront import KEY as STOREFRONT
from tests.unit.storefront import TEXT, Living, policies

AHEAD = ForecastSpec(model="seasonal-naive", history_s=1e6, quantile=0.5, lead_s=60.0, season_s=86400.0)
CARRIED = 50.0
DEAR = ObjectivePrice(violated_request=0.5, replica_hour=0.042)
FEED = PriceBook(replicas={TARGET.key: Priced(usd_per_hour=0.042, source="opencost", as_of=NOW)})


def priced(price: ObjectivePrice | None, *, slo: bool = False, quantile: float = 0.5):
    objective = make.policy().objective
    objective = replace(objective, price=price, slo=objective.slo if slo else None)
    return make.policy(objective=objective, forecast=replace(AHEAD, quantile=quantile))


def seen(prices: PriceBook | None = None, demand: float = 200.0, ahead: float = 1000.0) -> Situation:
    return Situation(
        now=NOW,
        tick_s=15.0,
        workload=make.workload(),
        signals={"demand": make.signal("demand", demand), "latency": make.signal("latency", 0.1)},
        forecast=make.forecast(ahead),
        state=TargetState(uid="u"),
        replica_usd_per_hour=None,
        prices=prices or PriceBook(),
    )


LATE_EACH = 17 * (1 - math.exp(-CARRIED * math.log(5.0) / 100.0))
"""Of a forecast of 850 in the middle, which 17 replicas carry, 1000 at p95 and 1100 at p99."""


def short_for(ratio: float) -> ObjectivePrice:
    """Return prices at which it pays to be short for such a share of the time, in the face of that forecast."""
    return ObjectivePrice(violated_request=0.042 / (3600.0 * CARRIED * LATE_EACH * ratio), replica_hour=0.042)


# -- the formula ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replica_hour", [1.0, 3.0, 10.0, 40.0])
def test_the_critical_ratio_is_that_of_the_cheapest_number_of_replicas(replica_hour):
    # demand is 1000 and something that is exponential by 60; what is late is all of it while it is not carried
    late, tail = 0.001, 60.0

    def costs(replicas: float) -> float:
        above = replicas * CARRIED - 1000.0
        late_per_s = (1000.0 + above + tail) * math.exp(-above / tail) if above > 0.0 else 1000.0 + tail
        return replica_hour * replicas + late * 3600.0 * late_per_s

    cheapest = min(range(20, 60), key=costs)
    stakes = Stakes(
        replica_usd_per_hour=replica_hour,
        violated_usd=late,
        carried=CARRIED,
        steepness=steepness(1000.0 + tail, CARRIED, tail),
    )
    served = 1000.0 - tail * math.log(stakes.short_ratio)
    assert abs(math.ceil(served / CARRIED) - cheapest) <= 1
    assert costs(math.ceil(served / CARRIED)) < 1.02 * costs(cheapest)


@pytest.mark.parametrize(("demand", "tail", "late"), [(40.0, 5.0, 1.0), (1000.0, 0.0, 20.0), (1000.0, 1e9, 1.0)])
def test_everybody_waits_for_what_is_too_much(demand, tail, late):
    assert steepness(demand, CARRIED, tail) == pytest.approx(late)


def test_a_replica_that_carries_nothing_is_worth_nothing():
    assert Stakes(replica_usd_per_hour=1.0, violated_usd=1.0, carried=0.0).short_ratio == 1.0


# -- in a decision by quantiles --------------------------------------------------------------------------------


def test_the_quantile_follows_from_both_prices():
    need = proposal(priced(short_for(0.05)), seen()).need
    assert need.price.short_ratio == pytest.approx(0.05)
    assert need.demand_ahead == pytest.approx(1000.0)
    assert need.forecast == 20
    assert proposal(priced(short_for(0.5)), seen()).need.demand_ahead == pytest.approx(850.0)


def test_between_two_quantiles_the_served_one_is_linear():
    need = proposal(priced(short_for(0.03)), seen()).need
    assert need.demand_ahead == pytest.approx(1050.0)
    assert demand_at(make.forecast(1000.0), 0.02, NOW + 60.0) == pytest.approx(700.0)


def test_the_reason_says_that_the_price_chose_it():
    wish = proposal(priced(short_for(0.05)), seen())
    assert wish.reason == "forecast p95 by price 1k req/s within 70 s needs 20"


def test_however_dear_a_request_no_quantile_beyond_the_issued_ones_is_served():
    need = proposal(priced(DEAR), seen()).need
    assert (need.price.limit, need.demand_ahead) == ("evidence", pytest.approx(1100.0))


def test_however_cheap_a_request_without_an_slo_the_median_is_served():
    cheap = ObjectivePrice(violated_request=1e-9, replica_hour=0.042)
    need = proposal(priced(cheap), seen()).need
    assert (need.price.limit, need.demand_ahead) == ("median", pytest.approx(850.0))


def test_with_an_slo_money_never_sells_its_quantile():
    cheap = ObjectivePrice(violated_request=1e-9, replica_hour=0.042)
    with_slo = priced(cheap, slo=True, quantile=0.95)
    without = priced(None, slo=True, quantile=0.95)
    made, same = proposal(with_slo, seen()), proposal(without, seen())
    assert made.need.price.limit == "slo"
    assert made.need.demand_ahead == pytest.approx(same.need.demand_ahead)
    assert made.change == same.change


def test_the_reactive_need_stays_the_floor():
    cheap = ObjectivePrice(violated_request=1e-9, replica_hour=0.042)
    wish = proposal(priced(cheap), seen(demand=900.0, ahead=500.0))
    assert (wish.need.reactive, wish.need.forecast, wish.change.after) == (18, 9, 18)


# -- where money is not known ------------------------------------------------------------------------------------

NOT_KNOWN = {
    "no feed": (ObjectivePrice(violated_request=0.5), PriceBook()),
    "stale": (
        ObjectivePrice(violated_request=0.5),
        PriceBook(replicas={TARGET.key: Unpriced(gap=PriceGap.STALE, detail="read 3 h ago")}),
    ),
    "no rate": (ObjectivePrice(violated_request=0.5, currency="EUR"), FEED),
    "a rate of zero": (ObjectivePrice(violated_request=0.5, currency="EUR"), replace(FEED, rates={"EUR": 0.0})),
}


@pytest.mark.parametrize("name", NOT_KNOWN)
@pytest.mark.parametrize("slo", [True, False])
def test_what_is_not_known_sways_nothing(name, slo):
    price, book = NOT_KNOWN[name]
    made = proposal(priced(price, slo=slo, quantile=0.9), seen(book))
    same = proposal(priced(None, slo=slo, quantile=0.9), seen(book))
    assert made.need.price.gap
    assert replace(made.need, price=None) == same.need
    assert (made.change, made.reason) == (same.change, same.reason)


def test_an_unlearnt_capacity_leaves_the_quantile_as_it_is():
    objective = replace(make.policy().objective, per_replica=None, utilisation="demand", price=DEAR)
    need = proposal(make.policy(objective=objective, forecast=AHEAD), seen()).need
    assert (need.price.gap, need.price.served_ratio) == ("what a replica carries is not learnt yet", None)


def test_the_price_of_the_feed_is_in_usd_and_that_of_the_policy_is_made_so():
    book = replace(FEED, rates={"EUR": 1.25})
    found = terms(ObjectivePrice(violated_request=0.4, currency="EUR"), book.replicas[TARGET.key], book.rates)
    assert (found.violated_request, found.currency, found.replica_hour) == (pytest.approx(0.5), "USD", 0.042)


def test_two_prices_of_the_policy_need_no_rate():
    found = terms(ObjectivePrice(violated_request=0.4, replica_hour=0.1, currency="EUR"), None, {})
    assert (found.currency, found.replica_hour, found.worth_requests) == ("EUR", 0.1, pytest.approx(0.25))


# -- the margin of a policy that is steered by its SLO --------------------------------------------------------------


@cache
def _old() -> Living:
    living = Living(policies())
    living.ticks(400)
    return living


def margins(worth_requests: float, ticks: int = 1):
    living = deepcopy(_old())
    for _ in range(ticks):
        living.tick(worth_requests=worth_requests)
    return living.bank._lookahead.margins


def test_dear_requests_leave_less_of_the_budget():
    # a replica of 80 busy requests a second: 3600 * 50 and more of them are late in an hour for each one too few
    dear = margins(10.0)
    assert dear.spent[0] == LEAST_SHORT_RATIO
    assert dear.exceeded_share[0] == pytest.approx(AIM_RATIO * dear.slack[0] * LEAST_SHORT_RATIO)


def test_cheap_requests_leave_the_slos_budget():
    assert margins(1e9).spent[0] == pytest.approx(0.005)


def test_without_prices_the_margin_is_as_it_was():
    with_nan, as_ever = margins(math.nan, 40), deepcopy(_old())
    as_ever.ticks(40)
    assert with_nan.values.tolist() == as_ever.bank._lookahead.margins.values.tolist()
    assert with_nan.spent[0] == pytest.approx(0.005)


def test_dearer_requests_make_a_wider_margin_in_time():
    assert margins(1.0, 600).values[0] > margins(1e9, 600).values[0]


def test_a_price_that_is_lost_hands_back_to_the_slo():
    living = deepcopy(_old())
    living.tick(worth_requests=1.0)
    living.tick()
    assert living.bank._lookahead.margins.spent[0] == pytest.approx(0.005)


# -- told, stored and made again -------------------------------------------------------------------------------------


def turned(price: ObjectivePrice | None, book: PriceBook):
    chosen = priced(price)
    shot = make.snapshot(
        answers={KEY: {"demand": make.answer(200.0), "latency": make.answer(0.1)}},
        workloads={TARGET.key: make.workload()},
        prices=book,
    )
    percepts = Percepts(forecasts={KEY: make.forecast(1000.0)})
    turn = Turn(
        snapshot=shot, percepts=percepts, policies=PolicySet(digest="p", scaling=(chosen,)), code="c", platform="p"
    )
    return chosen, decide(LoopState(), turn)


def test_the_explanation_shows_the_sum():
    _, made = turned(short_for(0.05), PriceBook())
    told = explanation(Told(decision=made.tick.decisions[0], unit="req/s"))
    (line,) = [one for one in told.splitlines() if one.startswith("price")]
    assert "one replica more costs 0.042 USD/h (the policy)" in line
    assert "saves 0.84 USD/h while there is one too few (50 req/s x 3600 s x 9.4 late for each too many x " in line
    assert "pays while that is so for more than 5.000% of the time" in line
    assert "served p95" in line


def test_the_explanation_says_why_money_sways_nothing():
    stale = PriceBook(replicas={TARGET.key: Unpriced(gap=PriceGap.STALE, detail="read 3 h ago")})
    _, made = turned(ObjectivePrice(violated_request=0.5), stale)
    told = explanation(Told(decision=made.tick.decisions[0], unit="req/s"))
    assert "stale: read 3 h ago; served as if there were no prices" in told


def test_a_decision_by_price_is_made_again_from_its_record():
    chosen, made = turned(ObjectivePrice(violated_request=0.000005), FEED)
    (inputs,) = made.inputs.values()
    again = decide_one(chosen, from_text(to_text(inputs), type(inputs)))
    assert again.decision.verdict == made.tick.decisions[0].verdict
    assert inputs.snapshot.prices == FEED


# -- as it is written --------------------------------------------------------------------------------------------------


def written(price: str):
    return TEXT.replace("    perReplica: learn\n", f"    perReplica: learn\n    price: {price}\n")


def test_an_objective_with_prices_is_read():
    (chosen,) = parse(written("{replicaHour: 0.042, violatedRequest: 0.0005, currency: EUR}"), "a.yaml").scaling
    assert chosen.objective.price == ObjectivePrice(violated_request=0.0005, replica_hour=0.042, currency="EUR")
    assert chosen.key == STOREFRONT


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("{replicaHour: 0.042}", "objective.price.violatedRequest"),
        ("{violatedRequest: -1}", "objective.price.violatedRequest"),
        ("{violatedRequest: 0}", "objective.price.violatedRequest"),
        ("{violatedRequest: .nan}", "objective.price.violatedRequest"),
        ("{violatedRequest: 0.1, replicaHour: 0}", "objective.price.replicaHour"),
        ("{violatedRequest: 0.1, replicaHour: 2000000000}", "objective.price.replicaHour"),
        ("{violatedRequest: 0.1, currency: EURO}", "'EURO' is no currency of ISO 4217 such as USD, EUR or JPY"),
        ("{violatedRequest: 0.1, currency: usd}", "did you mean USD?"),
    ],
)
def test_prices_that_cannot_be_are_refused_where_they_stand(price, said):
    with pytest.raises(InvalidPolicy) as err:
        parse(written(price), "a.yaml")
    assert said in str(err.value)
    assert str(err.value).startswith("a.yaml:26:")
