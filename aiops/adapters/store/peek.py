"""Looking at a store without changing anything: no file is made, no schema brought up, no lock taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiops.adapters.store.audit import head_in
from aiops.adapters.store.database import connect, file_of, found_revision, translated
from aiops.adapters.store.promotions import Promotions
from aiops.adapters.store.tables import REVISION
from aiops.core.record.audit import Head
from aiops.core.versions import Promotion

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Peeked:
    """What is there. revision: of its schema, None for an empty database; known: the one of this program.

    head, promotions: None and nothing where the schema is another's.
    """

    revision: str | None
    known: str
    head: Head | None = None
    promotions: tuple[Promotion, ...] = ()


def peeked(url: str) -> Peeked | None:
    """Return what is in a store, None for a file that is not there yet.

    Raises ConfigurationError, CannotReach and StoreUnavailable.
    """
    path = file_of(url)
    if path is not None and not path.exists():
        return None
    engine = connect(url) if path is None else _reading(path)
    try:
        found = found_revision(engine)
        if found != REVISION:
            return Peeked(revision=found, known=REVISION)
        with translated("the end of the audit chain cannot be read"), engine.connect() as connection:
            head = head_in(connection)
        return Peeked(revision=found, known=REVISION, head=head, promotions=Promotions(engine).every())
    finally:
        engine.dispose()


def _reading(path: Path) -> Engine:
    """Return an engine that reads a SQLite file and can write nothing."""
    from urllib.parse import quote

    from sqlalchemy import create_engine

    # without a log beside it nobody writes, and reading would make one
    used = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if used else "mode=ro&immutable=1"
    return create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?{how}&uri=true")
