"""Fleet state in this process, checkpointed to a file by atomic rename."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from aiops.core.bank import Bank


def save(bank: Bank, path: Path) -> None:
    """Write a checkpoint beside `path`, then let it take that place: a crash leaves the old one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        np.savez(file, **bank.arrays())  # type: ignore[arg-type]  # numpy's stub has keywords beside arrays
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def restore(bank: Bank, path: Path) -> tuple[str, ...]:
    """Let the bank take a checkpoint, and return what must be learnt again, with the reason."""
    if not path.exists():
        return ("everything: there is no checkpoint yet",)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return bank.restore(dict(arrays))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as err:
        return (f"everything: {path} cannot be used ({err})",)
