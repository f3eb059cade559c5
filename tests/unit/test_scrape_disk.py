"""Samples on disk outlive a restart, are bounded, and a file that is broken stops nobody."""

from __future__ import annotations

import logging
import math

import pytest

from aiops.adapters.scrape.buffer import BufferFull
from aiops.adapters.scrape.kept import Kept
from aiops.adapters.scrape.options import ScrapeOptions
from aiops.adapters.scrape.scraper import Scraper
from aiops.errors import ConfigurationError
from tests.unit.scraped import T0, labels, values


def scraper(path, now_s: float = T0 / 1000, **changes) -> Scraper:
    options = ScrapeOptions(targets=(), file=path, keep_s=3600.0, **changes)
    return Scraper(options, lambda: now_s)


def test_a_restart_keeps_its_past_with_ends_and_every_nan(tmp_path):
    path = tmp_path / "deep" / "scrape.db"
    first = scraper(path)
    one, other = labels("a", x="ü"), labels("a", x="2")
    first.buffer.add([(one, T0 - 30_000, 1.0), (one, T0 - 15_000, math.nan), (other, T0 - 15_000, 2.0)])
    first.write()
    first.buffer.add([(one, T0, math.inf)])
    first.buffer.end([other], T0)
    first.stop(1.0)
    second = scraper(path)
    assert values(second.buffer, "a", 0) == {"__name__=a,x=ü": math.inf}
    assert values(second.buffer, "sum by (x) (count_over_time(a[1m]))", 0) == {"x=2": 1.0, "x=ü": 3.0}
    second.buffer.add([(one, T0 - 1, 7.0), (one, T0 + 15_000, 3.0)])
    assert values(second.buffer, "sum(a)", 15) == {"": 3.0}
    second.stop(1.0)


def test_after_a_restart_what_is_not_scraped_any_more_makes_room(tmp_path):
    path = tmp_path / "scrape.db"
    first = scraper(path, max_series=10)
    old = [labels("a", pod=str(number)) for number in range(10)]
    first.buffer.add([(one, T0 - 30_000, 1.0) for one in old])
    first.buffer.end(old[:6], T0 - 15_000)
    first.stop(1.0)
    second = scraper(path, max_series=10)
    second.buffer.add([(one, T0, 2.0) for one in old[6:]])
    second.buffer.add([(labels("a", pod=f"new{number}"), T0, 1.0) for number in range(6)])
    assert values(second.buffer, "sum(a)", 0) == {"": 14.0}
    with pytest.raises(BufferFull, match="10 series live"):
        second.buffer.add([(labels("a", pod="more"), T0, 1.0)])
    second.stop(1.0)


def test_what_is_too_old_is_not_loaded_and_is_dropped_from_the_file(tmp_path):
    path = tmp_path / "scrape.db"
    first = scraper(path)
    first.buffer.add([(labels("old"), T0 - 7_200_000, 1.0)])
    first.write()
    first.buffer.add([(labels("new"), T0, 1.0)])
    first.write()
    first.prune()
    assert first._kept._db.execute("SELECT count(*) FROM chunks").fetchone() == (1,)
    assert first._kept._db.execute("SELECT labels FROM series").fetchall() == [(b'[["__name__","new"]]',)]
    first.stop(1.0)
    assert scraper(path).buffer.size() == (1, 1)


def test_the_file_is_bounded_in_samples_too(tmp_path):
    path = tmp_path / "scrape.db"
    first = scraper(path, max_samples=20_000)
    for number in range(10):
        at = range(T0 + number * 5000, T0 + number * 5000 + 5000)
        first.buffer.add([(labels("a"), at_ms, 1.0) for at_ms in at])
        first.write()
    first.prune()
    kept = first._kept._db.execute("SELECT sum(samples), max(newest_ms) FROM chunks").fetchone()
    assert kept == (20_000, T0 + 49_999)
    first.stop(1.0)


def test_a_file_that_is_broken_is_put_aside_and_one_of_another_process_is_said(tmp_path):
    path = tmp_path / "scrape.db"
    path.write_bytes(b"this is no database" * 1000)
    first = scraper(path)
    assert (tmp_path / "scrape.db.broken").read_bytes().startswith(b"this is no")
    with pytest.raises(ConfigurationError, match="used by another process"):
        Kept(path)
    first.stop(1.0)


def test_a_file_with_broken_pages_is_put_aside_and_the_daemon_begins(tmp_path, caplog):
    path = tmp_path / "scrape.db"
    first = scraper(path)
    for number in range(3):
        first.buffer.add([(labels("a", x=f"{number}-{other}"), T0, 1.0) for other in range(50)])
        first.write()
    first._kept._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    first.stop(1.0)
    raw = bytearray(path.read_bytes())
    for page in range(4096, len(raw), 4096):
        raw[page : page + 100] = b"\xff" * 100
    path.write_bytes(raw)
    second = scraper(path)
    assert second.buffer.size() == (0, 0)
    assert "scraped_past_broken" in [one.message for one in caplog.records]
    assert (tmp_path / "scrape.db.broken").exists()
    second.buffer.add([(labels("a"), T0, 1.0)])
    second.stop(1.0)
    assert scraper(path).buffer.size() == (1, 1)


def test_what_is_no_fault_of_the_file_leaves_it_where_it_is(tmp_path):
    path = tmp_path / "scrape.db"
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"scrape\.file: .*unable to open"):
        Kept(path)
    assert [one.name for one in tmp_path.iterdir()] == ["scrape.db"]


def test_series_of_a_write_that_did_not_end_are_written_with_the_next(tmp_path):
    """The number of a series that was rolled back is given to another one."""
    path = tmp_path / "scrape.db"
    first = scraper(path)
    first.buffer.add([(labels("a"), T0, 1.0)])
    db = first._kept._db
    db.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE ends (id INTEGER REFERENCES series DEFERRABLE INITIALLY DEFERRED);"
        "CREATE TRIGGER fails AFTER INSERT ON chunks BEGIN INSERT INTO ends VALUES (-1); END;"
    )
    first.write()  # fails when it is committed, as on a full disk
    db.execute("DROP TRIGGER fails")
    first.buffer.add([(labels("b"), T0, 2.0)])
    first.write()
    first.buffer.add([(labels("a"), T0 + 15_000, 3.0)])
    first.stop(1.0)
    assert values(scraper(path).buffer, "last_over_time({__name__=~'a|b'}[1m])", 15) == {
        "__name__=a": 3.0,
        "__name__=b": 2.0,
    }


def test_a_piece_that_cannot_be_read_is_left_out_and_the_others_are_there(tmp_path):
    path = tmp_path / "scrape.db"
    first = scraper(path)
    for number in range(3):
        first.buffer.add([(labels("a"), T0 + number, float(number))])
        first.write()
    with first._kept._db as db:
        db.execute("UPDATE chunks SET body = x'00' WHERE id = 2")
    first.stop(1.0)
    assert values(scraper(path).buffer, "sum(count_over_time(a[1m]))", 1) == {"": 2.0}


def test_a_disk_that_takes_nothing_loses_nothing_in_memory_and_fills_nothing(tmp_path, caplog):
    first = scraper(tmp_path / "scrape.db", max_samples=20_000)
    first._kept._db.execute("PRAGMA query_only = 1")
    for number in range(3):
        first.buffer.add([(labels("a", x=str(x)), T0 + number, 1.0) for x in range(1000)])
        first.write()
    warned = [one.message for one in caplog.records if one.levelno >= logging.WARNING]
    assert warned == ["scraped_past_not_written"]
    assert values(first.buffer, "count(a)", 1) == {"": 1000.0}
    first._kept._db.execute("PRAGMA query_only = 0")
    first.buffer.add([(labels("a", x="1"), T0 + 100, 1.0)])
    first.write()
    first.stop(1.0)
    assert scraper(tmp_path / "scrape.db").buffer.size() == (1, 1)
