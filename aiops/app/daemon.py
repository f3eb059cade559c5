"""The long-running daemon: APScheduler drives the ticks, signals end it in stages."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING

from aiops.app.exports import Export, started
from aiops.app.pasts import PastReader
from aiops.app.tracking import tracking
from aiops.app.wiring import Built
from aiops.core.pipeline import hastened
from aiops.errors import FatalError, PortError

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from aiops.adapters.metrics import TelemetryServer
    from aiops.adapters.mlflow import Publisher
    from aiops.app.feed import Feed
    from aiops.app.settings import Settings
    from aiops.app.standing import SelfWatch
    from aiops.web.server import WebServer

_LOG = logging.getLogger("aiops.daemon")
RELOAD_S = 2.0
STATUSES_S = 2.0
PASTS_S = 60.0
PRUNE_S = 3600.0
AUDIT_LOOK_S = 3600.0
"""How often it is looked whether the audit chain is to be checked; so long after the start it first is."""

LOOK_S = 0.5
"""How often the main thread looks at the clock and at whether all is done."""

STEP_S = 1.0
"""A difference between the wall clock and the monotonic one that grows by this between two looks was a step."""


class Daemon:
    """Runs until a signal, a fatal error, or a number of ticks."""

    def __init__(self, built: Built, *, ticks: int | None = None) -> None:
        self._built = built
        self._left = ticks
        self._done = threading.Event()
        self._forced = False
        self._exit = 0
        self._scheduler: BackgroundScheduler | None = None
        self._telemetry: TelemetryServer | None = None
        self._web: WebServer | None = None
        self._feed: Feed | None = None
        self._exports: list[Export] = []
        self._publishers: list[Publisher] = []
        self._watch: SelfWatch | None = None

    def run(self) -> int:
        """Run, and return the exit code."""
        built = self._built
        try:
            self._start()
            self._wait()
        except FatalError as err:
            _LOG.error("fatal", extra={"error": str(err)})
            self._exit = err.exit_code
        finally:
            self._stop()
        _LOG.info("stopped", extra={"ticks": built.loop.state.ticks})
        return self._exit

    def _wait(self) -> None:
        """Wait for the end, and let no step of the wall clock stop the jobs, which are planned by it."""
        offset_s = time.time() - time.monotonic()
        while not self._done.wait(LOOK_S):
            before_s, offset_s = offset_s, time.time() - time.monotonic()
            if abs(offset_s - before_s) >= STEP_S:
                _LOG.warning("clock_stepped", extra={"by_s": round(offset_s - before_s, 1)})
            if self._scheduler is not None:
                plan_anew(self._scheduler, datetime.now(UTC))

    # -- start -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        from aiops.adapters.metrics import TelemetryServer
        from aiops.app.standing import HAND_BACK, SelfWatch, left_behind

        built, settings = self._built, self._built.settings
        self._watch = SelfWatch(built)
        self._watch.register(built.metrics)
        if left := left_behind(settings.mode, built.loop.state.effects.values()):
            _LOG.warning("effects_stand", extra={"mode": settings.mode.value, "left": left, "hint": HAND_BACK})
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        for line in built.world.banner():
            _LOG.info("standing", extra={"where": line})
        if settings.telemetry.enabled:
            address = (settings.telemetry.host, settings.telemetry.port)
            self._telemetry = TelemetryServer(address, built.metrics.exposition, built.unhealthy, built.unready)
            self._telemetry.start()
        if settings.web.enabled:
            self._serve(settings)
        started(settings, built.viewer, self._exports.append)
        built.world.start()
        built.ties.start()
        if built.following is not None:
            built.following.run.start()
        if built.repositories is not None:
            built.repositories.start()
        self._publishers = tracking(built)
        # what has been read meanwhile is in force in the first turn
        self._guarded(built.policies.reload)()
        if built.world.virtual:
            built.learn()
        else:
            threading.Thread(target=self._learn, name="learn", daemon=True).start()
        self._schedule()

    def _serve(self, settings: Settings) -> None:
        """Serve the page and the API."""
        from aiops.app.doors import doors, serving
        from aiops.app.feed import Feed
        from aiops.app.live import LiveService
        from aiops.web.events import Broker
        from aiops.web.server import WebServer

        built, web = self._built, settings.web
        self._feed = Feed(Broker(seats=web.limits.streams), built.store.people.pauses)
        service, locked = LiveService(built, self._feed.people), doors(settings, built.store)
        self._web = WebServer(service, (web.host, web.port), locked, serving(web, self._feed.broker))
        self._web.start()
        scheme = "http" if web.tls is None else "https"
        _LOG.info("page", extra={"url": f"{scheme}://{web.host}:{self._web.port}"})

    def _learn(self) -> None:
        try:
            self._built.learn()
        except PortError as err:
            _LOG.warning("history_missed", extra={"reason": str(err)})
        except Exception:
            _LOG.exception("learning_failed")

    def _schedule(self) -> None:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        built, settings = self._built, self._built.settings
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        # ticks have a thread of their own, so that no other job makes one late
        executors = {"default": ThreadPoolExecutor(2), "tick": ThreadPoolExecutor(1)}
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler = BackgroundScheduler(executors=executors, job_defaults=defaults, timezone="UTC")
        self._scheduler = scheduler
        every = built.world.tick_every_s
        scheduler.add_job(self._guarded(self._tick), "interval", seconds=every, executor="tick", id="tick")
        if built.loop.setup.lane_s:
            lane_s = built.loop.setup.lane_s
            scheduler.add_job(self._guarded(built.turn_plans), "interval", seconds=lane_s, executor="tick", id="plans")
            soon = self._guarded(built.turn_pressing)
            scheduler.add_job(soon, "interval", seconds=hastened(lane_s), executor="tick", id="plans-pressing")
        jobs: tuple[tuple[str, Callable[[], object], float], ...] = (
            ("reload", built.policies.reload, RELOAD_S),
            ("checkpoint", built.checkpoint, settings.models.every),
            ("prune", built.prune, PRUNE_S),
            ("pasts", PastReader(built).begin, PASTS_S),
        )
        if self._watch is not None and not built.world.virtual:
            jobs = (*jobs, ("audit", self._watch.check_audit, AUDIT_LOOK_S))
        if built.statuses is not None:
            jobs = (*jobs, ("statuses", built.statuses.tell, STATUSES_S))
        for name, job, seconds in jobs:
            scheduler.add_job(self._guarded(job), "interval", seconds=seconds, id=name)
        scheduler.start()
        scheduler.modify_job("tick", next_run_time=datetime.now(UTC))

    # -- jobs ------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._done.is_set():
            return
        sentence = self._built.tick()
        _LOG.info("tick", extra={"sentence": sentence})
        if self._feed is not None:
            self._feed.note(self._built.loop.last, sentence, self._built.loop.held)
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._done.set()

    def _guarded(self, job: Callable[[], object]) -> Callable[[], None]:
        """Let a job fail alone; only a fatal error ends the daemon."""

        def run() -> None:
            try:
                job()
            except FatalError as err:
                _LOG.error("fatal", extra={"error": str(err)})
                self._exit = err.exit_code
                self._done.set()
            except PortError as err:
                _LOG.warning("job_held", extra={"job": getattr(job, "__name__", "job"), "reason": str(err)})
            except Exception:
                _LOG.exception("job_failed", extra={"job": getattr(job, "__name__", "job")})

        return run

    # -- signals and stop ------------------------------------------------------------------------------

    def _on_stop(self, number: int, _: FrameType | None) -> None:
        if self._forced:
            os._exit(128 + number)
        self._forced = True
        sys.stderr.write("\n")
        _LOG.info("stopping", extra={"signal": signal.Signals(number).name, "hint": "once more ends it at once"})
        self._done.set()

    def _on_reload(self, _: int, __: FrameType | None) -> None:
        threading.Thread(target=self._guarded(lambda: self._built.policies.reload(force=True)), name="reload").start()

    def _stop(self) -> None:
        """Stop in stages, each with its time; one that hangs does not keep the others from their turn."""
        limits = self._built.settings.stop
        stages: tuple[tuple[str, float, Callable[[float], None]], ...] = (
            ("ticks", limits.tick, self._stop_ticks),
            ("models", limits.tick, lambda _: self._built.checkpoint()),
            ("books", limits.tick, lambda _: self._built.close_books()),
            ("page", limits.web, self._stop_servers),
            ("adapters", limits.adapters, self._stop_adapters),
            ("store", limits.tick, lambda _: self._built.store.close()),
        )
        for name, seconds, stage in stages:
            started = time.monotonic()
            thread = threading.Thread(target=self._guarded(_with(stage, seconds)), name=f"stop-{name}", daemon=True)
            thread.start()
            thread.join(seconds)
            took = round(time.monotonic() - started, 2)
            _LOG.info("stage_stopped", extra={"stage": name, "took_s": took, "in_time": not thread.is_alive()})

    def _stop_ticks(self, _: float) -> None:
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _stop_adapters(self, seconds: float) -> None:
        if self._built.following is not None:
            self._built.following.run.stop(seconds / 4)
        for publisher in self._publishers:
            publisher.stop(seconds / 4)
        self._built.ties.stop(seconds / 4)
        self._built.loop.ports.engine.stop(seconds / 4)
        if self._built.repositories is not None:
            self._built.repositories.stop(seconds / 4)
        self._built.world.stop(seconds / 2)
        if self._built.traces is not None:
            self._built.traces.stop(seconds / 4)  # last: a collector that is gone may take its time

    def _stop_servers(self, seconds: float) -> None:
        for server in (*self._exports, self._web, self._telemetry):
            if server is not None:
                server.stop(seconds)


def plan_anew(scheduler: BackgroundScheduler, now: datetime) -> None:
    """Let every job whose turn is further away than its interval run now: the clock was stepped back under it."""
    for job in scheduler.get_jobs():
        wait = job.next_run_time - now
        if wait > job.trigger.interval + timedelta(seconds=LOOK_S):
            job.modify(next_run_time=now)


def _with(stage: Callable[[float], None], seconds: float) -> Callable[[], None]:
    return lambda: stage(seconds)
