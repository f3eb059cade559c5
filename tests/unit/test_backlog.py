"""Queue workers: what waits is gone by its date, and whole partitions are shared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.capacity import CapacitiesApart
from aiops.core.decide.scaling.backlog import NONE, Queue, drain, shared, sharing
from aiops.core.decide.scaling.carrying import replicas_for
from aiops.core.decide.scaling.propose import Situation, proposal
from aiops.core.guard.memory import in_time
from aiops.core.model import Answered, Capacity, LoopState, Need, Nowcast, Percepts, SignalState, TargetState
from aiops.core.pipeline import Decisions, Turn, decide, demand_of
from aiops.core.policies import Backlog, Objective, PolicySet, Slo
from aiops.core.record.codec import from_text, to_text
from tests import builders as make

NOW, TICK_S = make.NOW, 15.0
MAILS = Backlog(signal="waiting", drain_s=600.0)


def queue(waiting: float, **changes: float) -> Queue:
    made = Queue(waiting=waiting, arriving=80.0, carried=100.0, due=math.inf, delay_s=75.0)
    return replace(made, **changes)


def test_less_than_a_ticks_work_is_no_backlog():
    assert drain(MAILS, queue(1500.0), NOW, TICK_S) == NONE


def test_a_backlog_gets_a_date_when_it_begins_to_stand():
    assert drain(MAILS, queue(1501.0), NOW, TICK_S).due == NOW + 600.0


def test_the_date_stays_when_more_arrives():
    assert drain(MAILS, queue(9000.0, due=NOW + 120.0), NOW, TICK_S).due == NOW + 120.0


def test_what_the_ready_ones_drain_until_help_comes_is_counted():
    # 6000 wait, 20/s more is served than arrives for 75 s, and 525 s are left after that
    assert drain(MAILS, queue(6000.0), NOW, TICK_S).rate == pytest.approx((6000.0 - 20.0 * 75.0) / 525.0)


def test_what_is_overdue_is_to_be_gone_soon_and_not_at_once():
    assert drain(MAILS, queue(6000.0, due=NOW - 300.0), NOW, TICK_S).rate == pytest.approx(4500.0 / 60.0)


@given(st.integers(1, 60), st.integers(1, 40), st.floats(0.1, 30.0), st.floats(1.0, 1000.0))
def test_it_is_the_least_number_of_consumers_none_of_which_has_too_much(partitions, evenly, each, per):
    demand = min(evenly, each) * per
    needed = math.ceil(demand / per - 1e-9)
    carries = [n for n in range(1, partitions + 1) if shared(n, partitions) * per >= demand * (1.0 - 1e-9)]
    expected = carries[0] if carries else partitions
    assert sharing(needed, demand, per, partitions) == expected


@given(st.floats(200.0, 200_000.0), st.floats(0.0, 300.0), st.integers(1, 8), st.integers(0, 6))
def test_a_backlog_is_gone_by_its_date_whatever_arrives_steadily(waiting, arriving, ready, lead_ticks):
    """A fluid queue: replicas that are asked for are there after the lead time, and nobody bounds them."""
    each, at, due = 20.0, NOW, math.inf
    coming: list[tuple[float, int]] = []
    delay_s = (lead_ticks + 1) * TICK_S
    started = None
    for _ in range(80):
        seen = Queue(waiting=waiting, arriving=arriving, carried=ready * each, due=due, delay_s=delay_s)
        wanted = drain(MAILS, seen, at, TICK_S)
        due = wanted.due
        started = at if started is None and due < math.inf else started
        if due == math.inf:
            break
        coming.append((at + delay_s - TICK_S, math.ceil((arriving + wanted.rate) / each - 1e-9)))
        at += TICK_S
        ready = max([ready, *(n for when, n in coming if when <= at)])
        waiting = max(0.0, waiting + (arriving - ready * each) * TICK_S)
    assert started is None or at <= started + MAILS.drain_s + TICK_S


# -- what replicas carry ----------------------------------------------------------------------------


LEARNING = make.policy(
    objective=Objective(
        demand="demand",
        per_replica=None,
        slo=Slo(signal="latency", at_most=60.0, target_ratio=0.99),
        utilisation="use",
        backlog=MAILS,
    ),
    signals={name: make.spec(name) for name in ("demand", "latency", "use", "waiting")},
)


def lived(arriving: float, waits: float, grows: float = 0.0) -> float:
    """Return what one busy worker is taken to serve after an hour in which eight of them are used to 80 %."""
    learnt, known = CapacitiesApart(), Capacity(pods=(), carried=(), busy=math.nan, doubt_ratio=0.0, learned=False)
    learnt.follow(PolicySet(digest="p", scaling=(LEARNING,)))
    for step in range(240):
        at = NOW + step * TICK_S
        values = {"demand": arriving, "latency": 0.2, "use": 0.8, "waiting": waits + grows * step * TICK_S}
        answers = {name: Answered(value=value, newest_at=at - 5.0) for name, value in values.items() if value >= 0.0}
        shot = make.snapshot(at=at, answers={make.KEY: answers}, workloads={make.TARGET.key: make.workload(as_of=at)})
        known = learnt.look(int(at // TICK_S), {make.KEY: demand_of(LEARNING, TargetState(), shot)})[make.KEY]
    return known.busy


def test_without_a_backlog_what_arrives_is_what_is_served():
    assert lived(320.0, 0.0) == pytest.approx(50.0)
    # what is in the workers' hands is no backlog: less than what is served in a tick
    assert lived(320.0, 4000.0) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("arriving", "waits", "grows"),
    [(600.0, 10_000.0, 280.0), (100.0, 200_000.0, -220.0), (320.0, -1.0, 0.0)],
    ids=["it grows", "it is drained", "nobody knows"],
)
def test_while_a_backlog_stands_what_arrives_teaches_nothing_of_what_workers_carry(arriving, waits, grows):
    assert math.isnan(lived(arriving, waits, grows))


# -- through the whole proposal ---------------------------------------------------------------------


def policy(**backlog: object):
    objective = Objective(demand="demand", per_replica=50.0, backlog=replace(MAILS, **backlog))
    signals = {name: make.spec(name) for name in ("demand", "waiting", "partitions")}
    return make.policy(objective=objective, signals=signals)


def seen(queued: float, state: TargetState | None = None, **signals: object) -> Situation:
    made = {
        "demand": make.signal("demand", 390.0),
        "waiting": make.signal("waiting", queued),
        "partitions": make.signal("partitions", 12.0),
    }
    return Situation(
        now=NOW,
        tick_s=TICK_S,
        workload=make.workload(),
        signals={**made, **signals},
        forecast=None,
        state=state or TargetState(uid="u"),
        replica_usd_per_hour=None,
    )


def test_what_waits_asks_for_more_than_what_arrives():
    wish = proposal(policy(), seen(30_000.0))
    # 8 ready carry 400/s: 10/s less wait each second of the 85 s until help comes; the rest is gone in 515 s more
    rate = (30_000.0 - 10.0 * 85.0) / 515.0
    assert wish.change.after == wish.need.backlog == wish.need.reactive == math.ceil((390.0 + rate) / 50.0)
    assert "30k wait, to be gone in 600 s" in wish.reason


def test_an_empty_queue_asks_for_nothing():
    wish = proposal(policy(), seen(0.0))
    assert (wish.change.after, wish.need.backlog, wish.need.drain_by) == (8, 0, math.inf)


@pytest.mark.parametrize(("queued", "wanted"), [(60_000.0, [11, 8, 8]), (0.0, [8, 8, 8])])
def test_workers_in_full_use_while_they_drain_are_as_many_as_the_date_asks_for(queued, wanted):
    objective = Objective(demand="demand", per_replica=None, utilisation="use", backlog=MAILS)
    signals = {name: make.spec(name) for name in ("demand", "waiting", "partitions", "use")}
    pods = (1.0, 8.0, 64.0, 512.0)
    learnt = Capacity(pods=pods, carried=tuple(50.0 * one for one in pods), busy=50.0, doubt_ratio=0.02, learned=True)
    asked = []
    for ready in (8, 24, 40):
        running = make.workload(replicas=ready, ready=ready)
        full = replace(seen(queued, use=make.signal("use", 1.0)), workload=running, capacity=learnt)
        wish = proposal(make.policy(objective=objective, signals=signals), full)
        asked.append(wish.change.after)
        assert "no forecast" not in wish.reason
    assert asked == wanted


def test_more_consumers_than_partitions_would_be_idle():
    assert proposal(policy(partitions=12), seen(1e6)).change.after == 12


def test_partitions_by_a_signal_that_is_not_there_are_no_limit():
    absent = make.signal("partitions", state=SignalState.ABSENT)
    wanted = [
        proposal(policy(partitions="partitions"), seen(1e6)).change.after,
        proposal(policy(partitions="partitions"), seen(1e6, partitions=absent)).change.after,
    ]
    assert wanted[0] == 12
    assert wanted[1] > 12


@pytest.mark.parametrize("said", [1.0, 2.0, 7.4])
def test_partitions_by_a_signal_that_says_fewer_than_what_runs_stop_growth_and_cut_nothing_s5(said):
    # 390/s need 8 of 50/s each, which is what runs
    fallen = make.signal("partitions", said)
    assert proposal(policy(partitions="partitions"), seen(0.0, partitions=fallen)).change.after == 8
    assert proposal(policy(partitions="partitions"), seen(1e6, partitions=fallen)).change.after == 8
    # what is not needed goes all the same
    quiet = make.signal("demand", 90.0)
    assert proposal(policy(partitions="partitions"), seen(0.0, partitions=fallen, demand=quiet)).change.after == 2


def test_partitions_that_the_author_wrote_hold_whatever_runs():
    assert proposal(policy(partitions=4), seen(1e6)).change.after == 4


def test_a_backlog_alone_asks_for_more_while_demand_is_not_known_and_never_for_less():
    blind = make.signal("demand", state=SignalState.ABSENT)
    assert proposal(policy(), seen(300_000.0, demand=blind)).change.after > 8
    little = proposal(policy(), seen(7_000.0, demand=blind))
    assert (little.change.after, little.need.reactive) == (8, None)


def test_a_date_that_stands_is_kept_while_what_waits_is_not_known():
    absent = make.signal("waiting", state=SignalState.ABSENT)
    state = TargetState(uid="u", drain_by=NOW + 60.0)
    assert proposal(policy(), seen(0.0, state=state, waiting=absent)).need.drain_by == NOW + 60.0


def test_a_date_moves_along_with_a_clock_that_was_stepped_back():
    state = TargetState(uid="u", last_out_at=NOW, drain_by=NOW + 60.0)
    assert in_time(state, NOW - 3600.0).drain_by == NOW - 3540.0


def turned(state: LoopState, at: float) -> Decisions:
    """Return what is decided at an instant with 30,000 waiting, by 8 that run."""
    answers = {name: make.answer(value) for name, value in (("demand", 390.0), ("waiting", 30_000.0))}
    shown = {name: replace(one, newest_at=at) for name, one in answers.items()}
    shot = make.snapshot(at=at, answers={make.KEY: shown}, workloads={make.TARGET.key: make.workload(as_of=at)})
    policies = PolicySet(digest="p", scaling=(policy(),))
    return decide(state, Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))


def need_of(done: Decisions) -> Need:
    verdict = done.tick.decisions[0].verdict
    assert verdict is not None
    return verdict.proposal.need


@pytest.mark.parametrize("step_s", [0.0, -20.0, -3600.0, -86_400.0 * 400])
def test_a_backlog_is_drained_by_its_date_over_restarts_and_clocks_stepped_back(step_s):
    begun = turned(LoopState(), NOW)
    due = need_of(begun).drain_by
    assert due == NOW + 600.0
    # nothing but what was stored is known after a restart
    restarted = from_text(to_text(begun.state), LoopState)
    # of the ten minutes as much is left as before, less a tick where the clock went on
    later = need_of(turned(restarted, NOW + TICK_S + step_s))
    left_s = later.drain_by - (NOW + TICK_S + step_s)
    assert 585.0 <= left_s <= 600.0
    assert need_of(begun).backlog <= later.backlog <= need_of(begun).backlog * 1.1


@pytest.mark.parametrize("gap_s", [900.0, 86_400.0])
def test_what_nobody_drained_while_the_process_was_away_is_overdue_and_not_begun_anew(gap_s):
    begun = turned(LoopState(), NOW)
    later = need_of(turned(from_text(to_text(begun.state), LoopState), NOW + gap_s))
    assert later.drain_by == NOW + 600.0
    assert later.backlog > need_of(begun).backlog


@pytest.mark.parametrize(("per_replica", "demand"), [(1e-300, 1e308), (50.0, 1.7e308), (1e-300, 390.0)])
def test_a_demand_beyond_all_bounds_is_a_wish_like_any_other(per_replica, demand):
    objective = Objective(demand="demand", per_replica=per_replica, backlog=MAILS)
    signals = {name: make.spec(name) for name in ("demand", "waiting")}
    endless = seen(1e308, demand=make.signal("demand", demand))
    wish = proposal(make.policy(objective=objective, signals=signals), endless)
    assert wish.change.after == 10**9


@pytest.mark.parametrize(
    ("demand", "each", "consumers"), [(1.0, 1e308, 10), (1e308, 1e308, 10), (math.inf, math.inf, 24)]
)
def test_what_carries_beyond_all_bounds_is_shared_too(demand, each, consumers):
    # what no number can say is what is safe: all who can share
    assert sharing(10, demand, each, 24) == consumers


def test_a_use_beyond_all_bounds_is_a_wish_and_no_bug():
    objective = Objective(demand="demand", per_replica=None, utilisation="use", slo=None)
    signals = {"demand": make.signal(), "use": make.signal("use", 1e308)}
    full = Situation(
        now=NOW,
        tick_s=TICK_S,
        workload=make.workload(),
        signals=signals,
        forecast=None,
        state=TargetState(),
        replica_usd_per_hour=None,
    )
    assert proposal(make.policy(objective=objective), full).change.after == 10**9


def test_a_forecast_below_all_bounds_wants_nothing_more():
    assert replicas_for(-1e308, 1e-300) == 0


def test_a_nowcast_with_an_error_beyond_all_bounds_is_carried_by_as_many_as_there_are():
    soon = Nowcast(
        policy=make.KEY,
        at=NOW,
        horizons_s=(60.0, 120.0),
        demand=(0.0, 10.0),
        error_ratio=(1.0, 1e300),
        margin=1e10,
        skill=0.5,
        acts=True,
    )
    assert soon.upper[0] == 0.0
    assert soon.upper[1] > 1e300
