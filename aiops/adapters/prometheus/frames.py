"""Frames of several sources as one: a source that does not answer keeps its rows, without values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aiops.core.model import Frame, Instant, SeriesIndex

_NO_SERIES = SeriesIndex(keys=(), labels=())


@dataclass(slots=True)
class Frames:
    """Joins frames; the joined index is one object for as long as its parts are the same objects."""

    _last: dict[str, SeriesIndex] = field(default_factory=dict)
    _parts: tuple[SeriesIndex, ...] = ()
    _index: SeriesIndex = _NO_SERIES

    def joined(self, frames: Mapping[str, Frame | None], at: Instant) -> Frame:
        """Return one frame of all, in their order. None: the source said nothing, which teaches nothing (S1).

        A read without watches, as one between two turns, has none, and lets what is known of them be.
        """
        if not frames:
            return _silent(None, at)
        if len(frames) == 1:
            (only,) = frames.values()
            if only is not None:
                self._last = dict.fromkeys(frames, only.index)
                return only
        whole = {name: _silent(self._last.get(name), at) if one is None else one for name, one in frames.items()}
        self._last = {name: one.index for name, one in whole.items()}
        parts = tuple(one.index for one in whole.values())
        if len(parts) != len(self._parts) or any(a is not b for a, b in zip(parts, self._parts, strict=True)):
            self._parts = parts
            self._index = SeriesIndex(
                keys=tuple(key for one in parts for key in one.keys),
                labels=tuple(labels for one in parts for labels in one.labels),
            )
        values = np.concatenate([one.values for one in whole.values()]) if whole else np.empty(0)
        learn = np.concatenate([one.learn for one in whole.values()]) if whole else np.empty(0, np.bool_)
        return Frame(at=at, index=self._index, values=values, learn=learn)


def _silent(index: SeriesIndex | None, at: Instant) -> Frame:
    known = _NO_SERIES if index is None else index
    return Frame(at=at, index=known, values=np.full(len(known), np.nan), learn=np.zeros(len(known), np.bool_))
