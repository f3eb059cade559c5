"""Many forecasts in one pass: each as it would be alone, to the last bit, whoever comes, goes or is sick beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from aiops.core.forecast.combined import Combined
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.members import MEMBERS, Coefficients
from aiops.core.forecast.past import Past
from aiops.core.forecast.pool import LONG_GAP, MOST_ROWS, Pool
from aiops.core.forecast.standing import QUANTILES
from aiops.core.model import F64
from aiops.core.policies import ForecastSpec

HOUR_S = 3600.0
SPEC = ForecastSpec(model="combined", history_s=4 * HOUR_S, quantile=0.95, lead_s=60.0, season_s=HOUR_S)
"""A season of an hour, so that several are lived through quickly."""

START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400.0
TIMES = START + np.arange(-300, 0) * 60.0
NOW = np.arange(0, 100) * 60.0 + START
EVERY = 5
"""Forecasts are compared once in so many minutes."""


def days(times: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, 3.0, len(times))
    return 50.0 * (seed + 2) * (1.2 + np.sin(2 * np.pi * times / HOUR_S + seed)) + noise


def kinds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a series had and what it will have: calm, with gaps, constant, silent for long, late to begin."""
    past, coming = days(TIMES, seed), days(NOW, seed + 100)
    match seed % 5:
        case 1:
            past[40:70], coming[20:30] = np.nan, np.nan
        case 2:
            past[:], coming[:] = 7.0, 7.0
        case 3:
            coming[10 : 20 + LONG_GAP] = np.nan
        case 4:
            past[:250] = np.nan
    return past, coming


def a_model(pool: Pool | None, seed: int, *, refits: bool = False) -> Combined:
    model = Combined(SPEC, refits=refits, pool=pool)
    model.backfill(TIMES, kinds(seed)[0])
    return model


def lived(models: Sequence[Combined], seeds: Sequence[int], steps: slice, pool: Pool | None = None) -> np.ndarray:
    """Return what models foretell in every fifth minute, float64[times, models, quantiles, 30]."""
    told = []
    coming = [kinds(seed)[1] for seed in seeds]
    for place in range(*steps.indices(len(NOW))):
        for model, values in zip(models, coming, strict=True):
            model.learn(float(NOW[place]), float(values[place]))
        if place % EVERY:
            continue
        if pool is not None:
            pool.foretell(int(NOW[place] // 60), 30)
        told.append([model.paths(float(NOW[place]), 30) for model in models])
    return np.array(told)


@cache
def alone(seed: int) -> np.ndarray:
    """Return what one foretells that shares nothing, float64[times, quantiles, 30]."""
    return lived([a_model(None, seed)], [seed], slice(None))[:, 0]


def test_a_row_is_foretold_as_if_it_were_alone_to_the_last_bit() -> None:
    pool, seeds = Pool(), range(5)
    models = [a_model(pool, seed) for seed in seeds]
    together = lived(models, seeds, slice(None), pool)
    assert [block.taken for block in pool.blocks] == [5]
    assert np.isfinite(together).all()
    for seed in seeds:
        np.testing.assert_array_equal(together[:, seed], alone(seed), err_msg=str(seed))


def test_what_is_asked_beside_the_pass_is_what_the_pass_says() -> None:
    pool, seeds = Pool(), range(3)
    models = [a_model(pool, seed) for seed in seeds]
    asked = lived(models, seeds, slice(0, 20))
    np.testing.assert_array_equal(asked, lived([a_model(pool, seed) for seed in seeds], seeds, slice(0, 20), pool))


def test_a_sample_after_the_pass_is_in_what_is_asked_next() -> None:
    pool = Pool()
    models, single = [a_model(pool, seed) for seed in (0, 1)], a_model(None, 0)
    for model in (*models, single):
        model.learn(START, 300.0)
    pool.foretell(int(START // 60), 30)
    before = models[0].paths(START, 30)
    for model in (models[0], single):
        model.learn(START + 15.0, 500.0)
    later = models[0].paths(START + 15.0, 30)
    np.testing.assert_array_equal(later, single.paths(START + 15.0, 30))
    assert (later[QUANTILES.index(0.5), :5] > before[QUANTILES.index(0.5), :5]).all()


def test_history_that_comes_late_ends_the_promises_of_its_own_row_alone() -> None:
    pool = Pool()
    one, other = Combined(SPEC, refits=False, pool=pool), a_model(pool, 1)
    lived([one, other], [0, 1], slice(0, 20), pool)
    one.adopt(fit(one.history()))
    lived([one, other], [0, 1], slice(20, 30), pool)
    promised = other.arrays()["made"]
    assert np.isfinite(one.arrays()["made"]).any()
    one.backfill(TIMES, days(TIMES, 0))
    assert np.isnan(one.arrays()["made"]).all()
    assert one.history_s == (NOW[29] - TIMES[0])
    np.testing.assert_array_equal(other.arrays()["made"], promised)


def test_whoever_comes_or_goes_moves_nobody() -> None:
    pool, seeds = Pool(), [0, 1, 2]
    models = [a_model(pool, seed) for seed in seeds]
    first = lived(models, seeds, slice(0, 50), pool)
    del models[1]
    new = Combined(SPEC, pool=pool)
    later = lived([models[0], new, models[1]], [0, 5, 2], slice(50, None), pool)
    assert [block.taken for block in pool.blocks] == [3]
    for place, seed in ((0, 0), (2, 2)):
        np.testing.assert_array_equal(np.concatenate([first, later])[:, place], alone(seed))
    young = lived([Combined(SPEC)], [5], slice(50, None))
    np.testing.assert_array_equal(later[:, 1], young[:, 0])


def test_a_sick_row_touches_no_other_one() -> None:
    pool, seeds = Pool(), [0, 1, 1, 1, 2]
    models = [a_model(pool, seed) for seed in seeds]
    for model, sick in zip(models[1:4], (np.nan, np.inf, 1e300), strict=True):
        wild = fit(model.history())
        for some in wild.coefficients.values():
            for array in some.values():
                array[...] = sick
        wild.norms.size[...] = sick
        model.adopt(wild)
    with np.errstate(all="ignore"):
        together = lived(models, seeds, slice(None), pool)
    for row in (1, 2, 3):
        assert not np.array_equal(together[:, row], alone(1), equal_nan=True)
    for row, seed in ((0, 0), (4, 2)):
        np.testing.assert_array_equal(together[:, row], alone(seed))


def test_a_fit_of_another_kind_is_refused_and_nothing_is_changed() -> None:
    pool = Pool()
    one, other = a_model(pool, 0), a_model(pool, 1)
    before = one.paths(START, 30), other.paths(START, 30)
    longer = Combined(ForecastSpec(model="combined", history_s=HOUR_S, quantile=0.9, lead_s=1.0, season_s=2 * HOUR_S))
    longer.backfill(TIMES, days(TIMES, 0))
    with pytest.raises(ValueError, match="is none of one series of"):
        one.adopt(fit(longer.history()))
    np.testing.assert_array_equal((one.paths(START, 30), other.paths(START, 30)), before)


class _Broken:
    """The harmonic member, when its library raises."""

    name, voices = "harmonic", ("harmonic",)

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        raise np.linalg.LinAlgError("singular")

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        raise AssertionError("what was never fitted is not asked")


def test_a_member_that_failed_is_missing_in_its_own_row_alone() -> None:
    pool, broken = Pool(), tuple(_Broken() if one.name == "harmonic" else one for one in MEMBERS)
    one, other, single = a_model(pool, 0), a_model(pool, 1), a_model(None, 0)
    before = other.paths(START, 30)
    for model in (one, single):
        model.adopt(fit(model.history(), broken))
    np.testing.assert_array_equal(other.paths(START, 30), before)
    np.testing.assert_array_equal(one.paths(START, 30), single.paths(START, 30))
    names = [member.name for member in MEMBERS]
    assert one.fitted is not None
    assert dict(one.fitted.left_out) == {"harmonic": "LinAlgError: singular"}
    assert sorted(one.fitted.coefficients) == sorted(set(names) - {"harmonic"})
    assert other.fitted is not None
    assert sorted(other.fitted.coefficients) == sorted(names)


def test_seats_beyond_a_block_are_in_another_one_and_empty_ones_are_taken_again() -> None:
    pool = Pool()
    models = [Combined(SPEC, refits=False, pool=pool) for _ in range(MOST_ROWS + 2)]
    for model in models:
        model.learn(START, 1.0)
    assert [block.taken for block in pool.blocks] == [MOST_ROWS, 2]
    del models[5:8], model
    again = [Combined(SPEC, refits=False, pool=pool) for _ in range(3)]
    for model in again:
        model.learn(START, 2.0)
    assert [block.taken for block in pool.blocks] == [MOST_ROWS, 2]
    assert [model.peak for model in again] == [None] * 3
    del models, again, model
    pool.foretell(int(START // 60), 30)
    assert pool.blocks == ()


def test_one_that_knows_nothing_newer_sits_elsewhere_until_it_has_caught_up() -> None:
    pool = Pool()
    ahead, behind = a_model(pool, 0), Combined(SPEC, refits=False, pool=pool)
    behind.backfill(TIMES[:-20], kinds(1)[0][:-20])
    assert [block.taken for block in pool.blocks] == [1, 1]
    together = lived([ahead, behind], [0, 1], slice(0, 40), pool)
    single = Combined(SPEC, refits=False)
    single.backfill(TIMES[:-20], kinds(1)[0][:-20])
    np.testing.assert_array_equal(together[:, 1], lived([single], [1], slice(0, 40))[:, 0])
    assert len({block.minute for block in pool.blocks}) == 1


def test_a_checkpoint_of_one_goes_on_among_many() -> None:
    one, pool = a_model(None, 1), Pool()
    lived([one], [1], slice(0, 30))
    others = [a_model(pool, seed) for seed in (0, 2)]
    lived(others, [0, 2], slice(0, 30), pool)
    again = Combined(SPEC, refits=False, pool=pool)
    again.restore(one.arrays())
    assert [block.taken for block in pool.blocks] == [3]
    together = lived([others[0], again, others[1]], [0, 1, 2], slice(30, 60), pool)
    np.testing.assert_array_equal(together[:, 1], lived([one], [1], slice(30, 60))[:, 0])
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array, err_msg=name)


def test_a_checkpoint_that_does_not_fit_costs_nobody_a_seat() -> None:
    pool = Pool()
    one, other = a_model(pool, 0), a_model(pool, 1)
    before = one.paths(START, 30), other.paths(START, 30)
    for name in ("fitted/floor", "standing/loss", "values"):
        broken = {key: array for key, array in other.arrays().items() if key != name}
        with pytest.raises(ValueError, match="does not fit"):
            one.restore(broken)
    np.testing.assert_array_equal((one.paths(START, 30), other.paths(START, 30)), before)
    assert [block.taken for block in pool.blocks] == [2]
    one.restore(one.arrays())
    np.testing.assert_array_equal((one.paths(START, 30), other.paths(START, 30)), before)
    assert [block.taken for block in pool.blocks] == [2]


def test_those_who_are_left_of_many_are_gathered_and_go_on_as_they_were() -> None:
    pool = Pool()
    strangers = [Combined(SPEC, refits=False, pool=pool) for _ in range(MOST_ROWS + 1)]
    for model in strangers:
        model.learn(START - 60.0, 1.0)
    models = [a_model(pool, seed) for seed in (0, 1)]
    assert [block.taken for block in pool.blocks] == [MOST_ROWS, 3]
    first = lived(models, [0, 1], slice(0, 50), pool)
    pool.gather()
    assert [block.taken for block in pool.blocks] == [MOST_ROWS, 3]
    del strangers, model
    pool.gather()
    assert [(block.taken, block.fleet.series) for block in pool.blocks] == [(2, 2)]
    later = lived(models, [0, 1], slice(50, None), pool)
    for place, seed in enumerate((0, 1)):
        np.testing.assert_array_equal(np.concatenate([first, later])[:, place], alone(seed))
