"""What past seasons had at a time: rings of binned values, and the weighted mean of the same time in past seasons.

The mean for a bin needs only seasons that are over, so each is made once, as soon as it can be asked for.
"""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64, Rows
from aiops.core.protocols import Arrays

SEASONS = ((1, 1.0), (2, 0.5), (3, 0.25), (7, 1.0), (14, 0.5))
"""How many seasons ago, and what that weighs; seven days ago is the same day of the week."""

KEPT = ("values", "usual", "open", "bin")
"""What of rings is in a checkpoint."""

EVEN_SEASONS = ((1, 1.0), (2, 1.0), (3, 1.0), (7, 1.0))
_BEHIND = 3


class Seasons:
    """One ring a row, changed in place. values: float32[n, bins], NaN is a gap; column b % bins is bin b.

    season_bins: int[n], a row's season in bins, longer than `ahead` + `around`. around: how many bins on either side
    are averaged, so that one odd minute of yesterday is not foretold. ahead: how far beyond the open bin is asked.
    """

    def __init__(
        self, season_bins: Rows, bins: int, *, around: int, ahead: int, weights: tuple[tuple[int, float], ...]
    ) -> None:
        rows = len(season_bins)
        self.season_bins = season_bins
        self.values = np.full((rows, bins), np.nan, np.float32)
        self._rows, self._ahead = np.arange(rows), ahead
        shifts = np.arange(-around, around + 1)
        self._weights = np.repeat([weight for _, weight in weights], len(shifts))[:, None]
        seasons = np.repeat([number for number, _ in weights], len(shifts))[:, None]
        # int64[k, n]: how many bins before a bin its k-th example lies
        self._back = seasons * season_bins - np.tile(shifts, len(weights))[:, None]
        self._usual = np.full((rows, ahead + _BEHIND + 1), np.nan)
        self._sums, self._counts = np.zeros(rows), np.zeros(rows)
        self.bin = -1

    def add(self, number: int, values: F64) -> None:
        """Take one more sample of bin `number`; values: float64[n], NaN is none. Bins come in order."""
        if number != self.bin:
            self._open(number)
        known = np.isfinite(values)
        self._sums += np.where(known, values, 0.0)
        self._counts += known

    def _open(self, number: int) -> None:
        size = self.values.shape[1]
        last, self.bin = self.bin, number
        if last >= 0:
            mean = self._sums / np.maximum(self._counts, 1.0)
            self.values[:, last % size] = np.where(self._counts > 0, mean, np.nan)
            for empty in range(last + 1, min(number, last + size) + 1):
                self.values[:, empty % size] = np.nan
        self._sums.fill(0.0)
        self._counts.fill(0.0)
        ready = self._usual.shape[1]
        first = number - _BEHIND if last < 0 or number - last >= ready else last + self._ahead + 1
        for later in range(first, number + self._ahead + 1):
            self._usual[:, later % ready] = self._mean(later)

    def put(self, row: int, numbers: Rows, values: F64) -> None:
        """Lay a history of whole bins beneath what is known, `refresh` has to follow; numbers: int[t]."""
        size = self.values.shape[1]
        kept = (numbers > self.bin - size) & (numbers < self.bin) & np.isfinite(values)
        places = numbers[kept] % size
        there = self.values[row, places]
        self.values[row, places] = np.where(np.isfinite(there), there, values[kept])

    def refresh(self) -> None:
        """Make the means anew, after what is remembered has changed."""
        ready = self._usual.shape[1]
        for later in range(self.bin - _BEHIND, self.bin + self._ahead + 1):
            self._usual[:, later % ready] = self._mean(later)

    def at(self, bins: F64) -> F64:
        """Return float64[..., n], what past seasons had at `bins` (float64[..., n], linear between); NaN: unknown."""
        low = np.floor(bins).astype(np.int64)
        low = np.minimum(np.maximum(low, self.bin - _BEHIND), self.bin + self._ahead - 1)
        ready = self._usual.shape[1]
        before, after = self._usual[self._rows, low % ready], self._usual[self._rows, (low + 1) % ready]
        mixed = before + (after - before) * np.minimum(np.maximum(bins - low, 0.0), 1.0)
        known = np.isfinite(mixed)
        return mixed if known.all() else np.where(known, mixed, np.where(np.isfinite(before), before, after))

    def _mean(self, number: int) -> F64:
        size, place = self.values.shape[1], number - self._back
        cells = self.values[self._rows, place % size]
        there = (place < self.bin) & (place > max(self.bin - size, -1)) & np.isfinite(cells)
        # one after the other, as they would be added up by hand: for one row as for many
        total = np.add.accumulate(np.where(there, self._weights * cells, 0.0), axis=0)[-1]
        weights = np.add.accumulate(self._weights * there, axis=0)[-1]
        return np.asarray(np.divide(total, weights, out=np.full(len(total), np.nan), where=weights > 0))

    def arrays(self, rows: slice = slice(None)) -> Arrays:
        """Return the state of some rows for a checkpoint."""
        return {
            "values": self.values[rows],
            "usual": self._usual[rows],
            "open": np.stack([self._sums[rows], self._counts[rows]]),
            "bin": np.array([self.bin]),
        }

    def take(self, arrays: Arrays, mine: Rows, theirs: Rows) -> None:
        """Let rows `mine` go on where rows `theirs` of a checkpoint of the same bin stood; rings may differ in size."""
        there, now = arrays["values"], int(arrays["bin"][0])
        size, other = self.values.shape[1], there.shape[1]
        bins = np.arange(now - min(size, other) + 1, now + 1)
        self.values[np.ix_(mine, bins % size)] = there[np.ix_(theirs, bins % other)]
        self._usual[mine] = arrays["usual"][theirs]
        self._sums[mine], self._counts[mine] = arrays["open"][0][theirs], arrays["open"][1][theirs]
        self.bin = now
