"""What pods carry, learnt from queues whose truth is known; and what comes of measurements that cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from aiops.core.capacity import PODS, SLOTS, Capacities, Load
from aiops.core.capacity.learner import FALL_RATIO, MOST_FACTOR, PRIOR_FULL_RATIO
from aiops.core.capacity.queue import CURVES, RHO, fullest
from aiops.core.queueing import response_quantile, wait_probability

SLO_S = 0.25
HALF_A_DAY = 2880


class Service:
    """An M/M/c service in the steady state: pods of so many slots, each busy for `service_s` with a request."""

    def __init__(self, slots: int, service_s: float) -> None:
        self.slots, self.service_s = slots, service_s

    def rate(self, pods: int, use: float) -> float:
        return use * pods * self.slots / self.service_s

    def p95_s(self, pods: int, use: float) -> float:
        servers = float(pods * self.slots)
        drain = servers / self.service_s * (1.0 - use)
        return response_quantile(0.95, self.service_s, drain, wait_probability(servers, use))

    def carries(self, pods: int) -> float:
        """Return the greatest rate within the SLO, by halving."""
        low, high = 0.0, 0.9999
        for _ in range(50):
            middle = (low + high) / 2.0
            low, high = (middle, high) if self.p95_s(pods, middle) <= SLO_S else (low, middle)
        return self.rate(pods, low)


def load(rate: float, use: float, p95_s: float, pods: float, *, learn: bool = True) -> Load:
    return Load(
        rate=np.array([rate]),
        util=np.array([use]),
        p95_s=np.array([p95_s]),
        ready=np.array([float(pods)]),
        learn=np.array([learn]),
    )


def taught(service: Service, uses: Sequence[float], steps: int, pods: int = 10, noise: float = 0.03) -> Capacities:
    chance = np.random.default_rng(7)
    learner = Capacities(np.array([SLO_S]))
    for step in range(steps):
        use = uses[step % len(uses)]
        off = np.exp(noise * chance.normal(size=3))
        seen_use = min(use * off[0], 0.999)
        learner.learn(load(service.rate(pods, use) * off[1], seen_use, service.p95_s(pods, use) * off[2], pods))
    return learner


def at(learner: Capacities, pods: int) -> float:
    return float(np.interp(pods, PODS, learner.carried()[0]))


SERVICES = [
    Service(1, 0.02),
    Service(1, 0.05),
    Service(4, 0.05),
    Service(8, 0.06),
    Service(16, 0.07),
    Service(64, 0.04),
]


def named(service: Service) -> str:
    return f"{service.slots} slots of {service.service_s:g} s"


@pytest.mark.parametrize("service", SERVICES, ids=named)
def test_once_there_was_load_near_the_knee_what_pods_carry_is_known_to_three_percent(service):
    knee = service.carries(10) / service.rate(10, 1.0)
    learner = taught(service, np.linspace(0.5 * knee, 0.99 * knee, 37).tolist(), 1500)
    assert learner.learned.all()
    for pods in (6, 8, 10, 12, 16):
        assert at(learner, pods) / service.carries(pods) == pytest.approx(1.0, abs=0.03), pods


@pytest.mark.parametrize("service", SERVICES, ids=named)
def test_from_an_idle_service_no_more_is_promised_than_there_is(service):
    learner = taught(service, [0.15, 0.2, 0.25], 500)
    assert learner.learned.all()
    assert at(learner, 10) <= 1.05 * service.carries(10)


def test_before_it_is_learnt_nothing_is_said():
    learner = taught(Service(4, 0.05), [0.5], 39)
    assert not learner.learned.any()
    assert taught(Service(4, 0.05), [0.5], 40).learned.all()


def test_while_young_a_pod_is_not_believed_to_be_fuller_than_the_prior():
    learner = taught(Service(64, 0.01), [0.3], 30)
    assert np.nanmax(learner.carried() / (learner.busy[:, None] * PODS)) <= PRIOR_FULL_RATIO


def test_more_pods_carry_more_and_each_of_them_not_less():
    carried = taught(Service(2, 0.05), [0.3, 0.5, 0.7], 800).carried()[0]
    assert (np.diff(carried) > 0).all()
    assert (np.diff(carried / PODS) >= -1e-9).all()


# -- falls fast, rises on evidence (S5) -------------------------------------------------------------------


def settled_at_the_limit(slots: int = 4, service_s: float = 0.05) -> tuple[Service, Capacities, float]:
    service = Service(slots, service_s)
    knee = service.carries(10) / service.rate(10, 1.0)
    learner = taught(service, np.linspace(0.5 * knee, 0.99 * knee, 37).tolist(), 1500, noise=0.0)
    return service, learner, at(learner, 10) / service.rate(10, 1.0)


def test_an_slo_that_breaks_below_the_limit_lowers_it_at_once_s5():
    service, learner, full = settled_at_the_limit()
    before = learner.factor.copy()
    use = 0.8 * full
    learner.learn(load(service.rate(10, use), use, 1.2 * SLO_S, 10))
    assert learner.factor / before == pytest.approx(1.0 - FALL_RATIO)
    learner.learn(load(service.rate(10, use), use, 1.2 * SLO_S, 10))
    assert learner.factor / before == pytest.approx(1.0 - FALL_RATIO), "a line that drains is not broken again"


def test_a_break_that_is_looked_away_from_for_a_step_is_still_the_same_one():
    service, learner, full = settled_at_the_limit()
    before, use = learner.factor.copy(), 0.8 * full
    for p95_s in (1.2 * SLO_S, math.nan, 1.2 * SLO_S):
        learner.learn(load(service.rate(10, use), use, p95_s, 10))
    assert learner.factor / before == pytest.approx(1.0 - FALL_RATIO)


def test_an_slo_that_holds_near_the_limit_raises_it_slowly_and_only_there_s5():
    service, learner, full = settled_at_the_limit()
    before = learner.factor.copy()
    for _ in range(200):
        learner.learn(load(service.rate(10, 0.5 * full), 0.5 * full, 0.6 * SLO_S, 10))
    assert learner.factor == before
    for _ in range(HALF_A_DAY):
        use = 0.99 * float(learner.factor[0] * learner._at(np.array([10.0]))[0])
        learner.learn(load(service.rate(10, use), use, 0.9 * SLO_S, 10))
    assert 1.0 < float((learner.factor / before)[0]) <= 1.13


def test_no_amount_of_evidence_raises_it_beyond_its_bound_s5():
    service, learner, _ = settled_at_the_limit(slots=1, service_s=0.07)
    learner.factor[:] = MOST_FACTOR * 0.9999
    for _ in range(20):
        use = min(0.97, 0.99 * float(learner.factor[0] * learner._at(np.array([10.0]))[0]))
        learner.learn(load(service.rate(10, use), use, 0.9 * SLO_S, 10))
    assert learner.factor[0] == MOST_FACTOR


# -- requests that cost more, or less ---------------------------------------------------------------------


def lived(learner: Capacities, dearer: float, use: float, steps: int, noise: float = 0.05) -> Capacities:
    """Let ten pods of a service of 80 a second each live on, used so much by requests that cost so much more."""
    chance = np.random.default_rng(3)
    for _ in range(steps):
        off = np.exp(noise * chance.normal(size=2))
        learner.learn(load(use * 800.0 / dearer * off[0], min(use * off[1], 1.0), 0.1 if use < 1.0 else 3.0, 10))
    return learner


@pytest.mark.parametrize("use", [0.3, 0.7, 1.0])
def test_requests_that_become_dearer_are_seen_within_ten_minutes_however_full_pods_are_s5(use):
    learner = lived(lived(Capacities(np.array([SLO_S])), 1.0, 0.7, HALF_A_DAY), 1.6, use, 40)
    assert float(learner.busy[0]) <= 1.15 * 50.0
    assert float(lived(learner, 1.6, use, 40).busy[0]) == pytest.approx(50.0, rel=0.07)


def test_noise_is_no_fall():
    learner = lived(Capacities(np.array([SLO_S])), 1.0, 0.7, 3 * HALF_A_DAY, noise=0.1)
    assert float(learner.busy[0]) == pytest.approx(80.0, rel=0.02)


def test_pods_that_seem_to_do_more_raise_nothing_while_they_are_hardly_used_s5():
    learner = lived(Capacities(np.array([SLO_S])), 1.0, 0.3, HALF_A_DAY)
    before = float(learner.busy[0])
    lived(learner, 0.5, 0.2, HALF_A_DAY)
    assert before <= float(learner.busy[0]) <= 1.05 * before
    lived(learner, 0.5, 0.7, HALF_A_DAY)
    assert float(learner.busy[0]) == pytest.approx(160.0, rel=0.05)


def test_a_checkpoint_of_before_knows_nothing_of_what_was_lately():
    learner = lived(Capacities(np.array([SLO_S])), 1.0, 0.7, 200)
    arrays = {name: one for name, one in learner.arrays().items() if name != "lately"}
    other = Capacities(np.array([SLO_S]))
    other.take(arrays, np.array([0]), np.array([0]))
    np.testing.assert_array_equal(other.carried(), learner.carried())
    assert other.lately[0] == 0.0


# -- what is not learnt from --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen",
    [
        load(100.0, 0.0, 0.1, 10),
        load(100.0, math.nan, 0.1, 10),
        load(100.0, 1.4, 0.1, 10),
        load(100.0, math.inf, 0.1, 10),
        load(100.0, 0.5, 0.1, 0),
        load(math.nan, 0.5, 0.1, 10),
        load(0.0, 0.5, 0.1, 10),
        load(-3.0, 0.5, 0.1, 10),
        load(math.inf, 0.5, 0.1, 10),
        load(100.0, 0.5, 0.1, 10, learn=False),
    ],
    ids=["idle", "use unknown", "over-used", "use infinite", "none ready", "rate unknown", "no rate", "negative rate",
         "rate infinite", "while pods change"],
)  # fmt: skip
def test_a_step_that_says_nothing_teaches_nothing(seen):
    learner, other = (taught(Service(4, 0.05), [0.5, 0.7], 200) for _ in range(2))
    for _ in range(5):
        learner.learn(seen)
    np.testing.assert_array_equal(learner.carried(), other.carried())
    fresh = Capacities(np.array([SLO_S]))
    for _ in range(60):
        fresh.learn(seen)
    assert not fresh.learned.any()
    assert np.isnan(fresh.busy).all()


@pytest.mark.parametrize("p95_s", [math.nan, 0.0, -1.0, math.inf])
def test_without_a_latency_the_rate_of_a_pod_is_learnt_and_what_it_carries_is_not(p95_s):
    learner = Capacities(np.array([SLO_S]))
    for _ in range(100):
        learner.learn(load(400.0, 0.5, p95_s, 10))
    assert learner.busy == pytest.approx(80.0)
    assert not learner.learned.any()


def test_an_slo_that_not_even_an_idle_pod_keeps_sizes_nothing():
    learner = taught(Service(4, 0.2), [0.2, 0.3, 0.4], 400)
    assert Service(4, 0.2).p95_s(10, 0.01) > SLO_S
    assert not learner.learned.any()


def test_whatever_is_measured_a_capacity_that_counts_is_finite_and_above_zero():
    chance = np.random.default_rng(3)
    rows = 40
    learner = Capacities(np.full(rows, SLO_S))
    odd = np.array([0.0, -1.0, 1e-12, 1.0, 1e12, math.nan, math.inf, 0.3, 0.7, 0.05])
    for step in range(300):
        usual = step % 3 > 0
        seen = Load(
            rate=chance.uniform(10, 1000, rows) if usual else chance.choice(odd, rows),
            util=chance.uniform(0, 1, rows) if usual else chance.choice(odd, rows),
            p95_s=chance.uniform(0.01, 1, rows) if usual else chance.choice(odd, rows),
            ready=chance.integers(0, 700, rows).astype(float),
            learn=chance.uniform(size=rows) < 0.9,
        )
        with np.errstate(all="raise"):
            learner.learn(seen)
    carried = learner.carried()[learner.learned]
    assert learner.learned.any()
    assert np.isfinite(carried).all()
    assert (carried > 0).all()
    assert (np.diff(carried, axis=1) >= 0).all()


# -- rows and checkpoints ---------------------------------------------------------------------------------


def some_load(rows: int, step: int) -> Load:
    chance = np.random.default_rng(step)
    use = chance.uniform(0.1, 0.95, rows)
    return Load(
        rate=use * 10 * np.arange(1, rows + 1) * 20.0,
        util=use,
        p95_s=0.05 + 0.02 / (1.0 - use) * chance.uniform(0.9, 1.1, rows),
        ready=np.full(rows, 10.0),
        # rows begin at different times, so that some are young while others are old
        learn=np.arange(rows) * 30 <= step,
    )


def row_of(seen: Load, row: int) -> Load:
    return Load(**{name: getattr(seen, name)[row : row + 1] for name in ("rate", "util", "p95_s", "ready", "learn")})


def test_rows_do_not_know_of_each_other():
    together = Capacities(np.full(5, SLO_S))
    alone = [Capacities(np.full(1, SLO_S)) for _ in range(5)]
    for step in range(260):
        seen = some_load(5, step)
        together.learn(seen)
        for row, one in enumerate(alone):
            one.learn(row_of(seen, row))
    np.testing.assert_allclose(together.carried(), np.concatenate([one.carried() for one in alone]), rtol=1e-12)


def test_a_checkpoint_goes_on_exactly_where_it_was():
    before = Capacities(np.full(3, SLO_S))
    for step in range(171):
        before.learn(some_load(3, step))
    after = Capacities(np.full(2, SLO_S))
    kept = {name: array.copy() for name, array in before.arrays().items()}
    after.take(kept, np.array([0, 1]), np.array([2, 0]))
    for step in range(171, 240):
        seen = some_load(3, step)
        before.learn(seen)
        after.learn(Load(**{n: getattr(seen, n)[[2, 0]] for n in ("rate", "util", "p95_s", "ready", "learn")}))
    np.testing.assert_array_equal(after.carried(), before.carried()[[2, 0]])


def test_the_fullest_use_is_the_last_of_the_curve_that_is_within_the_limit():
    chance = np.random.default_rng(5)
    limits = chance.uniform(0.5, 6.0, (20, len(SLOTS)))
    found = fullest(limits)
    rising = np.maximum.accumulate(CURVES, axis=2)
    counted = (rising[None] <= limits[:, :, None, None]).sum(axis=3)
    np.testing.assert_array_equal(found, np.concatenate([[0.0], RHO])[counted])
    assert (fullest(np.full((1, len(SLOTS)), -50.0)) == 0.0).all()
    assert (fullest(np.full((1, len(SLOTS)), 50.0)) == RHO[-1]).all()
