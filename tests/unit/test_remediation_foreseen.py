"""What is told by numbers: a release that is worse, a limit that will be reached."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from aiops.core.decide.remediation.objects import ending
from aiops.core.decide.remediation.regression import Null, Rates, compared, p_value
from aiops.core.decide.remediation.trend import reached
from aiops.core.model import Coverage, Reason, RolloutState, SeenObject
from tests.unit.remedied import CRASHES, START, TARGET, World, a_policy

TICK_S, RATE_RPS = 15.0, 20.0


def counted(chance: random.Random, rate: float, failing: float) -> float:
    """Return the rate of failed requests of one tick, as it would be counted."""
    requests = round(rate * TICK_S)
    return sum(chance.random() < failing for _ in range(requests)) / TICK_S


def rolled_out(seed: int, old: float, new: float, ticks: int = 120, worse_by: float = 1.0) -> list[float]:
    """Return the p-values of a rollout in which the new revision takes over a quarter of the requests."""
    chance, state, seen = random.Random(seed), RolloutState(new="b", old="a", since=START), []
    for tick in range(ticks):
        rates = Rates(
            new_bad=counted(chance, RATE_RPS / 4, new),
            new_total=RATE_RPS / 4,
            old_bad=counted(chance, 3 * RATE_RPS / 4, old),
            old_total=3 * RATE_RPS / 4,
        )
        state = compared(state, rates, START + TICK_S * tick, Null(worse_by))
        seen.append(state.p_value)
    return seen


def test_a_release_that_is_no_worse_is_hardly_ever_blamed_though_it_is_looked_at_all_the_time():
    blamed = sum(rolled_out(seed, 0.02, 0.02)[-1] <= 0.05 for seed in range(200))
    assert blamed <= 10  # 5 % of 200, by Ville's inequality; less, since failures count half


def test_a_release_that_is_ten_times_as_bad_is_found_within_minutes():
    late = [sum(one > 0.01 for one in rolled_out(seed, 0.01, 0.10)) * TICK_S for seed in range(20)]
    assert max(late) < 900.0
    assert sorted(late)[10] < 400.0


def test_what_hurts_both_is_blamed_on_neither():
    blamed = sum(rolled_out(seed, 0.5, 0.5)[-1] <= 0.05 for seed in range(50))
    assert blamed <= 2


def test_worse_by_less_than_what_is_allowed_is_no_regression():
    assert all(rolled_out(seed, 0.02, 0.03, worse_by=3.0)[-1] > 0.2 for seed in range(20))


def test_a_better_release_is_never_worse():
    assert all(rolled_out(seed, 0.10, 0.01)[-1] == 1.0 for seed in range(5))


@pytest.mark.parametrize("bad", [math.nan, -1.0, math.inf])
def test_s1_what_is_no_number_is_no_evidence(bad):
    state = RolloutState(new="b", old="a", since=START, at=START)
    for rates in (
        Rates(new_bad=bad, new_total=1.0, old_bad=0.0, old_total=1.0),
        Rates(new_bad=1.0, new_total=1.0, old_bad=0.0, old_total=bad),
        Rates(new_bad=1.0, new_total=1.0, old_bad=0.0, old_total=0.0),
    ):
        assert compared(state, rates, START + 15.0, Null()).p_value == 1.0


def test_a_gap_between_looks_counts_no_more_than_two_minutes():
    rates = Rates(new_bad=1.0, new_total=1.0, old_bad=0.0, old_total=1.0)
    state = RolloutState(new="b", old="a", since=START, at=START)
    assert compared(state, rates, START + 86_400.0, Null()).new_bad == 120.0


WINDOW_S = 60.0


@dataclass
class Changing:
    """A rollout second by second, looked at every 15 s through rates over a minute. shares: that fail, by second.

    Pods of the new revision serve `part` of all from second 5 on; the old one is gone after `gone` s. ends: whether
    containers of the new one do.
    """

    fails: Callable[[int], tuple[float, float]]
    seed: int = 0
    part: float = 0.3
    gone: int = 900
    ends: bool = False
    rate_rps: float = 120.0
    counts: list[tuple[int, int, int, int]] = field(default_factory=list)
    state: RolloutState = field(default_factory=lambda: RolloutState(new="b", old="a", since=START))

    def p_values(self, length_s: int = 300) -> list[float]:
        chance = np.random.default_rng(self.seed)
        found = []
        for second in range(-60, length_s):
            new, old = self.fails(second)
            part = 0.0 if second < 5 else 1.0 if second >= self.gone else self.part
            asked = chance.poisson(self.rate_rps * part), chance.poisson(self.rate_rps * (1.0 - part))
            self.counts.append((chance.binomial(asked[0], new), asked[0], chance.binomial(asked[1], old), asked[1]))
            if second > 0 and (second + 1) % 15 == 0:
                sums = np.sum(self.counts[-int(WINDOW_S) :], axis=0) / WINDOW_S
                rates = Rates(new_bad=sums[0], new_total=sums[1], old_bad=sums[2], old_total=sums[3], ends=self.ends)
                self.state = compared(self.state, rates, START + second + 1, Null(1.5, WINDOW_S))
                found.append(self.state.p_value)
        return found


def test_an_outage_that_begins_while_pods_change_over_is_nobody_s_fault():
    def hit(begins: int, share: float) -> Callable[[int], tuple[float, float]]:
        return lambda second: (share, share) if second >= begins else (0.005, 0.005)

    begins = [(seed, 2 + seed % 40, (0.2, 0.5, 1.0)[seed % 3], (900, 35, 60)[seed // 3 % 3]) for seed in range(90)]
    blamed = [one for one in begins if Changing(hit(one[1], one[2]), one[0], gone=one[3]).p_values()[-1] <= 0.01]
    assert blamed == []


def test_a_bad_release_is_found_at_the_second_look_that_has_seen_both_though_rates_look_back_a_minute():
    found = [Changing(lambda _: (0.1, 0.005), seed).p_values() for seed in range(20)]
    assert [next(n for n, p in enumerate(one, 1) if p <= 0.01) for one in found] == [2] * 20


def test_a_bad_release_is_found_in_the_middle_of_an_outage_too():
    found = [Changing(lambda _: (0.6, 0.2), seed).p_values()[-1] for seed in range(10)]
    assert max(found) <= 0.01


def test_where_one_revision_serves_alone_there_is_nothing_to_compare_it_with_but_that_its_own_containers_end():
    def fails(second: int) -> tuple[float, float]:
        return (0.5, 0.5) if second >= 40 else (0.005, 0.005)

    assert Changing(fails, gone=25).p_values()[-1] > 0.01
    assert Changing(fails, gone=25, ends=True).p_values()[-1] <= 0.01


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("gone", [25, 35, 60, 95])
def test_no_request_is_evidence_twice_though_containers_of_the_release_end(gone, ends):
    better = Changing(lambda second: (0.1 if second < gone else 0.0, 0.02), gone=gone, ends=ends)
    assert better.p_values()[-1] <= 0.01
    assert better.state.new_bad <= 1.01 * sum(one[0] for one in better.counts)


def test_containers_that_end_long_after_the_old_revision_went_say_nothing_against_the_release():
    def fails(second: int) -> tuple[float, float]:
        return (0.5, 0.5) if second >= 150 else (0.005, 0.005)

    assert Changing(fails, gone=60, ends=True).p_values()[-1] > 0.01


def test_a_clock_that_is_set_back_after_a_rollout_was_seen_is_waited_for():
    rates = Rates(new_bad=5.0, new_total=10.0, old_bad=0.0, old_total=90.0)
    state = RolloutState(new="b", old="a", since=START)
    for at in (-30.0, 0.0, 15.0, 30.0, 45.0, 60.0):
        state = compared(state, rates, START + at, Null(1.5, WINDOW_S))
    assert [one.end - START for one in state.new_pieces] == [15.0, 30.0, 45.0, 60.0]
    assert state.p_value <= 0.01


@pytest.mark.parametrize(
    ("revision", "code", "part", "counts"),
    [("b", 1, "lastState", True), ("b", 1, "state", True), ("b", 0, "lastState", False), ("a", 1, "lastState", False)],
)
def test_pods_of_a_revision_whose_container_ended_not_well_are_counted(revision, code, part, counts):
    body = {
        "metadata": {"labels": {"pod-template-hash": revision}},
        "status": {"containerStatuses": [{"name": "main", part: {"terminated": {"exitCode": code}}}]},
    }
    pod = SeenObject(ref=TARGET, uid="u", resource_version="1", as_of=START, body=body)
    assert ending([pod], "b") == int(counts)


def test_evidence_is_averaged_over_the_mixture():
    assert p_value(()) == 1.0
    assert p_value((math.log(1000.0), -1000.0)) == pytest.approx(2.0 / 1000.0)


REGRESSION = CRASHES.replace(
    "[{condition: CrashLoop}]",
    """
    - condition: RolloutRegression
      bad: 'sum(rate(http_requests_total{app="checkout",pod_template_hash="$(revision)",code=~"5.."}[1m]))'
      total: 'sum(rate(http_requests_total{app="checkout",pod_template_hash="$(revision)"}[1m]))'
""",
).replace("    - {do: restart, within: 3m}\n", "")


def in_rollout(text: str = REGRESSION) -> World:
    """Return a world whose second revision is on its way: the first has a pod left."""
    world = World(policy=a_policy(text))
    first = next(body for ref, body in world.objects.values() if ref.name == "checkout-r1")
    first["spec"]["replicas"] = 1
    return world


def test_queries_of_revisions_are_asked_with_their_hashes_and_only_while_two_serve():
    world = in_rollout()
    assert world.policy.asked(None) == ()
    world.run(30.0)
    asked = {one.name: one for one in world.policy.asked(world.state.ladders[world.policy.key])}
    assert set(asked) == {"new_bad", "new_total", "old_bad", "old_total"}
    assert 'pod_template_hash="r2"' in asked["new_bad"].expr
    assert 'pod_template_hash="r1"' in asked["old_total"].expr
    assert not [
        text for one in asked.values() for text in (one.expr, *one.age_exprs, *one.coverage_exprs) if "$(" in text
    ]


def test_a_worse_revision_is_rolled_back_and_an_equal_one_is_left_alone():
    world = in_rollout()
    world.values = {"new_bad": 1.0, "new_total": 5.0, "old_bad": 0.1, "old_total": 5.0}
    world.run(400.0)
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]
    assert "p = " in world.plans[0].reason
    equal = in_rollout()
    equal.values = {"new_bad": 0.1, "new_total": 5.0, "old_bad": 0.1, "old_total": 5.0}
    equal.run(1200.0)
    assert equal.did() == []


def test_s1_failures_that_are_not_known_are_no_failures_of_nobody():
    known = {"new_bad": 1.0, "new_total": 5.0, "old_bad": 0.1, "old_total": 5.0}
    for name, value, blamed in (
        ("old_bad", "timed out", False),
        ("new_bad", "timed out", False),
        ("old_bad", None, True),
    ):
        world = in_rollout()
        world.values = known
        world.run(30.0)
        world.values = {**known, name: value}
        world.run(400.0)
        assert (world.did() != []) is blamed, (name, value)


def test_s1_pods_of_revisions_come_and_go_in_a_rollout_and_their_rates_count():
    world = in_rollout()
    world.values = {"new_bad": 1.0, "new_total": 5.0, "old_bad": 0.1, "old_total": 5.0}
    world.coverage = dict.fromkeys(world.values, Coverage(series=3, targets=6, up=6))
    world.run(30.0)
    world.coverage = dict.fromkeys(world.values, Coverage(series=1, targets=6, up=4))
    world.run(370.0)
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_a_revision_that_is_worse_for_sure_is_not_watched_for_longer_and_other_trouble_is():
    text = REGRESSION.replace("forAtLeast: 60s", "forAtLeast: 10m")
    world = in_rollout(text)
    world.values = {"new_bad": 1.0, "new_total": 5.0, "old_bad": 0.1, "old_total": 5.0}
    world.run(240.0)
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_a_restart_is_no_new_revision_to_be_compared():
    world = World(policy=a_policy(REGRESSION))
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    world.patch(TARGET, {"spec": {"template": {"metadata": {"annotations": annotations}}}})
    for ref, body in world.objects.values():
        if ref.name == "checkout-r2":
            body["spec"]["replicas"] = 1
    world.run(60.0)
    assert world.state.ladders[world.policy.key].rollout.old == ""


# -- what is used up -----------------------------------------------------------------------------------


def rising(per_hour: float, hours: float, noise: float = 0.0, seed: int = 1) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [
        (START + 60.0 * n, 100.0 + per_hour * n / 60.0 + chance.gauss(0.0, noise)) for n in range(int(60 * hours) + 1)
    ]


def test_a_steady_leak_is_foretold_with_its_interval():
    found = reached(rising(50.0, 4.0, noise=5.0), 500.0, 1800.0)
    assert found is not None
    assert found.middle_s == pytest.approx(4.0 * 3600.0, rel=0.1)
    assert found.soonest_s <= found.middle_s <= found.latest_s < 5.0 * 3600.0


def test_noise_reaches_no_limit_for_sure():
    found = reached(rising(0.0, 4.0, noise=20.0), 500.0, 1800.0)
    assert found is not None
    assert found.latest_s == math.inf


def test_outliers_move_no_trend():
    history = rising(50.0, 4.0)
    wild = [(at, 1e6 if n % 9 == 4 else value) for n, (at, value) in enumerate(history)]
    found = reached(wild, 500.0, 1800.0)
    assert found is not None
    assert found.middle_s == pytest.approx(4.0 * 3600.0, rel=0.1)


@pytest.mark.parametrize("history", [[], rising(50.0, 0.2), [(START, math.nan)] * 100])
def test_too_little_foretells_nothing(history):
    assert reached(history, 500.0, 1800.0) is None


LEAK = CRASHES.replace(
    "when: [{condition: CrashLoop}]",
    "signals: {memory: {query: sum(memory)}}\n"
    "  when: [{condition: MemoryLeak, signal: memory, limit: 500, within: 2h}]",
)


def test_a_leak_is_restarted_before_its_limit_and_not_hours_before():
    world = World(policy=a_policy(LEAK))
    grown = 100.0
    begun = START
    while world.now - START < 9 * 3600.0 and not world.did():
        grown = 100.0 + 50.0 * (world.now - begun) / 3600.0
        world.values = {"memory": grown}
        world.turn()
    assert world.did() == ["Deployment shop/checkout: restart"]
    assert 390.0 < grown < 420.0


def test_a_certificate_is_renewed_in_time():
    spec = CRASHES.replace(
        "when: [{condition: CrashLoop}]",
        "signals: {left: {query: sum(left)}}\n  when: [{condition: CertificateExpiry, signal: left, within: 7d}]",
    )
    world = World(policy=a_policy(spec), values={"left": 8 * 86400.0})
    world.run(300.0)
    assert world.did() == []
    world.values = {"left": "no answer"}
    world.run(300.0)
    assert world.said[:2] == ("wait", Reason.INCONCLUSIVE)
    world.values = {"left": 6.5 * 86400.0}
    world.run(120.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
