"""What backup and restore promise, from every database to every database."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from aiops.adapters.store import Store
from aiops.adapters.store.database import connect, writing
from aiops.adapters.store.postgres import patient
from aiops.adapters.store.tables import META, METADATA, REVISION
from aiops.errors import Fenced, InvalidInput, StoreUnavailable
from tests.builders import NOW
from tests.stored import acting, as_of_first_version, rows_of


def filled(store: Store, epoch: int = 3):
    """Let a leader write a tick, and return the turn."""
    turn = acting()
    store.journal.claim(epoch, "a", NOW)
    store.journal.begin(turn.tick, turn.state)
    return turn


class CopiesContract:
    """`url` and `another_url` are two empty stores; each of them may be of either kind."""

    def test_a_backup_is_one_whole_file_and_overwrites_nothing(self, opened, url, tmp_path):
        store = opened()
        turn = filled(store)
        folder = tmp_path / "copies"
        folder.mkdir()
        copy = folder / "copy.db"
        copied = Store.backup(url, copy)
        assert (copied.size_bytes, copied.revision, copied.epoch) == (copy.stat().st_size, REVISION, 3)
        assert copied.rows["ticks"] == 1
        assert list(folder.iterdir()) == [copy]
        found = opened(url=f"sqlite:///{copy}")
        assert rows_of(found) == rows_of(store)
        assert found.journal.load() == turn.state
        was = copy.read_bytes()
        with pytest.raises(InvalidInput, match="there already"):
            Store.backup(url, copy)
        assert copy.read_bytes() == was

    def test_a_backup_shows_one_moment_while_the_store_is_written(self, opened, url, tmp_path):
        store = opened()
        filled(store)
        with writing(store.engine) as connection, patient(connection):
            connection.execute(METADATA.tables["ticks"].insert(), [{"id": "half", "at": NOW}])
            copied = Store.backup(url, tmp_path / "copy.db")
        assert copied.rows["ticks"] == 1

    def test_a_backup_is_of_the_schema_that_the_store_has(self, url, tmp_path):
        as_of_first_version(url)
        copied = Store.backup(url, tmp_path / "copy.db")
        assert (copied.revision, copied.epoch, copied.rows["findings"]) == ("0001", 0, 1)

    def test_a_restore_brings_everything_into_an_empty_store(self, opened, url, another_url, tmp_path):
        store = opened()
        filled(store)
        Store.backup(url, tmp_path / "copy.db")
        copied = Store.restore(another_url, tmp_path / "copy.db")
        assert rows_of(opened(url=another_url)) == rows_of(store)
        assert copied.rows == {name: len(rows) for name, rows in rows_of(store).items()}

    def test_a_restore_names_what_is_in_the_way_and_replaces_it_when_told_so(self, opened, url, another_url, tmp_path):
        store, other = opened(), opened(url=another_url)
        filled(store)
        late = acting(60)
        other.journal.begin(late.tick, late.state)
        Store.backup(url, tmp_path / "copy.db")
        was = rows_of(other)
        with pytest.raises(InvalidInput, match=r"1 ticks.*--replace"):
            Store.restore(another_url, tmp_path / "copy.db")
        assert rows_of(other) == was
        Store.restore(another_url, tmp_path / "copy.db", replace=True)
        assert rows_of(other) == rows_of(store)

    @pytest.mark.parametrize(("here", "there", "after"), [(9, 3, 9), (3, 9, 9), (4, 4, 4)])
    def test_the_fence_never_goes_down_by_a_restore_s6(self, opened, url, another_url, tmp_path, here, there, after):
        store, other = opened(), opened(url=another_url)
        filled(store, epoch=there)
        Store.backup(url, tmp_path / "copy.db")
        other.journal.claim(here, "own", NOW)
        assert Store.restore(another_url, tmp_path / "copy.db", replace=True).epoch == after
        assert other.journal.epoch() == after
        with pytest.raises(Fenced):
            other.journal.claim(after, "a stranger", NOW)
        other.journal.claim(after + 1, "a stranger", NOW)

    def test_nothing_is_restored_while_a_daemon_has_the_store(self, opened, url, another_url, tmp_path):
        filled(opened())
        Store.backup(url, tmp_path / "copy.db")
        daemon = opened(url=another_url, writer=True)
        with pytest.raises(InvalidInput, match="in use"):
            Store.restore(another_url, tmp_path / "copy.db", replace=True)
        daemon.close()
        Store.restore(another_url, tmp_path / "copy.db", replace=True)

    def test_a_restore_that_fails_half_way_leaves_the_store_as_it_was(self, opened, url, another_url, tmp_path):
        store, other = opened(), opened(url=another_url)
        filled(store)
        Store.backup(url, tmp_path / "copy.db")
        with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
            copy.execute("DROP TABLE ticks")
        late = acting(60)
        other.journal.begin(late.tick, late.state)
        was = rows_of(other)
        with pytest.raises(StoreUnavailable, match="as it was"):
            Store.restore(another_url, tmp_path / "copy.db", replace=True)
        assert rows_of(other) == was

    def test_an_older_backup_is_migrated_and_a_newer_one_refused(self, opened, url, another_url, tmp_path):
        as_of_first_version(url)
        Store.backup(url, tmp_path / "old.db")
        copied = Store.restore(another_url, tmp_path / "old.db")
        assert (copied.revision, copied.rows["findings"]) == (REVISION, 1)
        with closing(sqlite3.connect(tmp_path / "old.db")) as old:
            assert old.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
            old.execute("UPDATE alembic_version SET version_num = '9999'")
            old.commit()
        with pytest.raises(InvalidInput, match="9999"):
            Store.restore(another_url, tmp_path / "old.db", replace=True)

    def test_a_store_of_an_older_program_is_migrated_by_a_restore(self, opened, url, another_url, tmp_path):
        store = opened()
        filled(store)
        Store.backup(url, tmp_path / "copy.db")
        as_of_first_version(another_url)
        Store.restore(another_url, tmp_path / "copy.db", replace=True)
        assert rows_of(opened(url=another_url)) == rows_of(store)

    def test_what_is_no_backup_is_refused_by_name(self, another_url, tmp_path):
        text, empty = tmp_path / "text.db", tmp_path / "empty.db"
        text.write_text("this is no database, but a text that is long enough to be looked at")
        with closing(sqlite3.connect(empty)) as made:
            made.execute("CREATE TABLE something (x)")
        for path, said in ((tmp_path / "none.db", "there is no backup"), (text, "no backup"), (empty, "no backup")):
            with pytest.raises(InvalidInput, match=said):
                Store.restore(another_url, path)

    def test_what_a_restore_did_not_bring_is_gone(self, opened, url, another_url, tmp_path):
        filled(opened())
        Store.backup(url, tmp_path / "copy.db")
        engine = connect(another_url)
        opened(url=another_url)
        with writing(engine) as connection:
            connection.execute(META.insert(), [{"key": "left", "value": "over"}])
        engine.dispose()
        Store.restore(another_url, tmp_path / "copy.db", replace=True)
        assert not any("left" in row for row in rows_of(opened(url=another_url))["meta"])
