"""engine.Vault over the database: what shards have learnt, for nodes that have no folder in common.

A checkpoint is written part by part under a generation of its own, and counts from the one short transaction on that
puts it up: before that the former one counts, whatever ends. A leader that was succeeded puts up nothing (S6).

Clocks are set back: whatever their instants say, what is there is older than what is put up by who has put that up or
loaded it. Instants decide between two that know nothing of each other, and only once.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, not_, select
from sqlalchemy.exc import SQLAlchemyError

from aiops.adapters.store import fence
from aiops.adapters.store.database import connect, reason, writing
from aiops.adapters.store.shard_tables import CHECKPOINTS, PARTS
from aiops.errors import FatalError, let_go

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping

FORMAT = 1
PART_BYTES = 2 << 20
IN_MEMORY_BYTES = 64 << 20

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """What is put up: the shard, of which generation, how much, by whose epoch (None where nobody is elected).

    known: the generation that this process last saw there, '' for none.
    """

    name: str
    generation: str
    parts: int
    size: int
    digest: str
    epoch: int | None
    at: float
    known: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreVault:
    """A database that is there already, by its URL. It travels to the processes of shards, which connect themselves.

    max_bytes: of the checkpoints of all shards together; while the number of shards changes, of either number.
    """

    url: str
    max_bytes: float
    _known: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def keep(self, name: str, arrays: Arrays, epoch: int | None, at: float) -> None:
        """Keep arrays in place of the former ones; raise OSError, and those stay.

        epoch: under which they were learnt, None where nobody is elected; those of a lower epoch than is in force are
        refused. at: until when; older ones than another process keeps under the same epoch are refused, unless that
        process has kept nothing since they were refused before.
        """
        generation = secrets.token_hex(8)
        with self._opened(f"what {name} has learnt cannot be kept") as engine, _spooled() as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub has keywords beside arrays
            size = file.tell()
            file.seek(0)
            with engine.connect() as connection:
                self._room_for(connection, name, size)
            try:
                parts, digest = _sent(engine, file, name, generation)
                sealed = _Sealed(
                    name=name,
                    generation=generation,
                    parts=parts,
                    size=size,
                    digest=digest,
                    epoch=epoch,
                    at=at,
                    known=self._known.get(name, ""),
                )
                self._put_up(engine, sealed)
            except (OSError, SQLAlchemyError):
                _swept(engine, (PARTS.c.name == name) & (PARTS.c.generation == generation))
                raise
            # not in the transaction that holds the fence: the leader's next turn would wait for it
            _swept(engine, (PARTS.c.name == name) & (PARTS.c.generation != generation))
            # what a shard of another number of shards began to write and never finished
            unknown = PARTS.c.name.not_in(select(CHECKPOINTS.c.name))
            _swept(engine, unknown & not_(PARTS.c.name.like(f"%{_layout(name)}")))

    def load(self, name: str) -> Arrays:
        """Return what is kept; raise LookupError when nothing is, ValueError when it cannot be used, OSError."""
        with self._opened(f"what {name} has learnt cannot be read") as engine, _spooled() as file:
            with engine.connect() as connection:
                head = connection.execute(select(CHECKPOINTS).where(CHECKPOINTS.c.name == name)).mappings().first()
                if head is None:
                    raise LookupError(name)
                self._known[name] = head["generation"]
                if head["format"] != FORMAT:
                    raise ValueError(f"{name} in the store is of format {head['format']}, this program knows {FORMAT}")
                _fetched(connection, head, file)
            file.seek(0)
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    return dict(arrays)
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as err:
                raise ValueError(f"{name} in the store cannot be used ({err})") from err

    def names(self) -> Sequence[str]:
        """Return under which names something is kept, the newest first; raise OSError."""
        query = select(CHECKPOINTS.c.name).order_by(CHECKPOINTS.c.at.desc(), CHECKPOINTS.c.name)
        with self._opened("what shards have learnt cannot be listed") as engine, engine.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def drop(self, name: str) -> None:
        """Keep nothing under a name any more; raise OSError."""
        with self._opened(f"{name} cannot be dropped") as engine, writing(engine) as connection:
            connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.name == name))
            connection.execute(delete(PARTS).where(PARTS.c.name == name))

    # -- inner -----------------------------------------------------------------------------------------

    def _put_up(self, engine: Engine, sealed: _Sealed) -> None:
        try:
            with writing(engine) as connection:
                _put_up(connection, sealed)
        except _Later as err:
            self._known[sealed.name] = err.generation
            raise
        self._known[sealed.name] = sealed.generation

    def _room_for(self, connection: Connection, name: str, size: int) -> None:
        others = select(func.coalesce(func.sum(CHECKPOINTS.c.bytes), 0)).where(
            CHECKPOINTS.c.name.like(f"%{_layout(name)}"), CHECKPOINTS.c.name != name
        )
        taken = int(connection.execute(others).scalar_one())
        if taken + size > self.max_bytes:
            raise OSError(
                f"{name} has learnt {size / 1e6:.1f} MB, other shards have kept {taken / 1e6:.1f} MB,"
                f" and all may keep {self.max_bytes / 1e6:.1f} MB (engine.checkpoints_max)"
            )

    @contextmanager
    def _opened(self, what: str) -> Iterator[Engine]:
        """Yield the database; what goes wrong with it is an OSError in our words, without the password."""
        try:
            engine = connect(self.url)
        except FatalError as err:
            raise OSError(f"{what}: {err}") from None
        try:
            yield engine
        except SQLAlchemyError as err:
            let_go(err)
            raise OSError(f"{what}: {reason(err)}") from err
        finally:
            engine.dispose()


class _Later(OSError):
    """What another process keeps was learnt later. generation: of that."""

    def __init__(self, generation: str, what: str) -> None:
        super().__init__(what)
        self.generation = generation


def _spooled() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)


def _layout(name: str) -> str:
    """Return the end of a name that all shards of one number of shards have in common, such as `-of-4`."""
    return f"-of-{name.rpartition('-of-')[2]}"


def _sent(engine: Engine, file: IO[bytes], name: str, generation: str) -> tuple[int, str]:
    """Write the parts, each in a transaction of its own, and return how many there are, and their digest."""
    digest, parts = hashlib.sha256(), 0
    while content := file.read(PART_BYTES):
        digest.update(content)
        row = {"name": name, "generation": generation, "part": parts, "content": content}
        with writing(engine) as connection:
            connection.execute(insert(PARTS).values(row))
        parts += 1
    return parts, digest.hexdigest()


def _put_up(connection: Connection, sealed: _Sealed) -> None:
    """Let a generation count, in place of the former one; raise OSError where another counts by right."""
    if sealed.epoch is not None and (standing := fence.standing(connection, hold=True)) > sealed.epoch:
        raise OSError(f"epoch {standing} is in force: what {sealed.name} learnt under {sealed.epoch} is not kept")
    former = select(CHECKPOINTS).where(CHECKPOINTS.c.name == sealed.name).with_for_update()
    head = connection.execute(former).mappings().first()
    epoch = _succeeding(head, sealed)
    mine = (PARTS.c.name == sealed.name) & (PARTS.c.generation == sealed.generation)
    there = int(connection.execute(select(func.count()).select_from(PARTS).where(mine)).scalar_one())
    if there != sealed.parts:
        raise OSError(f"of {sealed.parts} parts of {sealed.name} {there} are there: another process keeps it, too")
    connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.name == sealed.name))
    row = {
        "name": sealed.name,
        "generation": sealed.generation,
        "format": FORMAT,
        "epoch": epoch,
        "at": sealed.at,
        "parts": sealed.parts,
        "bytes": sealed.size,
        "digest": sealed.digest,
    }
    connection.execute(insert(CHECKPOINTS).values(row))


def _succeeding(head: RowMapping | None, sealed: _Sealed) -> int:
    """Return the epoch of what is put up; raise OSError when what is there was learnt later, or by a later leader."""
    if head is None:
        return sealed.epoch or 0
    if sealed.epoch is not None and head["epoch"] > sealed.epoch:
        raise OSError(f"{sealed.name} was kept under epoch {head['epoch']}, after {sealed.epoch}")
    strange = head["generation"] != sealed.known
    if strange and head["at"] > sealed.at and sealed.epoch in (None, head["epoch"]):
        what = f"{sealed.name} is kept as of {head['at']:.0f} by another process, which is later than {sealed.at:.0f}"
        raise _Later(head["generation"], what)
    return int(head["epoch"]) if sealed.epoch is None else sealed.epoch


def _fetched(connection: Connection, head: RowMapping, file: IO[bytes]) -> None:
    """Write the parts of a checkpoint into a file, one after the other; raise ValueError when they are not whole."""
    digest = hashlib.sha256()
    for part in range(head["parts"]):
        query = select(PARTS.c.content).where(
            PARTS.c.name == head["name"], PARTS.c.generation == head["generation"], PARTS.c.part == part
        )
        content: Any = connection.execute(query).scalar()
        if content is None:
            raise ValueError(f"{head['name']} in the store is not whole: part {part} of {head['parts']} is missing")
        digest.update(content)
        file.write(content)
    if digest.hexdigest() != head["digest"]:
        raise ValueError(f"{head['name']} in the store is not what was kept")


def _swept(engine: Engine, which: ColumnElement[bool]) -> None:
    """Remove parts that do not count; where that fails the next one who keeps removes them."""
    try:
        with writing(engine) as connection:
            connection.execute(delete(PARTS).where(which))
    except SQLAlchemyError as err:
        let_go(err)
