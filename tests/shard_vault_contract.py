"""What the database promises to shards, whichever database it is: whole, bounded, fenced, or a reason."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import delete, func, insert, select, update

from aiops.adapters.store import Store, StoreVault
from aiops.adapters.store.database import connect, writing
from aiops.adapters.store.shard_tables import CHECKPOINTS, PARTS
from aiops.adapters.store.shards import PART_BYTES

ROOM = 50e6
ONE, TWO = "shard-0-of-2", "shard-1-of-2"


def some(value: float, count: int = 10) -> dict[str, np.ndarray]:
    return {"about": np.frombuffer(b"{}", np.uint8), "level": np.full(count, value), "bins": np.arange(3, dtype="f2")}


def parts(url: str) -> int:
    engine = connect(url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(PARTS)).scalar_one())
    finally:
        engine.dispose()


def change(url: str, *statements) -> None:
    engine = connect(url)
    with writing(engine) as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


class ShardVaultContract:
    """`opened` makes the schema of `url`."""

    @pytest.fixture
    def vault(self, opened, url) -> StoreVault:
        opened()
        return StoreVault(url=url, max_bytes=ROOM)

    def test_what_is_kept_is_found_as_it_was_whatever_its_size(self, vault, url):
        large = {"level": np.arange(PART_BYTES // 8 + 5, dtype=float), "none": np.zeros((0, 3))}
        vault.keep(ONE, large, 3, 100.0)
        found = vault.load(ONE)
        assert set(found) == {"level", "none"}
        assert (found["level"] == large["level"]).all()
        assert found["none"].shape == (0, 3)
        assert parts(url) == 2

    def test_the_newest_is_first_and_the_former_one_leaves_nothing(self, vault, url):
        vault.keep(ONE, some(1.0), 3, 100.0)
        vault.keep(TWO, some(2.0), 3, 101.0)
        assert vault.names() == (TWO, ONE)
        vault.keep(ONE, some(3.0), 3, 102.0)
        assert vault.names() == (ONE, TWO)
        assert vault.load(ONE)["level"].tolist() == [3.0] * 10
        assert parts(url) == 2

    def test_what_is_not_there_is_a_lookup_error(self, vault, url):
        with pytest.raises(LookupError):
            vault.load(ONE)
        vault.keep(ONE, some(1.0), None, 100.0)
        vault.drop(ONE)
        assert (vault.names(), parts(url)) == ((), 0)

    def test_more_than_all_shards_may_keep_is_refused_and_the_former_one_stays(self, vault, url):
        small = StoreVault(url=url, max_bytes=2_000.0)
        small.keep(ONE, some(1.0), 3, 100.0)
        with pytest.raises(OSError, match=r"other shards have kept 0.0 MB.*engine\.checkpoints_max"):
            small.keep(TWO, some(2.0, 1_000), 3, 100.0)
        with pytest.raises(OSError, match=r"shard-0-of-2 has learnt"):
            small.keep(ONE, some(2.0, 1_000), 3, 101.0)
        assert small.names() == (ONE,)
        assert small.load(ONE)["level"].tolist() == [1.0] * 10
        assert parts(url) == 1

    def test_shards_of_another_number_are_no_hindrance_while_they_are_there(self, vault, url):
        vault.keep("shard-0-of-1", some(1.0, 1_000), 3, 100.0)
        small = StoreVault(url=url, max_bytes=2_000.0)
        small.keep(ONE, some(1.0), 3, 100.0)
        assert set(small.names()) == {ONE, "shard-0-of-1"}

    def test_a_leader_that_was_succeeded_keeps_nothing_s6(self, vault, opened, url):
        opened().journal.claim(7, "the next one", 50.0)
        with pytest.raises(OSError, match="epoch 7 is in force"):
            vault.keep(ONE, some(1.0), 6, 100.0)
        assert (vault.names(), parts(url)) == ((), 0)
        vault.keep(ONE, some(1.0), 7, 100.0)

    def test_a_shard_that_should_be_gone_puts_nothing_older_in_the_place_of_its_successors(self, vault, url):
        gone = StoreVault(url=url, max_bytes=ROOM)
        vault.keep(ONE, some(5.0), 7, 100.0)
        with pytest.raises(OSError, match="kept as of 100 by another process, which is later than 90"):
            gone.keep(ONE, some(1.0), 7, 90.0)
        with pytest.raises(OSError, match="kept under epoch 7, after 6"):
            gone.keep(ONE, some(1.0), 6, 300.0)
        gone.keep(ONE, some(2.0), 8, 90.0)  # a new leader may begin earlier: its clock is another
        assert vault.load(ONE)["level"][0] == 2.0

    def test_where_nobody_is_elected_epochs_hinder_nobody(self, vault, opened, url):
        opened().journal.claim(7, "of before", 50.0)
        vault.keep(ONE, some(1.0), None, 100.0)
        vault.keep(ONE, some(2.0), None, 101.0)
        with pytest.raises(OSError, match="later than"):
            StoreVault(url=url, max_bytes=ROOM).keep(ONE, some(3.0), None, 100.5)
        assert vault.load(ONE)["level"][0] == 2.0

    @pytest.mark.parametrize("epoch", [None, 7])
    def test_a_clock_that_is_set_back_hinders_neither_who_kept_it_nor_who_goes_on_with_it(self, vault, url, epoch):
        vault.keep(ONE, some(1.0), epoch, 90_000.0)
        vault.keep(ONE, some(2.0), epoch, 400.0)
        assert vault.load(ONE)["level"][0] == 2.0
        vault.keep(ONE, some(3.0), epoch, 80_000.0)
        again = StoreVault(url=url, max_bytes=ROOM)
        assert again.load(ONE)["level"][0] == 3.0
        again.keep(ONE, some(4.0), epoch, 300.0)
        assert vault.load(ONE)["level"][0] == 4.0

    def test_who_could_not_read_what_a_clock_ahead_of_ours_left_is_refused_once_and_not_for_ever(self, vault, url):
        other = StoreVault(url=url, max_bytes=ROOM)
        vault.keep(ONE, some(1.0), 7, 90_000.0)
        with pytest.raises(OSError, match="later than"):
            other.keep(ONE, some(2.0), 7, 100.0)
        vault.keep(ONE, some(3.0), 7, 90_015.0)
        with pytest.raises(OSError, match="later than"):  # somebody goes on with it
            other.keep(ONE, some(4.0), 7, 115.0)
        other.keep(ONE, some(5.0), 7, 130.0)  # and now nobody does
        assert vault.load(ONE)["level"][0] == 5.0

    def test_what_is_not_whole_says_so(self, vault, url):
        vault.keep(ONE, some(1.0), 3, 100.0)
        vault.keep(TWO, some(2.0), 3, 100.0)
        change(
            url,
            update(PARTS).where(PARTS.c.name == ONE).values(content=b"other"),
            delete(PARTS).where(PARTS.c.name == TWO),
        )
        with pytest.raises(ValueError, match="is not what was kept"):
            vault.load(ONE)
        with pytest.raises(ValueError, match="part 0 of 1 is missing"):
            vault.load(TWO)

    def test_another_format_is_refused_in_words(self, vault, url):
        vault.keep(ONE, some(1.0), 3, 100.0)
        change(url, update(CHECKPOINTS).values(format=99))
        with pytest.raises(ValueError, match="of format 99, this program knows 1"):
            vault.load(ONE)

    def test_what_was_begun_and_never_put_up_is_removed_by_the_next(self, vault, url):
        left = {"generation": "x", "part": 0, "content": b"x"}
        change(url, insert(PARTS).values([{"name": ONE, **left}, {"name": "shard-3-of-9", **left}]))
        vault.keep(TWO, some(1.0), 3, 100.0)
        assert parts(url) == 2  # a shard of this number may be about to write it
        vault.keep(ONE, some(1.0), 3, 100.0)
        assert parts(url) == 2

    def test_nothing_of_it_is_in_a_backup_or_in_the_way_of_a_restore(self, vault, opened, url, another_url, tmp_path):
        opened(url=another_url)
        StoreVault(url=another_url, max_bytes=ROOM).keep(ONE, some(1.0), 3, 100.0)
        copied = Store.backup(another_url, tmp_path / "copy.db")
        Store.restore(another_url, tmp_path / "copy.db")
        assert StoreVault(url=another_url, max_bytes=ROOM).load(ONE)["level"][0] == 1.0
        if url.startswith("postgres"):
            assert copied.rows["shard_parts"] == 0
