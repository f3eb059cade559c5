"""Parting and joining what was learnt, row by row: rows move between processes with all that is known of them.

Which axis of an array counts rows is seen from how one row's state differs from two rows'; so a detector need not know
that its rows can move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import Rows
from aiops.core.protocols import Arrays


def joined(pieces: Sequence[Arrays], state_of: Callable[[int], Arrays]) -> dict[str, NDArray[np.generic]]:
    """Return one state with the rows of all pieces, in order; what has no rows, such as a clock, is the first one's.

    pieces: whole states, all of one instant. state_of: makes the state of so many new rows.
    """
    fresh, one, two = state_of(0), state_of(1), state_of(2)
    out: dict[str, NDArray[np.generic]] = {}
    for name in fresh:
        axis = _axis(one[name].shape, two[name].shape)
        if axis is None:
            out[name] = pieces[0][name]
            continue
        out[name] = np.concatenate(_alike([piece[name] for piece in pieces], axis, one[name]), axis=axis)
    return out


def _axis(one: Sequence[int], two: Sequence[int]) -> int | None:
    differing = [axis for axis, (few, more) in enumerate(zip(one, two, strict=True)) if few != more]
    return differing[0] if differing else None


def _alike(parts: Sequence[NDArray[np.generic]], axis: int, fresh: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """Return arrays that differ along the rows' axis alone: rings that have grown in one piece have room in all."""
    wide = [max(part.shape[place] for part in parts) for place in range(parts[0].ndim)]
    made = []
    for part in parts:
        shape = [part.shape[place] if place == axis else wide[place] for place in range(part.ndim)]
        if list(part.shape) == shape:
            made.append(part)
            continue
        room = np.full(shape, fresh.reshape(-1)[-1], part.dtype)
        room[tuple(slice(0, size) for size in part.shape)] = part
        made.append(room)
    return made


def chosen(keys: Sequence[str], wanted: Callable[[str], bool], taken: AbstractSet[str]) -> Rows:
    """Return the rows whose key is wanted and was not taken before."""
    return np.array([row for row, key in enumerate(keys) if key not in taken and wanted(key)], np.intp)


def under(arrays: Arrays, prefix: str) -> Arrays:
    """Return the arrays of one part of a checkpoint."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
