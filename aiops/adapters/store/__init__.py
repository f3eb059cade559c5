"""The store: one database with the journal, what people said, and the state that is carried on.

Imported lazily by whoever needs it: SQLAlchemy costs half a second of start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from aiops.adapters.store.access import Access
from aiops.adapters.store.alerts import Alerts
from aiops.adapters.store.audit import Audit, Sought
from aiops.adapters.store.audit_check import Checked, Fault
from aiops.adapters.store.copying import Copied, Said, backup, restore
from aiops.adapters.store.costs import Costs
from aiops.adapters.store.database import (
    connect,
    ensure_schema,
    file_of,
    found_revision,
    lock_writer,
    shown,
    translated,
)
from aiops.adapters.store.journal import JournalWriter
from aiops.adapters.store.notices import Notices
from aiops.adapters.store.people import People
from aiops.adapters.store.plans import Plans
from aiops.adapters.store.promotions import Promotions
from aiops.adapters.store.reading import Asked, Reader, Stored
from aiops.adapters.store.retention import Keeping, live_bytes, prune, used_bytes
from aiops.adapters.store.shards import StoreVault
from aiops.adapters.store.tables import REVISION
from aiops.adapters.store.versions import Latest, Tally, Versions
from aiops.adapters.store.views import Views
from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = [
    "REVISION",
    "Asked",
    "Checked",
    "Copied",
    "Fault",
    "Latest",
    "Said",
    "Sought",
    "Store",
    "StoreVault",
    "Stored",
    "Tally",
    "shown",
]
AUDIT_S = 400 * 86_400.0
"""How long the audit chain is kept where nothing else is said: a year, and the time to look at it."""


@dataclass(slots=True)
class Store:
    """Everything of one database, by role."""

    url: str
    engine: Engine
    journal: JournalWriter
    people: People
    reader: Reader
    promotions: Promotions
    versions: Versions
    alerts: Alerts
    plans: Plans
    costs: Costs
    views: Views
    audit: Audit
    notices: Notices
    access: Access
    lock: TextIO | None = field(default=None)
    found: str | None = field(default=None)
    """The revision of the schema as it was found; None for a store that was made."""

    @classmethod
    def open(cls, url: str, *, batch: int = 1, writer: bool = False, anew: bool = False) -> Store:
        """Open a database and bring its schema up to date.

        batch: ticks per commit. writer: this is a daemon; of a SQLite file it is the only one, of a PostgreSQL there
        may be several, and the claimed epoch decides who writes. anew: begin with an empty file, for a virtual world
        that begins anew. Raises ConfigurationError and CannotReach.
        """
        engine = connect(url, in_use=writer)
        path = file_of(url)
        lock = lock_writer(path) if writer and path is not None else None
        try:
            if anew and path is not None:
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
            found = ensure_schema(engine)
        except BaseException:
            engine.dispose()
            if lock is not None:
                lock.close()
            raise
        roles = (People(engine), Reader(engine), Promotions(engine), Versions(engine), Alerts(engine), Plans(engine))
        return cls(
            url,
            engine,
            JournalWriter(engine, batch),
            *roles,
            Costs(engine),
            Views(engine),
            Audit(engine),
            Notices(engine),
            Access(engine),
            lock,
            found,
        )

    @classmethod
    def existing(cls, url: str) -> Store:
        """Open a database that must be there already; raise ConfigurationError when it is not."""
        _must_be_there(url)
        return cls.open(url)

    @staticmethod
    def backup(url: str, target: Path) -> Copied:
        """Copy a store into one file while it is in use, of whatever revision it is, and check the copy.

        Raises InvalidInput, ConfigurationError, CannotReach and StoreUnavailable.
        """
        _must_be_there(url)
        engine = connect(url)
        try:
            found_revision(engine)
            return backup(engine, target)
        finally:
            engine.dispose()

    @staticmethod
    def restore(url: str, source: Path, *, replace: bool = False, said: Said | None = None) -> Copied:
        """Bring a backup into a store that nobody uses, whole or not at all; see `copying.restore`."""
        engine = connect(url)
        try:
            return restore(engine, source, replace=replace, said=said)
        finally:
            engine.dispose()

    def prune(self, now: float, max_age_s: float, max_bytes: int, audit_s: float = AUDIT_S) -> dict[str, int]:
        """Remove what is too old or too much; return rows removed by table. audit_s: the age of the audit chain."""
        keeping = Keeping(audit_s=audit_s, signer=self.audit.signer)
        return prune(self.engine, now, max_age_s, max_bytes, keeping)

    def used_bytes(self) -> int:
        """Return what the store takes on disk; raise StoreUnavailable."""
        with translated("the size of the store cannot be read"):
            return used_bytes(self.engine)

    def live_bytes(self) -> int:
        """Return what the rows that are there take, which is what `prune` limits; raise StoreUnavailable."""
        with translated("the size of the store cannot be read"):
            return live_bytes(self.engine)

    def close(self) -> None:
        """Commit what was gathered, let go of the database and of the lock."""
        try:
            self.journal.flush()
        finally:
            self.engine.dispose()
            if self.lock is not None:
                self.lock.close()


def _must_be_there(url: str) -> None:
    path = file_of(url)
    if path is not None and not path.exists():
        raise ConfigurationError(f"there is no store at {path}: has the daemon run with this configuration?")
