"""What was found out of the few rows whose sample is not calm, at one instant: kept from scoring to learning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Instant, Rows

VIEWS = ("value", "context")

DELAY_S, DELAY_SAMPLES = 1800.0, 4.0
"""What is new becomes an example of what is usual after so long: an anomaly does not excuse itself at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """m rows, rising, of `values`, float64[n].

    distances, each: float64[m, 2], of value and of context, and how surprising each is; surprises: both, joined.
    news: float64[m, 2], the distances as they are to be learnt.
    """

    at: Instant
    values: F64
    rows: Rows
    distances: F64
    each: F64
    news: F64
    surprises: F64

    def only(self, places: Rows) -> Looked:
        """Return the same of some of these rows."""
        parts = {name: getattr(self, name)[places] for name in ("rows", "distances", "each", "news", "surprises")}
        return Looked(at=self.at, values=self.values, **parts)

    def is_of(self, at: Instant, values: F64) -> bool:
        """Return whether it is of these samples."""
        if at != self.at or values.shape != self.values.shape:
            return False
        # those that are the same are so to the bit, which is quickly seen
        to_the_bit = bool((self.values.view(np.int64) == values.view(np.int64)).all())
        return to_the_bit or np.array_equal(self.values, values, equal_nan=True)

    def evidence(self, row: int) -> dict[str, float]:
        """Return distances and surprises of a row by name, nothing of one that was calm."""
        here = int(np.searchsorted(self.rows, row))
        if here == len(self.rows) or self.rows[here] != row:
            return {}
        distances, each = self.distances[here].tolist(), self.each[here].tolist()
        return {
            **{f"distance_{view}": one for view, one in zip(VIEWS, distances, strict=True)},
            **{f"surprise_{view}": one for view, one in zip(VIEWS, each, strict=True)},
            "surprise": float(self.surprises[here]),
        }


def joined(surprises: F64) -> F64:
    """Return float64[m]: the root mean square of the surprises that are known."""
    known = np.isfinite(surprises)
    square = np.where(known, surprises * surprises, 0.0).sum(axis=1)
    return np.asarray(np.sqrt(square / np.maximum(known.sum(axis=1), 1)), np.float64)


def delay_s(step_s: float) -> float:
    """Return after how many seconds what is new is an example of what is usual."""
    return max(DELAY_S, DELAY_SAMPLES * step_s) * 0.99
