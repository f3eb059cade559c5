"""Bad input to the adapters by which others judge the shipped scaler and forecaster: defined, and told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.external import Forecaster, Scaler
from benchmarks.external_forecaster import LEVELS

SLO_S, STARTUP_S, HOUR_STEPS = 0.25, 60.0, 240
YEAR = 365 * 24

HISTORIES = {
    "nothing": (np.empty(0), 15.0),
    "one point": (np.array([300.0]), 15.0),
    "ten points": (np.linspace(300.0, 390.0, 10), 15.0),
    "constant": (np.full(HOUR_STEPS, 300.0), 15.0),
    "all missing": (np.full(HOUR_STEPS, np.nan), 15.0),
    "a year of gaps": (np.concatenate([np.full(4, 300.0), np.full(YEAR, np.nan), np.full(4, 300.0)]), 3600.0),
    "negative": (np.full(HOUR_STEPS, -300.0), 15.0),
    "infinite": (np.where(np.arange(HOUR_STEPS) % 7 == 0, np.inf, 300.0), 15.0),
}

SAMPLE = {"rps": 300.0, "util": 0.6, "p95": 0.1, "inflight": 30.0, "dropped": 0.0, "backlog": 0.0, "ready": 8}


@pytest.fixture(autouse=True)
def an_hour_is_lived_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of it takes seconds, and says no more here."""
    monkeypatch.setattr("aiops.core.lookahead.REPLAYED_S", 3600.0)


def fitted(history: tuple[np.ndarray, float] = HISTORIES["nothing"]) -> Scaler:
    made = Scaler()
    made.fit(history[0], history[1], STARTUP_S, SLO_S)
    return made


def asked(scaler: Scaler, steps: int, current: int = 8, first: int = 0, **sample: float) -> list[int]:
    """Return what is decided in so many steps of the same sample, and go where it says."""
    said = []
    for step in range(first, first + steps):
        wanted = scaler.decide({**SAMPLE, "t": 15.0 * step, **sample}, current, current)
        assert isinstance(wanted, int)
        assert not scaler.last.bug, scaler.last.bug
        said.append(wanted)
        current = wanted
    return said


@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_the_history_it_decides_and_drops_nobody_who_is_used(name: str) -> None:
    assert all(8 <= wanted <= 10 for wanted in asked(fitted(HISTORIES[name]), 6))


@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_the_history_full_replicas_are_answered(name: str) -> None:
    assert asked(fitted(HISTORIES[name]), 8, util=1.0)[-1] > 8


def test_a_trace_that_ends_leaves_as_many_as_there_are_until_the_fallback_of_the_policy() -> None:
    scaler = fitted()
    asked(scaler, 4)
    nothing = {"rps": math.nan, "util": math.nan, "p95": math.nan}
    assert set(asked(scaler, 16, first=4, **nothing)) == {8}
    assert "was not asked" in scaler.last.story
    after = asked(scaler, 30, first=20, **nothing)
    assert after == sorted(after)
    assert after[-1] == 20


@pytest.mark.parametrize(
    ("sample", "least", "most"),
    [
        ({"util": math.nan}, 8, 8),
        ({"p95": math.nan}, 8, 8),
        ({"rps": math.nan}, 8, 8),
        ({"rps": math.inf, "util": math.inf, "p95": math.inf}, 8, 8),
        ({"rps": -5.0}, 8, 8),
        ({"dropped": 500.0, "backlog": 900.0, "p95": 9.0, "util": 1.0}, 9, 60),
        ({"ready": 0}, 8, 8),
    ],
    ids=["no use", "no latency", "no load", "infinite", "negative load", "refused", "nobody ready in the sample"],
)
def test_a_sample_that_says_little_moves_nobody_and_one_that_says_overload_adds(
    sample: dict[str, float], least: int, most: int
) -> None:
    said = asked(fitted(), 4, **sample)
    assert all(8 <= wanted <= most for wanted in said)
    assert said[-1] >= least


@pytest.mark.parametrize("key", SAMPLE)
@pytest.mark.parametrize("value", [None, math.nan, "no such key"], ids=["none", "nan", "missing"])
def test_a_key_that_says_nothing_takes_nobody_away_who_may_be_needed(key: str, value: float | str | None) -> None:
    scaler, sample = fitted(HISTORIES["constant"]), {**SAMPLE, "util": 0.3, key: value}
    sample = {name: one for name, one in sample.items() if one != "no such key"}
    wanted = [scaler.decide({"t": 15.0 * step, **sample}, 8, 8) for step in range(30)]
    unused = key in ("inflight", "backlog", "ready")
    assert min(wanted) < 8 if unused else set(wanted) == {8}


def test_without_a_time_it_is_a_step_later() -> None:
    scaler = fitted()
    for step in range(3):
        scaler.decide({**SAMPLE, "t": 15.0 * step}, 8, 8)
        with_time = scaler.last.at
    scaler.decide(SAMPLE, 8, 8)
    assert scaler.last.at == with_time + 15.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (({**SAMPLE, "t": 0.0, "rps": "300"}, 8, 8), r"sample\['rps'\] is '300', no number"),
        (({**SAMPLE, "t": 0.0, "dropped": [0.0]}, 8, 8), r"sample\['dropped'\] is \[0.0\], no number"),
        (([300.0], 8, 8), r"sample is \[300.0\], no mapping of t, rps, "),
        (({**SAMPLE, "t": 0.0}, None, 8), "ready is None, no number of pods"),
        (({**SAMPLE, "t": 0.0}, 8, -1), "current is -1, no number of pods"),
    ],
    ids=["a text", "a list", "no mapping", "nobody knows who serves", "fewer than none"],
)
def test_what_is_no_number_is_named(given: tuple[object, object, object], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        fitted().decide(*given)  # type: ignore[arg-type]


def test_what_is_dropped_is_asked_for_beside_what_is_served() -> None:
    scaler = fitted(HISTORIES["constant"])
    for step in range(60):
        scaler.decide({**SAMPLE, "t": 15.0 * step, "rps": 300.0 + step % 3}, 8, 8)
    scaler.decide({**SAMPLE, "t": 900.0, "dropped": 4500.0}, 8, 8)
    need = scaler.last.verdict.proposal.need
    assert (need.demand, need.refused) == (600.0, 300.0)
    assert scaler.last.verdict.change.after > 8


@pytest.mark.parametrize(
    ("rps", "util"),
    [(300.0, 0.0), (300.0, 1e-9), (0.0, 0.6), (1e-9, 0.6), (1e12, 0.6)],
    ids=["no use at all", "hardly any use", "no load", "hardly any load", "a load beyond all bounds"],
)
def test_a_replica_that_seems_to_carry_nothing_or_everything_is_not_divided_by(rps: float, util: float) -> None:
    said = asked(fitted(), 60, rps=rps, util=util)
    assert all(1 <= wanted <= 60 for wanted in said)
    assert util < 0.1 or all(wanted >= 8 for wanted in said)


def test_replicas_that_never_get_ready_are_not_added_to_for_what_they_do_not_use() -> None:
    scaler, current = fitted(HISTORIES["constant"]), 8
    for step in range(30):
        current = scaler.decide({**SAMPLE, "t": 15.0 * step, "util": 0.8}, 8, current)
    assert current == 11  # 8 that are used to 80 % are 11 at 60 %, as of an HPA


def test_replicas_that_somebody_else_set_are_what_it_goes_on_from() -> None:
    scaler = fitted()
    asked(scaler, 4)
    assert asked(scaler, 1, current=20, first=4, util=0.24)[0] == 14  # back, by 30 % a minute
    assert asked(scaler, 8, current=4, first=5, util=1.0)[-1] > 4


@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_a_forecaster_has_seen_its_quantiles_are_ordered_or_absent(name: str) -> None:
    values, step_s = HISTORIES[name]
    made = Forecaster()
    made.fit(values, step_s)
    for value in (300.0, math.nan, -300.0, math.inf, 300.0):
        made.update(value)
        path = made.predict(4)
        assert tuple(path) == LEVELS
        low, middle, high = (path[level] for level in LEVELS)
        assert not np.isinf([low, middle, high]).any()
        assert np.isnan(middle).all() or (np.all(low <= middle) and np.all(middle <= high))


def test_a_forecaster_that_has_seen_nothing_foretells_nothing_and_then_the_level() -> None:
    made = Forecaster()
    made.fit(np.empty(0), 60.0)
    assert np.isnan(made.predict(3)[0.5]).all()
    for _ in range(10):
        made.update(70.0)
    np.testing.assert_allclose(made.predict(3)[0.5], 70.0)
    for _ in range(5):
        made.update(math.nan)
    assert np.isfinite(made.predict(3)[0.5]).all()
