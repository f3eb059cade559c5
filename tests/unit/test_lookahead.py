"""The next minutes of policies through time: history, restarts, policies that come and go, clocks and gaps."""

from __future__ import annotations

import math
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aiops.app.ledger import Ledger
from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.lookahead import Lookahead
from aiops.core.model import F64, Frame, LoopState, Percepts, SeriesIndex
from aiops.core.nowcast import BELIEVED_TURNS, LONG_GAP_STEPS
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import PolicySet
from aiops.loop.learning import backfill
from aiops.ports import Matrix
from tests.builders import KEY as CHECKOUT
from tests.builders import TARGET
from tests.unit.fleet import a_frame, services
from tests.unit.steered import seen, steered
from tests.unit.storefront import BEGIN, KEY, STEP_S, TEXT, Living, policies, rate

OTHER = "ScalingPolicy/shop/other"


@cache
def _old() -> Living:
    living = Living()
    living.ticks(400)
    return living


def old() -> Living:
    """Return a bank that has lived for 400 ticks."""
    return deepcopy(_old())


def same(one: Percepts, other: Percepts, key: str = KEY) -> bool:
    return (one.nowcasts[key], one.capacities[key]) == (other.nowcasts[key], other.capacities[key])


def past(steps: int = 1440, *, gap: range = range(0)) -> tuple[F64, F64]:
    """Return a history that ends at `BEGIN`, a value a minute, of what was a wave."""
    minutes = np.arange(-steps // 4, 0)
    values = 500.0 + 250.0 * np.sin(2 * np.pi * minutes / 120.0)
    values[gap.start : gap.stop] = np.nan
    return BEGIN + 60.0 * minutes, values


@cache
def _lived(others: tuple[str, ...], keys: tuple[str, ...], gap: range) -> Lookahead:
    learnt = Lookahead()
    learnt.follow(policies(*others))
    learnt.learn_history({key: past(gap=gap) for key in keys}, BEGIN, dict.fromkeys(keys, 60.0))
    return learnt


def lived(*keys: str, others: tuple[str, ...] = (), gap: range = range(0)) -> Lookahead:
    """Return what was learnt from history of the named policies, of the storefront's and the others."""
    return deepcopy(_lived(others, keys, gap))


class Past:
    """A source that knows the history of whatever it is asked for."""

    def range(self, query: object, start: float, end: float, step_s: float) -> Matrix:
        times, values = past()
        return Matrix(index=SeriesIndex(keys=("a",), labels=({},)), times=times, values=values[None, :])


# -- what is said ------------------------------------------------------------------------------------------


def test_at_first_nothing_is_acted_on_and_nothing_learnt():
    percepts = Living().tick()
    assert not percepts.nowcasts[KEY].acts
    assert not percepts.capacities[KEY].learned


def test_after_an_hour_and_a_half_it_acts_and_knows_what_pods_carry():
    percepts = old().tick()
    nowcast, capacity = percepts.nowcasts[KEY], percepts.capacities[KEY]
    assert nowcast.acts
    assert nowcast.horizons_s == (45.0, 90.0)
    assert nowcast.demand[1] == pytest.approx(rate(406), rel=0.15)
    assert capacity.learned
    assert capacity.busy == pytest.approx(80.0)
    assert 400.0 < capacity.carried[capacity.pods.index(8.0)] < 640.0


def test_a_policy_that_asks_for_a_quantile_has_no_row():
    living = Living(policies(text=TEXT.replace("quantile: slo", "quantile: 0.95")))
    percepts = living.tick()
    assert not percepts.nowcasts
    assert not percepts.capacities[KEY].learned
    assert living.bank.knows_soon


def test_pods_that_have_just_changed_teach_no_capacity():
    living = old()
    before = living.tick().capacities[KEY].busy
    assert living.tick(ready=20, use_ratio=0.9).capacities[KEY].busy == before
    assert living.tick(ready=20, use_ratio=0.9).capacities[KEY].busy < before


def test_a_rollout_teaches_no_capacity():
    living = old()
    before = living.tick().capacities[KEY].busy
    assert living.tick(use_ratio=0.9, calm=False).capacities[KEY].busy == before


def test_a_demand_that_is_not_told_is_a_gap():
    living = old()
    living.tick()
    percepts = living.bank.perceive(_frame(living), {}, living.policies)
    assert math.isfinite(percepts.nowcasts[KEY].demand[1])
    assert percepts.nowcasts[KEY].horizons_s == (45.0, 90.0)


def _frame(living: Living) -> Frame:
    return a_frame(BEGIN + living.step * STEP_S, services(), [])


# -- clocks --------------------------------------------------------------------------------------------------


def test_a_clock_that_is_stepped_back_is_not_foretold_for():
    living = old()
    living.step -= 100
    assert not living.tick().nowcasts[KEY].acts
    living.step += 101
    assert living.tick().nowcasts[KEY].acts


@pytest.mark.parametrize("off", [3_000_000, -3_000_000, LONG_GAP_STEPS + 20, -LONG_GAP_STEPS - 20])
@pytest.mark.parametrize("ticks", [1, BELIEVED_TURNS - 1])
def test_a_clock_that_is_far_off_for_some_ticks_is_waited_for_and_nothing_is_forgotten(off, ticks):
    living, calm = old(), old()
    living.off = off
    for _ in range(ticks):
        assert not living.tick().nowcasts[KEY].acts
    living.off = 0
    calm.step = living.step
    for _ in range(3):
        one, other = living.tick(), calm.tick()
        assert one.nowcasts[KEY].acts
        assert same(one, other)


@pytest.mark.parametrize("off", [3_000_000, -3_000_000])
def test_a_clock_that_stays_where_it_was_stepped_to_is_followed(off):
    living = old()
    living.off = off
    percepts = living.ticks(BELIEVED_TURNS + 300)
    assert percepts.nowcasts[KEY].acts
    assert percepts.nowcasts[KEY].demand[1] == pytest.approx(rate(living.step + 5), rel=0.2)


def test_ticks_that_are_far_off_and_do_not_agree_with_each_other_are_never_believed():
    living = old()
    for number in range(3 * BELIEVED_TURNS):
        living.off = -1_000_000 * (number % 3 + 1)
        assert not living.tick().nowcasts[KEY].acts
    living.off = 0
    assert living.tick().nowcasts[KEY].acts


# -- restarts ------------------------------------------------------------------------------------------------


def test_a_restart_goes_on_exactly_where_it_was():
    living = old()
    again = Living()
    assert again.bank.restore({name: array.copy() for name, array in living.bank.arrays().items()}) == ()
    again.step = living.step
    # what a pod did since is told by one more sample: the number of ready ones may have changed
    one, other = living.tick(calm=False), again.tick(calm=False)
    assert one.nowcasts == other.nowcasts
    for _ in range(30):
        assert same(living.tick(), again.tick())


def test_an_older_checkpoint_without_the_next_minutes_is_refused_softly_and_they_are_learnt_again():
    living, again = old(), Living()
    without = {name: array for name, array in living.bank.arrays().items() if not name.startswith("soon/")}
    assert again.bank.restore(without) == ("the next minutes of every policy: the checkpoint does not have it",)
    again.step = living.step
    assert not again.tick().nowcasts[KEY].acts
    assert again.ticks(260).nowcasts[KEY].acts


@pytest.mark.parametrize("spoilt", ["soon/nowcast/levels", "soon/capacity/busy", "soon/nowcast/season.values"])
def test_a_checkpoint_that_is_spoilt_is_refused_softly(spoilt):
    living, again = old(), Living()
    arrays = dict(living.bank.arrays())
    del arrays[spoilt]
    assert again.bank.restore(arrays) == (f"the next minutes of {KEY}: nothing that fits",)
    again.step = living.step
    assert not again.tick().nowcasts[KEY].acts


def test_a_checkpoint_of_another_version_is_refused():
    before, after = Lookahead(), Lookahead()
    before.follow(policies())
    after.follow(policies())
    arrays = dict(before.arrays())
    text = arrays["about"].tobytes().replace(b'"version": 2', b'"version": 1')
    arrays["about"] = np.frombuffer(text, np.uint8)
    (refused,) = after.restore(arrays)
    assert "is of version 1, not 2" in refused


# -- policies that come and go ---------------------------------------------------------------------------------


@pytest.mark.parametrize("history", ["8h", "2d"], ids=["as long", "longer"])
def test_what_was_learnt_stays_when_another_policy_comes_whatever_its_history(history):
    living, other = old(), old()
    living.policies = policies("other", history=history)
    one, two = living.tick(calm=False), other.tick(calm=False)
    assert one.nowcasts[KEY] == two.nowcasts[KEY]
    assert one.nowcasts[KEY].acts
    assert not one.nowcasts[OTHER].acts
    for _ in range(5):
        assert same(living.tick(), other.tick())


def test_another_slo_is_learnt_anew_and_another_target_is_not():
    living = old()
    living.policies = policies(text=TEXT.replace("target: 99.5%", "target: 99%"))
    assert living.tick().nowcasts[KEY].acts
    living.policies = policies(text=TEXT.replace("atMost: 250ms", "atMost: 500ms"))
    assert not living.tick().nowcasts[KEY].acts


def test_the_margin_knows_what_a_step_is_of_the_demand_and_nothing_is_learnt_anew_for_another():
    one, given = old(), TEXT.replace("perReplica: learn", "perReplica: 5")
    grains = []
    for percent in (0, 7, 50):
        one.policies = policies(text=given.replace("stepPercent: 7 ", f"stepPercent: {percent} "))
        assert one.tick().nowcasts[KEY].acts
        grains.append(float(one.bank._lookahead.margins.grain[0]))
    pods = one.tick().nowcasts[KEY].demand[1] / 5.0
    assert grains[1] / grains[0] == pytest.approx(math.floor(0.07 * pods), rel=0.3)
    assert grains[2] / grains[0] == pytest.approx(0.5 * pods, rel=0.2)


# -- history -------------------------------------------------------------------------------------------------


def test_from_history_it_acts_at_once_and_knows_the_season():
    learnt = lived(KEY)
    assert learnt.learned
    seen = learnt.look(BEGIN, {KEY: Demand(500.0, whole=True, lead_s=60.0)})
    assert seen.nowcasts[KEY].acts
    assert seen.nowcasts[KEY].demand[1] == pytest.approx(500.0 + 250.0 * math.sin(2 * math.pi * 1.5 / 120), rel=0.03)


def test_a_gap_in_history_is_no_line_that_is_learnt():
    whole, gap = lived(KEY), lived(KEY, gap=range(100, 300))
    counts = [one.nowcasts.spreads[1].count[0] for one in (whole, gap)]
    assert counts[0] - counts[1] > 4 * 195


@pytest.mark.parametrize(
    "values",
    [[], [math.nan] * 50, [500.0], [500.0] * 10, [0.0] * 400, [-3.0] * 400],
    ids=["nothing", "all missing", "one", "ten", "zero", "negative"],
)
def test_a_history_of_little_worth_is_no_harm(values):
    learnt = Lookahead()
    learnt.follow(policies())
    times = BEGIN - 60.0 * np.arange(len(values), 0, -1)
    learnt.learn_history({KEY: (times, np.array(values))}, BEGIN, {KEY: 60.0})
    seen = learnt.look(BEGIN, {KEY: Demand(500.0, whole=True, lead_s=60.0)})
    assert math.isfinite(seen.nowcasts[KEY].demand[1])
    assert math.isfinite(seen.nowcasts[KEY].margin)
    assert not seen.nowcasts[KEY].acts or len(values) == 400


def test_history_that_comes_late_teaches_what_is_young():
    living = Living()
    living.ticks(5)
    living.bank.adopt_soon(lived(KEY))
    assert living.tick().nowcasts[KEY].acts


def test_history_takes_nothing_from_a_policy_that_has_seen_more_or_has_none():
    living = Living(policies("other"))
    living.ticks(300)
    other = deepcopy(living)
    living.bank.adopt_soon(lived(KEY, others=("other",)))
    one, two = living.tick(), other.tick()
    assert one.nowcasts[OTHER] == two.nowcasts[OTHER]
    assert one.nowcasts[KEY] != two.nowcasts[KEY]


def test_history_of_other_policies_than_those_in_force_is_let_be():
    living, other = old(), old()
    living.bank.adopt_soon(lived(KEY, OTHER, others=("other",)))
    assert same(living.tick(), other.tick())


def test_history_is_lived_through_beside_the_loop():
    living = Living()
    missed = backfill(living.bank, living.policies, Past(), (0.0, BEGIN), nullcontext())
    assert missed == []
    assert living.bank.knows_soon
    assert living.tick().nowcasts[KEY].acts


# -- costs -----------------------------------------------------------------------------------------------------


def test_a_fleet_for_the_peak_is_not_priced_before_a_capacity_is_learnt():
    policy_set = PolicySet(digest="p", scaling=(steered(),))
    bank = Bank(policy_set)
    bank.backfill_demand(CHECKOUT, *past())
    shot = replace(seen(), replica_usd_per_hour={TARGET.key: 0.1})
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=policy_set, code="c", platform="p")
    ledger = Ledger()
    ledger.note(decide(LoopState(), turn).tick, policy_set, bank)
    assert bank.peak_demand(CHECKOUT) is not None
    assert ledger.sentence() == ""


def test_an_hour_is_the_longest_gap():
    assert LONG_GAP_STEPS * STEP_S == 3600.0
