"""Where shards keep what they have learnt: a file for each, in a folder that all nodes see, or the SQL store."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from aiops.core.detect.fleet import Learnt
from aiops.core.model import Instant

_NAME = re.compile(r"shard-(\d+)-of-(\d+)")


class Vault(Protocol):
    """Keeps arrays by name; travels to the processes of shards."""

    def keep(self, name: str, arrays: Learnt, epoch: int | None, at: Instant) -> None:
        """Keep arrays under a name in place of the former ones, or leave those; raise OSError.

        epoch: of the leader for whom they were learnt, None where nobody is elected. at: until when.
        """
        ...

    def load(self, name: str) -> Learnt:
        """Return what is kept under a name; raise LookupError when nothing is, ValueError when it cannot be used.

        Raises OSError when that cannot be told now.
        """
        ...

    def names(self) -> Sequence[str]:
        """Return under which names something is kept, the newest first; raise OSError."""
        ...

    def drop(self, name: str) -> None:
        """Keep nothing under a name any more; raise OSError."""
        ...


@dataclass(frozen=True, slots=True)
class FolderVault:
    """Files of a folder; each takes its place by an atomic rename. A folder knows no epochs: the last one counts."""

    folder: Path

    def keep(self, name: str, arrays: Learnt, epoch: int | None, at: Instant) -> None:
        """Write beside, then rename: a crash leaves the former one."""
        write(self.folder / f"{name}.npz", arrays)

    def load(self, name: str) -> Learnt:
        """Return what the file holds."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            raise LookupError(name)
        return read(path)

    def names(self) -> Sequence[str]:
        """Return the files of shards that are there."""
        if not self.folder.is_dir():
            return ()
        found = [one for one in self.folder.glob("shard-*.npz") if _NAME.fullmatch(one.stem)]
        return tuple(one.stem for one in sorted(found, key=lambda one: -one.stat().st_mtime))

    def drop(self, name: str) -> None:
        """Remove the file, where it is."""
        (self.folder / f"{name}.npz").unlink(missing_ok=True)


def write(path: Path, arrays: Learnt) -> None:
    """Write arrays beside `path`, then let them take that place: a crash leaves the old ones. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub has keywords beside arrays
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path: Path) -> Learnt:
    """Return the arrays of a file; raise ValueError, with the reason, when it cannot be used."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as err:
        raise ValueError(f"{path} cannot be used ({err})") from err


def layout(name: str) -> int:
    """Return of how many shards a name says that it is one; 0 when it says nothing."""
    match = _NAME.fullmatch(name)
    return 0 if match is None else int(match[2])
