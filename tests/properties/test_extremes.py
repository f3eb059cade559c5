"""Whatever finite numbers are measured, learnt, foreseen and written, a decision is made (S10)."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import (
    Capacity,
    Coverage,
    Forecast,
    LoopState,
    Nowcast,
    Percepts,
    PriceBook,
    Priced,
    PriceGap,
    ScaleEvent,
    SignalMemory,
    TargetState,
    Unpriced,
)
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import (
    Backlog,
    Bounds,
    BoundsWindow,
    Fallback,
    ForecastSpec,
    Guardrail,
    Lever,
    Limits,
    Objective,
    ObjectivePrice,
    PolicySet,
    RatePolicy,
    RateUnit,
    ScalingRules,
    Select,
    Slo,
    Then,
    Verification,
)
from aiops.core.record.codec import from_text, to_text
from aiops.policy.cel import condition
from aiops.policy.schedule import Span
from tests.builders import KEY, NOW, TARGET, action, answer, hpa, policy, snapshot, spec, workload

MOST_INT = 2**31 - 1
"""What Kubernetes holds in a number of replicas, and the language in any whole number."""

EDGES = (0.0, -0.0, 5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e15, 1e300, 1e308, 1.7976931348623157e308)
NAMES = ("demand", "latency", "use", "waiting", "partitions")
QUANTILES = (0.05, 0.5, 0.9, 0.95, 0.99)

huge = st.one_of(st.sampled_from(EDGES), st.floats(allow_nan=False, allow_infinity=False))
positive = st.one_of(
    st.sampled_from(EDGES[2:]), st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False, exclude_min=False)
)
ratios = st.floats(0.0, 1.0)
counts = st.one_of(st.sampled_from((0, 1, 2, 1000, MOST_INT)), st.integers(0, MOST_INT))
some = st.one_of(st.sampled_from((1, 2, 1000, MOST_INT)), st.integers(1, MOST_INT))
CENTURY_S = 36_525 * 86_400.0
"""The language knows no longer duration."""

durations = st.one_of(st.sampled_from((0.0, 1e-300, 15.0, 3600.0, CENTURY_S)), st.floats(0.0, CENTURY_S))
instants = st.floats(NOW - 1e9, NOW + 1e9)
CONDITIONS = tuple(
    condition(text, NAMES)
    for text in (
        "signals.demand * 2.0 > signals.latency",
        "signals.demand / (signals.use - signals.use) > 1.0",
        "replicas.wanted > replicas.max && cost.hour > 1.0",
        "forecast.p95 - forecast.p50 > signals.demand",
    )
)


def rules():
    rate = st.builds(
        RatePolicy, unit=st.sampled_from(RateUnit), value=some, period_s=st.sampled_from((1.0, 60.0, 1800.0))
    )
    return st.builds(
        ScalingRules,
        stabilisation_s=st.sampled_from((0.0, 300.0, float(MOST_INT))),
        rates=st.lists(rate, max_size=2).map(tuple),
        select=st.sampled_from(Select),
        tolerance_ratio=st.one_of(ratios, positive),
        single_step_s=st.sampled_from((0.0, float(MOST_INT))),
    )


backlogs = st.builds(
    Backlog,
    signal=st.just("waiting"),
    drain_s=durations.filter(bool),
    partitions=st.one_of(st.none(), some, st.just("partitions")),
    rebalance_s=durations,
)
prices = st.builds(
    ObjectivePrice,
    violated_request=positive,
    replica_hour=st.one_of(st.none(), positive),
    currency=st.sampled_from(("USD", "EUR")),
)
quotes = st.one_of(
    st.builds(Priced, usd_per_hour=positive, source=st.just("feed"), as_of=instants),
    st.builds(Unpriced, gap=st.sampled_from(PriceGap), detail=st.just("why")),
)
books = st.builds(
    PriceBook,
    replicas=st.one_of(st.just({}), quotes.map(lambda quote: {TARGET.key: quote})),
    rates=st.one_of(st.just({}), positive.map(lambda rate: {"EUR": rate})),
)
objectives = st.builds(
    Objective,
    demand=st.just("demand"),
    per_replica=st.one_of(st.none(), positive),
    slo=st.one_of(st.none(), st.builds(Slo, signal=st.just("latency"), at_most=huge, target_ratio=ratios)),
    utilisation=st.one_of(st.none(), st.just("use")),
    backlog=st.one_of(st.none(), backlogs),
    price=st.one_of(st.none(), prices),
)
foreseen = st.builds(
    ForecastSpec,
    model=st.just("seasonal-naive"),
    history_s=durations,
    quantile=st.sampled_from(QUANTILES),
    lead_s=durations,
    season_s=durations,
    by_slo=st.booleans(),
)
windows = st.builds(
    BoundsWindow,
    name=st.just("w"),
    schedule=st.just(Span(NOW - 60, NOW + 60)),
    min_replicas=st.one_of(st.none(), counts),
    max_replicas=st.one_of(st.none(), counts),
)
rails = st.builds(
    Guardrail, when=st.sampled_from(CONDITIONS), then=st.sampled_from(Then), max_replicas=st.one_of(st.none(), counts)
)
policies = st.builds(
    policy,
    lever=st.sampled_from(Lever),
    signals=st.just({name: spec(name) for name in NAMES}),
    objective=objectives,
    forecast=st.one_of(st.none(), foreseen),
    bounds=st.builds(Bounds, min_replicas=counts, max_replicas=some, windows=st.lists(windows, max_size=1).map(tuple)),
    up=rules(),
    down=rules(),
    limits=st.builds(Limits, cooldown_out_s=durations, cooldown_in_s=durations, changes_per_hour=some),
    verify=st.builds(Verification, within_s=durations, expect=st.one_of(st.none(), st.sampled_from(CONDITIONS))),
    guardrails=st.lists(rails, max_size=2).map(tuple),
    fallback=st.one_of(st.none(), st.builds(Fallback, after_s=durations, replicas=some)),
)
answers = st.one_of(
    st.none(),
    st.builds(
        lambda value, coverage, old: replace(answer(value), coverage=coverage, newest_at=old),
        huge,
        st.one_of(st.none(), st.builds(Coverage, series=counts, targets=counts, up=counts)),
        st.one_of(st.just(NOW), instants),
    ),
)
workloads = st.builds(
    workload,
    replicas=counts,
    ready=counts,
    startup_s=st.lists(durations, max_size=3).map(tuple),
    hpas=st.lists(st.builds(hpa, min_replicas=counts, max_replicas=some), max_size=1).map(tuple),
    pdb_min_available=st.one_of(st.none(), counts),
    rollout=st.booleans(),
)
memories = st.builds(
    SignalMemory,
    answered=st.booleans(),
    last_value=huge,
    last_good_at=instants,
    series_high=counts,
    series_high_replicas=counts,
)
states = st.builds(
    TargetState,
    uid=st.just("u"),
    recommendations=st.lists(st.tuples(instants, counts), max_size=3).map(lambda found: tuple(sorted(found))),
    events=st.lists(st.builds(ScaleEvent, at=instants, delta=st.integers(-MOST_INT, MOST_INT)), max_size=3).map(
        lambda found: tuple(sorted(found, key=lambda one: one.at))
    ),
    last_out_at=instants,
    last_in_at=instants,
    drain_by=st.one_of(st.just(math.inf), instants),
    slo_broken_since=st.one_of(st.just(math.inf), instants),
    since=st.one_of(st.just(math.inf), instants),
    signals=st.dictionaries(st.sampled_from(NAMES), memories, max_size=3),
    pending=st.one_of(st.none(), st.builds(action, counts, counts)),
)
forecasts = st.builds(
    lambda paths, learned: Forecast(
        policy=KEY,
        signal="demand",
        issued_at=NOW,
        step_s=60.0,
        quantiles=QUANTILES,
        paths=tuple(tuple(sorted(path)) for path in paths),
        model="test-v1",
        history_s=1e6,
        learned=learned,
    ),
    st.lists(st.lists(huge, min_size=2, max_size=2), min_size=5, max_size=5),
    st.booleans(),
)
pairs = st.tuples(huge, huge)
nowcasts = st.builds(
    Nowcast,
    policy=st.just(KEY),
    at=st.just(NOW),
    horizons_s=st.just((60.0, 120.0)),
    demand=pairs,
    error_ratio=st.tuples(positive, positive),
    margin=huge,
    skill=ratios,
    acts=st.booleans(),
)
capacities = st.builds(
    lambda pods, carried, busy, doubt, learned: Capacity(
        pods=tuple(map(float, sorted(pods))),
        carried=tuple(sorted(carried)),
        busy=busy,
        doubt_ratio=doubt,
        learned=learned,
    ),
    st.sets(some, min_size=3, max_size=3),
    st.lists(positive, min_size=3, max_size=3),
    positive,
    huge,
    st.booleans(),
)


@st.composite
def turns(draw):
    chosen = draw(policies)
    found = {name: draw(answers) for name in NAMES}
    shot = snapshot(
        answers={KEY: {name: one for name, one in found.items() if one is not None}},
        workloads={TARGET.key: draw(workloads)},
        replica_usd_per_hour=draw(st.one_of(st.just({}), huge.map(lambda usd: {TARGET.key: usd}))),
        prices=draw(books),
    )
    ahead, soon, carried = (draw(st.one_of(st.none(), one)) for one in (forecasts, nowcasts, capacities))
    percepts = Percepts(
        forecasts={} if ahead is None else {KEY: ahead},
        nowcasts={} if soon is None else {KEY: soon},
        capacities={} if carried is None else {KEY: carried},
    )
    turn = Turn(
        snapshot=shot, percepts=percepts, policies=PolicySet(digest="p", scaling=(chosen,)), code="c", platform="p"
    )
    return LoopState(targets={KEY: draw(states)}), turn


@given(turns())
@settings(max_examples=300, deadline=None)
def test_with_any_finite_input_a_decision_is_made_s10(made):
    state, turn = made
    done = decide(state, turn)
    (decision,) = done.tick.decisions
    assert decision.verdict is not None, decision.bug
    assert decision.verdict.change.after >= 0 or decision.verdict.change.after == decision.verdict.change.before
    # and is kept as it was made, and looked at again in the next turn
    assert to_text(from_text(to_text(decision), type(decision))) == to_text(decision)
    again = decide(done.state, replace(turn, snapshot=replace(turn.snapshot, at=NOW + 15.0)))
    assert again.tick.decisions[0].verdict is not None, again.tick.decisions[0].bug
