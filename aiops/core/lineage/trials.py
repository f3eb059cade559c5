"""Versions of the next minutes of every policy at once: rows in the shadow, and what each minute has shown of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.core.lineage.contest import KEPT, Record
from aiops.core.lineage.next_minutes import About, NextMinutes, Row
from aiops.core.model import F64, Bools, Instant, PolicyKey
from aiops.core.nowcast import Seat, Shadows
from aiops.core.nowcast.nowcasts import Nowcasts
from aiops.core.protocols import Arrays

MINUTE_S = 60.0
LEVELS = (0.1, 0.5, 0.9)
_Z = 1.2815515594457831
"""Between so many scales on either side of a forecast lie 80 % of Gaussian errors."""


class Trials:
    """Changed in place. seasons_s: of each policy, in the order of the rows that act. every: by policy."""

    def __init__(
        self,
        seasons_s: Mapping[PolicyKey, float],
        history_s: float,
        acting: Callable[[], Nowcasts],
        terms: tuple[str, bool],
    ) -> None:
        self._acting = acting
        self._owners = tuple(seasons_s)
        self._places = {owner: place for place, owner in enumerate(seasons_s)}
        self.shadows = Shadows(seasons_s, history_s)
        about = About(shadows=self.shadows, acting=acting, code=terms[0], follows=terms[1])
        self.every = {owner: self._versions(owner, about) for owner in seasons_s}
        self._minute = -1
        self._sums = np.zeros((3, len(seasons_s)))
        self._shadow_sums: dict[Seat, F64] = {}

    def _versions(self, owner: PolicyKey, about: About) -> NextMinutes:
        place = partial(self._places.__getitem__, owner)
        return NextMinutes(owner, Row(self._acting, place), place, about)

    # -- the tick ----------------------------------------------------------------------------------------

    def step(self, at: Instant, seen: tuple[F64, Bools, F64]) -> None:
        """Take what the rows that act have just learnt: demand, whether it is all of it, and lead times."""
        shadows = self.shadows
        shadows.learn(at, np.array([self._places[seat.policy] for seat in shadows.seats], np.int64), seen)
        minute = int(at // MINUTE_S)
        if minute > self._minute:
            self._close(minute, at)
        self._sums += _shown(self._acting())
        if shadows.seats:
            shown = _shown(shadows.rows)
            for number, seat in enumerate(shadows.seats):
                self._shadow_sums[seat] = self._shadow_sums.get(seat, np.zeros(3)) + shown[:, number]

    def _close(self, minute: int, at: Instant) -> None:
        ended, self._minute = self._minute, minute
        if ended >= 0:
            loss, inside = _means(self._sums)
            beside: dict[PolicyKey, dict[int, tuple[float, float]]] = {}
            for seat, sums in self._shadow_sums.items():
                one_loss, one_inside = _means(sums)
                beside.setdefault(seat.policy, {})[seat.number] = (float(one_loss), float(one_inside))
            known = (self._acting().spreads[1].count > 0).tolist()
            shown = zip(self._owners, known, loss.tolist(), inside.tolist(), strict=True)
            for owner, there, own_loss, own_inside in shown:
                one = self.every[owner]
                if there and one.current is None:
                    one.begin(at, "first")
                one.minute(ended, at, {0: (own_loss, own_inside), **beside.get(owner, {})})
        self._sums.fill(0.0)
        self._shadow_sums = {}

    def learnt(self, rows: Sequence[int], at: Instant) -> None:
        """Note that rows were learnt from history, beside the loop."""
        for row in rows:
            self.every[self._owners[row]].begin(at, "learnt from history")

    # -- checkpoints -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        records = {(owner, number): one for owner, each in self.every.items() for number, one in each.records().items()}
        about = {
            "versions": {owner: one.state() for owner, one in self.every.items()},
            "seats": [list(seat) for seat in self.shadows.seats],
            "records": [list(name) for name in records],
        }
        kept = np.empty((len(records), 2, KEPT), np.float32)
        for place, record in enumerate(records.values()):
            kept[place] = record.losses, record.inside
        out: dict[str, NDArray[np.generic]] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "records": kept,
        }
        return out | {f"rows/{name}": array for name, array in self.shadows.arrays().items()}

    def restore(self, arrays: Arrays, owners: Sequence[PolicyKey]) -> None:
        """Take what a checkpoint has of some policies, whose rows go on; raise ValueError when it cannot be read."""
        try:
            about: dict[str, Any] = json.loads(np.asarray(arrays["about"]).astype(np.uint8).tobytes())
            seats = [Seat(str(policy), int(number)) for policy, number in about["seats"]]
            named = [(str(owner), int(number)) for owner, number in about["records"]]
            states = {owner: about["versions"][owner] for owner in owners if owner in about["versions"]}
            kept = np.asarray(arrays["records"], np.float64).reshape(len(named), 2, KEPT)
        except (KeyError, TypeError, ValueError) as err:
            raise ValueError(f"the versions of the next minutes cannot be read: {err!r}") from err
        rows = {name.removeprefix("rows/"): array for name, array in arrays.items() if name.startswith("rows/")}
        self.shadows.restore(seats, rows)
        self.shadows.drop([seat for seat in self.shadows.seats if seat.policy not in states])
        records: dict[PolicyKey, dict[int, Record]] = {}
        for (owner, number), (losses, inside) in zip(named, kept, strict=True):
            record = records.setdefault(owner, {})[number] = Record()
            record.losses, record.inside = losses.copy(), inside.copy()
        for owner, state in states.items():
            self.every[owner].resume(state, records.get(owner, {}))


def _shown(rows: Nowcasts) -> F64:
    """Return float64[3, n]: pinball loss of the last step, whether it lay in the 80 % interval, 1; all 0 if unknown."""
    errors, scales = rows.judged
    known = np.isfinite(errors) & np.isfinite(scales)
    wide = _Z * np.where(known, scales, 1.0)
    off = np.where(known, errors, 0.0)
    lost = np.zeros(len(off))
    for level, point in zip(LEVELS, (-wide, 0.0, wide), strict=True):
        over = off - point
        lost += np.maximum(level * over, (level - 1.0) * over)
    shown = np.stack([lost / len(LEVELS), (np.abs(off) <= wide) * 1.0, np.ones(len(off))])
    return np.where(known, shown, 0.0)


def _means(sums: F64) -> tuple[F64, F64]:
    """Return the mean loss and share inside of a minute, NaN where nothing was judged."""
    count = sums[2]
    mean = np.divide(sums[:2], count, out=np.full_like(sums[:2], np.nan), where=count > 0)
    return mean[0], mean[1]
