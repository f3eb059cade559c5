"""What a recording that was not finished has already: a file for each piece, beside the file that is to be written.

A piece is whole or not there: it is written by an atomic rename. Who is killed loses no more than the piece at work.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aiops.core.ids import digest
from aiops.core.model import F64
from aiops.errors import AiopsError
from simulators.backtest.recording import Recording, read, write


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Steps first to last - 1, counted from the epoch. columns: float64[last - first] by name."""

    first: int
    last: int
    columns: Mapping[str, F64]

    def part(self, first: int, last: int) -> Piece:
        """Return the steps of it that lie in an interval."""
        first, last = max(first, self.first), min(last, self.last)
        cut = slice(first - self.first, last - self.first)
        return Piece(first=first, last=last, columns={name: one[cut] for name, one in self.columns.items()})


@dataclass(slots=True)
class Pieces:
    """The pieces beside a file. asked: what was asked, by column; pieces of other questions are none of these.

    taken: how many steps were taken from them. broken: files that could not be read, and were asked for again.
    """

    file: Path
    step_s: float
    asked: Mapping[str, str]
    taken: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Return where they lie."""
        return self.file.with_name(f".{self.file.name}.pieces")

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len([*self.folder.glob(f"{self._id}-*.parquet")]) if self.folder.is_dir() else 0

    @property
    def _id(self) -> str:
        return digest(f"{self.step_s:g} {sorted(self.asked.items())}")[:12]

    def found(self, first: int, last: int) -> Piece | None:
        """Return what there is of steps first to last - 1, the longest such; None where there is nothing."""
        best: tuple[int, Path, int] | None = None
        for path in self.folder.glob(f"{self._id}-*.parquet") if self.folder.is_dir() else ():
            begins, ends = (int(part) for part in path.stem.rsplit("-", 2)[-2:])
            size = min(ends, last) - max(begins, first)
            if size > 0 and (best is None or size > best[0]):
                best = (size, path, begins)
        if best is None:
            return None
        try:
            kept = read(best[1])
        except AiopsError as err:  # what cannot be read is asked for again
            self.broken.append(str(err))
            best[1].unlink(missing_ok=True)
            return self.found(first, last)
        self.taken += best[0]
        begins = best[2]
        return Piece(first=begins, last=begins + len(kept.times), columns=kept.columns).part(first, last)

    def keep(self, piece: Piece) -> None:
        """Write a piece; those that lie in it are needed no more."""
        if piece.last - piece.first < 2:
            return  # no file has one row, and one step is soon asked for again
        made = self.folder / f"{self._id}-{piece.first}-{piece.last}.parquet"
        times = np.asarray(np.arange(piece.first, piece.last) * self.step_s, np.float64)
        write(Recording(origin="", times=times, step_s=self.step_s, columns=piece.columns), made)
        for path in self.folder.glob(f"{self._id}-*.parquet"):
            begins, ends = (int(part) for part in path.stem.rsplit("-", 2)[-2:])
            if path != made and piece.first <= begins and ends <= piece.last:
                path.unlink(missing_ok=True)

    def over(self) -> None:
        """Take them away: the file is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
