"""Whatever turns take: what acts, what is outstanding and what these go by is never left out."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import Effect, LoopState, Mode, SeriesIndex, TargetRef, TargetState
from aiops.core.planning.remediation import OnFinding
from aiops.core.policies import PolicySet
from aiops.loop.shedding import Budget, Rank
from aiops.loop.timekeeping import Timekeeper
from tests.builders import action, policy
from tests.unit.fleet import a_watch
from tests.unit.remedied import a_policy

PERIOD_S = 15.0
MODES = st.sampled_from(Mode)
SCALING = st.tuples(MODES, st.booleans(), st.sampled_from(["", "effect", "pending"]))
"""Mode, whether it is a candidate for another, and what is outstanding."""


def key(number: int) -> str:
    return f"ScalingPolicy/shop/p{number}"


def policies_of(drawn: list[tuple[Mode, bool, str]], watches: int, remedy: Mode) -> tuple[PolicySet, LoopState]:
    scaling = [
        policy(key=key(number), mode=mode, target=TargetRef(namespace="shop", name=f"p{number}"))
        for number, (mode, _, _) in enumerate(drawn)
    ]
    scaling = [
        replace(one, candidate_for="ScalingPolicy/shop/p0") if beside else one
        for one, (_, beside, _) in zip(scaling, drawn, strict=True)
    ]
    remediation = replace(a_policy(), mode=remedy, triggers=(OnFinding(watch="WatchPolicy/shop/w0"),), conditions={})
    state = LoopState(
        targets={
            key(number): TargetState(pending=action(policy=key(number)))
            for number, (_, _, what) in enumerate(drawn)
            if what == "pending"
        },
        effects={
            key(number): Effect(
                policy=key(number),
                target=scaling[number].target,
                object=scaling[number].target,
                attribute="minReplicas",
                original=1,
                written=2,
                action_id="A",
                since=0.0,
            )
            for number, (_, _, what) in enumerate(drawn)
            if what == "effect"
        },
    )
    watched = tuple(a_watch(f"WatchPolicy/shop/w{number}", expr=f"w{number}") for number in range(watches))
    return PolicySet(digest="d", scaling=tuple(scaling), watches=watched, plans=(remediation,)), state


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(SCALING, max_size=8),
    watches=st.integers(1, 4),
    remedy=MODES,
    ceiling=MODES,
    turns=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30),
    half=st.floats(0.0, 100.0),
)
def test_what_acts_is_outstanding_or_gone_by_is_asked_and_decided_in_every_turn_s5(
    drawn: list[tuple[Mode, bool, str]],
    watches: int,
    remedy: Mode,
    ceiling: Mode,
    turns: list[float],
    half: float,
):
    policies, state = policies_of(drawn, watches, remedy)
    keeper = Timekeeper(Budget.of(PERIOD_S), ceiling)
    index = SeriesIndex(keys=tuple(f"WatchPolicy/shop/w0#{row}" for row in range(50)), labels=({},) * 50)
    must = {
        key(number)
        for number, (mode, beside, what) in enumerate(drawn)
        if what or (min(mode.rank, ceiling.rank) >= Mode.APPROVE.rank and not beside)
    }
    for took_s in turns:
        asked = keeper.begin(policies, state)
        decided = keeper.decided(policies, state, half)
        for kept in (asked, decided):
            assert must <= {one.key for one in kept.scaling}
            assert kept.plans == policies.plans
            assert kept.digest == policies.digest
        assert [one.key for one in asked.watches] == [one.key for one in policies.watches], "rows are kept"
        if min(remedy.rank, ceiling.rank) >= Mode.APPROVE.rank:
            assert not asked.watches[0].query.spared, "a remediation that acts goes by it"
        spared = {one.key for one in asked.watches if one.query.spared}
        assert set(keeper.unseen()) == spared, "whoever asks for its findings is told"
        keeper.end(took_s, index)


@settings(max_examples=25, deadline=None)
@given(watches=st.integers(1, 5), rehearsed=st.integers(1, 20), cost=st.floats(0.05, 30.0))
def test_the_order_is_by_rank_and_it_ends_within_the_budget_or_with_nothing_more_to_leave_out(
    watches: int, rehearsed: int, cost: float
):
    policies, state = policies_of([(Mode.DRY_RUN, False, "")] * rehearsed, watches, Mode.OBSERVE)
    keeper = Timekeeper(Budget.of(PERIOD_S), Mode.ENFORCE)
    index = SeriesIndex(keys=(), labels=())
    for _ in range(watches + rehearsed + 1):
        asked = keeper.begin(policies, state)
        every = list(keeper.shed.keys.values())
        assert every == sorted(every, key=list(Rank).index)
        if keeper.shed.count(Rank.DRY_RUN):
            assert keeper.shed.count(Rank.WATCH) == watches
        took_s = cost * (len(asked.scaling) + sum(not one.query.spared for one in asked.watches))
        keeper.end(took_s, index)
        if took_s <= 0.8 * PERIOD_S:
            break
    assert took_s <= 0.8 * PERIOD_S or not (asked.scaling or [one for one in asked.watches if not one.query.spared])
