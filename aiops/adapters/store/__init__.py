"""The store: one database with the journal, what people said, and the state that is carried on.

Imported lazily by whoever needs it: SQLAlchemy costs half a second of start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from aiops.adapters.store.database import connect, ensure_schema, file_of, lock_writer
from aiops.adapters.store.journal import JournalWriter
from aiops.adapters.store.people import People
from aiops.adapters.store.reading import Asked, Reader, Stored
from aiops.adapters.store.retention import backup, prune, used_bytes
from aiops.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Asked", "Store", "Stored"]


@dataclass(slots=True)
class Store:
    """Everything of one database, by role."""

    url: str
    engine: Engine
    journal: JournalWriter
    people: People
    reader: Reader
    lock: TextIO | None = field(default=None)

    @classmethod
    def open(cls, url: str, *, batch: int = 1, writer: bool = False, anew: bool = False) -> Store:
        """Open a database and bring its schema up to date.

        batch: ticks per commit. writer: take the lock of the one daemon. anew: begin with an empty file, for a virtual
        world that begins anew. Raises ConfigurationError.
        """
        engine = connect(url)
        path = file_of(url)
        lock = lock_writer(path) if writer and path is not None else None
        if anew and path is not None:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        ensure_schema(engine)
        return cls(url, engine, JournalWriter(engine, batch), People(engine), Reader(engine), lock)

    @classmethod
    def existing(cls, url: str) -> Store:
        """Open a database that must be there already; raise ConfigurationError when it is not."""
        path = file_of(url)
        if path is not None and not path.exists():
            raise ConfigurationError(f"there is no store at {path}: has the daemon run with this configuration?")
        return cls.open(url)

    def prune(self, now: float, max_age_s: float, max_bytes: int) -> dict[str, int]:
        """Remove what is too old or too much; return rows removed by table."""
        return prune(self.engine, now, max_age_s, max_bytes)

    def used_bytes(self) -> int:
        """Return the size of what is stored."""
        return used_bytes(self.engine)

    def backup(self, target: Path) -> int:
        """Copy the store while it is in use, and return the copy's size in bytes."""
        path = file_of(self.url)
        if path is None:
            raise InvalidInput("only a SQLite file is copied here; use the database's own tools")
        return backup(path, target)

    def close(self) -> None:
        """Commit what was gathered, let go of the database and of the lock."""
        try:
            self.journal.flush()
        finally:
            self.engine.dispose()
            if self.lock is not None:
                self.lock.close()
