"""`fit(history) -> Fitted`: everything that is learnt of many series, as a pure function of their past.

Members are fitted at three ends; what each foretold between one end and the next is what it is judged by (evaluation
on rolling origins), so weights and intervals stand on errors that nobody was fitted on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.forecast import standing as st
from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS, Coefficients, Member
from aiops.core.forecast.past import History, Norms, Past, past_of
from aiops.core.forecast.standing import Standing
from aiops.core.model import F64, Bools, Floats, Rows

BACKTEST_SEASONS = 7
BACKTEST_SHARE = 0.6
FOLDS = 2
ORIGINS = 96
"""Origins by which members are judged, spread over the tested days: 168 were as accurate, for a third more time."""

CHUNK = 32
"""Series that are fitted at once: what they need stays in the processor's cache."""

STIR_POWER = 0.33
_BLOCK = 4
_EPS = 1e-12


LATER = "it is fitted beside the loop"


def fit(history: History, members: Sequence[Member] = MEMBERS, *, later: Collection[str] = ()) -> Fitted:
    """Learn a history; series are fitted on their own, in chunks. later: who is left out, as another fit hears them."""
    firsts = range(0, max(1, len(history.values)), CHUNK)
    parts = [_fit(_rows(history, first), members, later) for first in firsts]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _fit(history: History, members: Sequence[Member], later: Collection[str]) -> Fitted:
    past = past_of(history)
    ends, left_out = _ends(past), dict.fromkeys(later, LATER)
    fitted: dict[str, tuple[Coefficients, ...]] = {}
    for member in members:
        if member.name in left_out:
            continue
        try:
            fitted[member.name] = member.fit(past, ends)
        except Exception as err:
            # a library's fit may raise anything; its series go on with the other members, and say who is missing
            left_out[member.name] = f"{type(err).__name__}: {err}"
    heard = [member for member in members if member.name in fitted]
    tested = _backtest(past, heard, fitted, ends)
    voices = [voice for member in members for voice in member.voices]
    start = Standing.unknown(len(past.values), len(voices), past.grid)
    if tested is not None:
        _judge(start, tested, past, [voices.index(voice) for member in heard for voice in member.voices])
    lowest = np.fmin.reduce(history.values, axis=1, initial=np.inf)
    return Fitted(
        grid=past.grid,
        first_step=history.first_step,
        last_step=history.first_step + past.length,
        norms=past.norms,
        floor=np.where(lowest >= 0.0, 0.0, -np.inf),
        coefficients={name: sets[-1] for name, sets in fitted.items()},
        start=start,
        left_out=left_out,
    )


def normaliser(past: Past, points: F64, origins: slice) -> F64:
    """Return what errors are measured in, [n, knots, o].

    Half of what is usual of the series, half of what is foretold; more in restless times: intervals of all distances
    widen at once, long before errors far ahead can be seen.
    """
    size = past.norms.size[:, None, None]
    plain = 0.5 * size + 0.5 * np.minimum(np.abs(np.nan_to_num(points)), 10.0 * size)
    return np.asarray(plain * past.stir(origins)[:, None, :] ** STIR_POWER)


def _ends(past: Past) -> tuple[int, ...]:
    """Return the columns up to which members are fitted, increasing; the last one is the end of the past."""
    tested = int(min(BACKTEST_SEASONS * past.grid.season, BACKTEST_SHARE * max(past.length - past.grid.tail, 0)))
    if tested < FOLDS * 12:
        return (past.length,)
    return (*(past.length - tested + fold * tested // FOLDS for fold in range(FOLDS)), past.length)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tested:
    """How far members went wrong, in sizes of the series: single precision is enough to judge by.

    off: float32[n, voices, knots, o], what came less what was foretold, nought where `there` is not. actual: float64
    [n, knots, o], NaN when unknown; origins: columns, `every` steps apart, whole blocks of them.
    """

    off: Floats
    there: Bools
    actual: F64
    origins: slice
    every: int


def _backtest(
    past: Past, members: Sequence[Member], fitted: Mapping[str, tuple[Coefficients, ...]], ends: Sequence[int]
) -> _Tested | None:
    if len(ends) < 2 or not members:
        return None
    every = max(1, (ends[-1] - ends[0]) // ORIGINS)
    parts, first = [], ends[0]
    for end in ends[1:]:
        parts.append(slice(first, first + len(range(first, end, every)) * every, every))
        first = parts[-1].stop
    origins = slice(ends[0], first, every)
    truth = np.full((len(past.raw), past.length + past.grid.ahead + every), np.nan)
    truth[:, : past.length] = past.raw
    actual = np.stack([past.at(truth, origins, int(knot)) for knot in past.grid.knots], axis=1)
    unit = (1.0 / past.norms.size)[:, None, None, None]
    scaled = actual[:, None] * unit
    off = np.zeros((len(actual), sum(len(one.voices) for one in members), *actual.shape[1:]), np.float32)
    for place, part in enumerate(parts):
        voice, columns = 0, slice((part.start - ends[0]) // every, (part.stop - ends[0]) // every)
        for one in members:
            made = one.foretell(past, fitted[one.name][place], part) * unit
            own = off[:, voice : voice + len(one.voices), :, columns]
            np.subtract(scaled[..., columns], made, out=own, casting="same_kind")
            voice += len(one.voices)
    there = _known(off)
    off[~there] = 0.0
    return _Tested(off=off, there=there, actual=actual, origins=origins, every=every)


def _known(off: Floats) -> Bools:
    """Return where errors count. Where a season came to be, those before it do not: another model made them."""
    there = np.isfinite(off)
    rival = there[:, 0]
    grown = rival.any(axis=-1, keepdims=True)
    there &= (rival | ~grown)[:, None]
    return there


def _judge(start: Standing, tested: _Tested, past: Past, heard: Sequence[int]) -> None:
    """Judge members and combination on what they foretold: fills `start` with how they stand at the end."""
    grid, every = past.grid, tested.every
    loss = _discounted(_in_blocks(np.abs(tested.off)), grid, every)
    count = _discounted(_in_blocks(tested.there), grid, every)
    size = past.norms.size[:, None, None]
    start.loss[:, heard], start.count[:, heard] = loss[..., -1] * size, count[..., -1]
    # weights of a block stand on errors that were known when it began
    lags = 1 + grid.knots // (every * _BLOCK)
    judged = _late(count, lags)
    weights = st.weigh(_late(loss, lags), judged, grid)
    # before anybody was judged, the combination is not what it will be
    weights[np.broadcast_to(~judged.any(axis=1, keepdims=True), weights.shape)] = np.nan
    both = np.stack([_mixed(tested, weights), np.where(tested.there[:, 0], tested.off[:, 0], np.nan)], axis=1)
    norm = np.empty_like(both)
    for who in range(2):
        points = tested.actual - both[:, who] * size
        np.divide(normaliser(past, points, tested.origins), size, out=norm[:, who], casting="same_kind")
    _calibrate(start, both / norm, norm, past, every)


def _mixed(tested: _Tested, weights: Floats) -> Floats:
    """Return the errors of the combination [n, knots, o], by weights of blocks; NaN where there is none."""
    off, there = tested.off, tested.there
    some, total = (np.zeros_like(off[:, 0]) for _ in range(2))
    for voice in range(off.shape[1]):
        part = np.repeat(weights[:, voice], _BLOCK, axis=-1)[..., : off.shape[-1]]
        part *= there[:, voice]
        total += part
        part *= off[:, voice]
        some += part
    heard = total > _EPS
    np.divide(some, total, out=some, where=heard)
    if not heard.all():
        # those with an opinion have no weight: all of them alike
        voices = there.sum(axis=1, dtype=np.float32)
        some = np.where(heard, some, off.sum(axis=1) / np.maximum(voices, 1.0))
        some[(voices == 0) | np.isnan(total)] = np.nan
    return some


def _calibrate(start: Standing, scores: Floats, norm: Floats, past: Past, every: int) -> None:
    """Set intervals by the errors' quantiles, then live through the errors in blocks to adapt to the latest.

    scores: [n, who, knots, o], normalised errors; norm: what they were divided by, in sizes of the series.
    """
    grid = past.grid
    alike = np.minimum(1.0, every / grid.knots)
    quantiles = st.conformal(scores, alike)
    found = np.asarray(np.isfinite(quantiles).all(axis=-1))
    size = np.abs(scores)
    seen = np.isfinite(size)
    mean = np.where(seen, size, 0.0).sum(axis=-1, dtype=np.float64) / np.maximum(seen.sum(axis=-1), 1)
    _fill(start, quantiles, mean, found)
    fade = st.decay(grid, np.array(float(every * _BLOCK)))
    moves = (start.size * st.rate(grid, np.array(float(every)))).astype(np.float32)
    spread = np.ascontiguousarray(np.moveaxis(start.spread, -1, 0), np.float32)
    scores, norm = (np.ascontiguousarray(array.transpose(3, 0, 1, 2)) for array in (scores, norm))
    for first in range(0, len(scores), _BLOCK):
        part = slice(first, first + _BLOCK)
        *sums, push = st.lived(spread, scores[part], norm[part])
        for name, one in zip(st.JUDGED, sums, strict=True):
            setattr(start, name, getattr(start, name) * fade + one * every)
        spread += push * moves
    start.pinball *= past.norms.size[:, None, None]
    start.spread = np.sort(np.moveaxis(spread, 0, -1).astype(np.float64), axis=-1)


def _fill(start: Standing, quantiles: F64, mean: F64, found: Bools) -> None:
    """Take what was measured; a distance without errors takes those of the nearest one that has, grown by its root."""
    start.spread = np.where(found[..., None], quantiles, start.spread)
    prior = start.size.copy()
    start.size = np.where(found, np.maximum(mean, _EPS), start.size)
    for knot in range(1, found.shape[2]):
        grown = prior[:, :, knot] / prior[:, :, knot - 1]
        lent = ~found[:, :, knot] & found[:, :, :knot].any(axis=2)
        wide = start.spread[:, :, knot - 1] * grown[..., None]
        start.spread[:, :, knot] = np.where(lent[..., None], wide, start.spread[:, :, knot])
        start.size[:, :, knot] = np.where(lent, start.size[:, :, knot - 1] * grown, start.size[:, :, knot])


def _in_blocks(values: Floats | Bools) -> Floats:
    """Return sums over blocks of the last axis; the last block may be a short one."""
    out = values[..., ::_BLOCK].astype(np.float32)
    for place in range(1, _BLOCK):
        part = values[..., place::_BLOCK]
        out[..., : part.shape[-1]] += part
    return out


def _discounted(values: Floats, grid: Grid, every: int) -> Floats:
    """Return discounted running sums over blocks, in steps."""
    ages = np.arange(values.shape[-1], dtype=np.float64) * (every * _BLOCK)
    grown = 1.0 / st.decay(grid, ages, st.WEIGHT_SEASONS)
    values *= (grown * every).astype(values.dtype)
    np.cumsum(values, axis=-1, out=values)
    values /= grown.astype(values.dtype)
    return values


def _late(sums: Floats, lags: Rows) -> Floats:
    """Return sums as they were known: errors of a knot are known so many blocks later."""
    out = np.zeros_like(sums)
    for place, lag in enumerate(lags.tolist()):
        if lag < sums.shape[-1]:
            out[:, :, place, lag:] = sums[:, :, place, : sums.shape[-1] - lag]
    return out


def _rows(history: History, first: int) -> History:
    rows, rest = slice(first, first + CHUNK), history.rest
    own = rest if rest is None or rest.ndim == 1 else rest[rows]
    return History(grid=history.grid, values=history.values[rows], first_step=history.first_step, rest=own)


def _joined(parts: Sequence[Fitted]) -> Fitted:
    """Return the fits of chunks as one. A member that was left out of one chunk is left out of all."""
    left_out = {name: why for part in parts for name, why in part.left_out.items()}
    names = [name for name in parts[0].coefficients if name not in left_out]
    return Fitted(
        grid=parts[0].grid,
        first_step=parts[0].first_step,
        last_step=parts[0].last_step,
        norms=Norms(
            **{key: _cat([getattr(p.norms, key) for p in parts]) for key in ("size", "jitter", "grain", "detail")}
        ),
        floor=_cat([part.floor for part in parts]),
        coefficients={
            name: {key: _cat([p.coefficients[name][key] for p in parts]) for key in parts[0].coefficients[name]}
            for name in names
        },
        start=Standing(**{key: _cat([getattr(p.start, key) for p in parts]) for key in st.STANDING}),
        left_out=left_out,
    )


def _cat(arrays: Sequence[F64]) -> F64:
    return np.concatenate(arrays, axis=0)
