"""Scraping targets on time: what is new, what has ended, who is up; beside the loop, in threads of its own."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from aiops.adapters.scrape.buffer import Buffer, BufferFull
from aiops.adapters.scrape.client import Client, Fetched, ScrapeFailed
from aiops.adapters.scrape.exposition import Sample, names, samples
from aiops.adapters.scrape.kept import Kept
from aiops.adapters.scrape.matching import Labels, labels_of
from aiops.adapters.scrape.options import ScrapeOptions, Target

_LOG = logging.getLogger("aiops.scrape")
AHEAD_MS = 600_000
"""A sample that says to be of later than this is not believed."""

PRUNE_S = 600.0


class Scraping:
    """One target: fetches, takes what there is, and marks what has ended (S1)."""

    def __init__(self, target: Target, buffer: Buffer, fetch: Callable[[], Fetched]) -> None:
        self.target = target
        self.why = "not scraped yet"
        self._buffer = buffer
        self._fetch = fetch
        self._wanted = names(target.metrics)
        self._own = target.own
        self._before: set[Labels] = set()

    def scrape(self, at_ms: int, elapsed_s: Callable[[], float] = time.monotonic) -> bool:
        """Scrape once, and return whether the target is up; `why` says what is wrong with it."""
        began = elapsed_s()
        found: list[Sample] = []
        try:
            found = self._read()
            self._take(found, at_ms)
            why = ""
        except (ScrapeFailed, BufferFull) as err:
            why = str(err)
        except Exception:  # whatever it is: what is not read any more must not look as if it were (S1)
            _LOG.exception("scrape_failed", extra={"job": self.target.job})
            why = "a bug, see the log"
        if why:
            self._buffer.end(self._before, at_ms)
            self._before = set()
        told = {"up": float(not why), "scrape_duration_seconds": elapsed_s() - began}
        told["scrape_samples_scraped"] = float(len(found))
        self._buffer.add([(self._labels(name, {}), at_ms, value) for name, value in told.items()], always=True)
        self._said(why)
        return not why

    def _read(self) -> list[Sample]:
        fetched = self._fetch()
        found: list[Sample] = []
        try:
            for one in samples(fetched.body, fetched.content_type, self._wanted):
                found.append(one)
                if len(found) > self.target.max_samples:
                    raise ScrapeFailed(f"more than {self.target.max_samples} samples (max_samples)")
        except ValueError as err:
            raise ScrapeFailed(f"tells what is no metrics format: {str(err)[:200] or 'malformed'}") from None
        return found

    def _take(self, found: list[Sample], at_ms: int) -> None:
        taken = []
        now: set[Labels] = set()
        for one in found:
            labels = self._labels(one.name, one.labels)
            if one.at_ms is None:
                now.add(labels)
            elif one.at_ms > at_ms + AHEAD_MS:
                continue
            taken.append((labels, at_ms if one.at_ms is None else one.at_ms, one.value))
        self._buffer.add(taken)
        self._buffer.end(self._before - now, at_ms)
        self._before = now

    def _labels(self, name: str, given: dict[str, str]) -> Labels:
        """Return the labels of a series; what the target says of a label that we set is kept as `exported_...`."""
        own = self._own
        moved = {f"exported_{label}" if label in own else label: value for label, value in given.items()}
        return labels_of({**moved, **own, "__name__": name})

    def _said(self, why: str) -> None:
        if bool(why) != bool(self.why) or self.why == "not scraped yet":
            about = {"job": self.target.job, "url": self.target.url}
            if why:
                _LOG.warning("target_down", extra={**about, "reason": why})
            else:
                _LOG.info("target_up", extra=about)
        self.why = why


@dataclass(slots=True)
class _Planned:
    scraping: Scraping
    client: Client
    due: float
    running: Future[bool] | None = None


@dataclass(slots=True)
class Scraper:
    """Every target on time; one that hangs delays no other. wall: seconds since 1970."""

    options: ScrapeOptions
    wall: Callable[[], float]
    buffer: Buffer = field(init=False)
    _kept: Kept | None = field(init=False, default=None)
    _planned: list[_Planned] = field(init=False, default_factory=list)
    _done: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)
    _pool: ThreadPoolExecutor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        options = self.options
        self.buffer = Buffer(max_series=options.max_series, max_samples=options.max_samples, keep_s=options.keep_s)
        if options.file is not None:
            self._kept = Kept(options.file)
            for series, batch in self._kept.load(int((self.wall() - options.keep_s) * 1000)):
                self.buffer.restore(series, batch)
            known, number = self.buffer.size()
            _LOG.info("scraped_past", extra={"file": str(options.file), "series": known, "samples": number})
        for target in options.targets:
            client = Client(target)
            self._planned.append(_Planned(Scraping(target, self.buffer, client.fetch), client, 0.0))

    def start(self) -> None:
        """Begin to scrape, each target at its own moment within the interval."""
        self._pool = ThreadPoolExecutor(
            max(1, min(self.options.concurrency, len(self._planned))), thread_name_prefix="scrape"
        )
        self._thread = threading.Thread(target=self._run, name="scrape", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End, and write what was scraped since it was last written."""
        self._done.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        for one in self._planned:
            one.client.close()
        if self._kept is not None:
            self.write()
            self._kept.close()

    def write(self) -> None:
        """Write what was scraped since the last time."""
        labels, batches = self.buffer.take_pending()
        if self._kept is not None:
            self._kept.write(labels, batches)

    def prune(self) -> None:
        """Drop what is too old or too much, here and on disk."""
        since = int((self.wall() - self.options.keep_s) * 1000)
        self.buffer.prune(int(self.wall() * 1000))
        if self._kept is not None:
            self._kept.prune(since, self.options.max_samples)

    def down(self) -> list[str]:
        """Return which targets do not answer, and why."""
        return [
            f"scrape {one.scraping.target.job} {one.scraping.target.url}: {one.scraping.why}"
            for one in self._planned
            if one.scraping.why
        ]

    def _run(self) -> None:
        now = time.monotonic()
        for one in self._planned:
            # the first scrapes are soon, and not all at once
            spread = zlib.crc32(one.scraping.target.url.encode()) % 1000 / 1000
            one.due = now + spread * min(1.0, one.scraping.target.interval_s)
        write_at, prune_at = now + self.options.write_every_s, now + PRUNE_S
        while not self._done.wait(max(0.0, min([*(one.due for one in self._planned), write_at]) - time.monotonic())):
            now = time.monotonic()
            for one in self._planned:
                if one.due <= now:
                    self._begin(one, now)
            if now >= write_at:
                write_at = now + self.options.write_every_s
                self._guarded(self.write)
            if now >= prune_at:
                prune_at = now + PRUNE_S
                self._guarded(self.prune)

    def _begin(self, one: _Planned, now: float) -> None:
        """Scrape a target that is due, unless it still hangs; what was missed is not made up for."""
        interval_s = one.scraping.target.interval_s
        one.due += interval_s * max(1, int((now - one.due) // interval_s) + 1)
        if self._pool is not None and (one.running is None or one.running.done()):
            one.running = self._pool.submit(lambda: one.scraping.scrape(int(self.wall() * 1000)))

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            _LOG.exception("scrape_job_failed")
