"""From points at knots to paths: between knots what is added to the profile is interpolated, and so are spreads."""

from __future__ import annotations

import numpy as np

from aiops.core.forecast.past import Past
from aiops.core.model import F64


def path(past: Past, point: F64, spread: tuple[F64, int], steps: int) -> F64:
    """Return quantile paths [n, quantiles, steps] from points at knots, and spreads there, so many steps old."""
    grid = past.grid
    last = past.length - 1
    seasonal = past.seasonal(slice(last, last + 1, 1))
    base = np.where(seasonal, past.profile, 0.0)
    # a product for each row by itself: what a row is told must not hang on who else is asked, to the last bit
    off = np.matmul((point - base[:, last + grid.knots])[:, None, :], grid.between(steps))[:, 0]
    wanted = np.arange(1, steps + 1)
    turns = -(-np.maximum(wanted - grid.ahead, 0) // grid.season)
    # further on the profile's last season comes again, from where the profile ends
    risen = base[:, last + grid.ahead] - base[:, last + grid.ahead - grid.season]
    path = base[:, last + wanted - grid.season * turns] + risen[:, None] * (turns > 0) + off
    wide = np.einsum("nkq,ks->nqs", spread[0], grid.between(steps + spread[1])[:, spread[1] :])
    return np.asarray(path[:, None, :] + wide)
