"""Rehearsals that are asked for on the page or over the API: one at a time, each in a process of its own.

What is known of each lies in one file beside its report, so that it outlives the daemon.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from aiops.app.section import revealed
from aiops.core.ids import ulid
from aiops.errors import AiopsError, Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from aiops.app.settings import PrometheusSettings

_LOG = logging.getLogger("aiops.rehearsals")
MOST_S = 1800.0
MOST_WAITING = 5
KEPT = 50
MOST_LINE = 4 << 20
MOST_SEED = 2**31 - 1
DAYS = (1, 3, 7, 14)
HISTORY = "REHEARSED_HISTORY"
"""The variable in which a rehearsal finds how its history is reached, as JSON."""

OVER = frozenset({"done", "failed", "stopped"})

Plain = dict[str, Any]
_SHOWN = ("id", "kind", "name", "seed", "by", "at", "state", "done", "total", "ended_at", "error", "about")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What can be rehearsed. own: the folders of the policies in force.

    prometheus: how it is reached, None where no history is asked for; documents: the ScalingPolicies in force, by key.
    """

    own: Sequence[Path] = ()
    prometheus: PrometheusSettings | None = None
    documents: Callable[[], Mapping[str, str]] = dict


@dataclass(slots=True)
class Rehearsals:
    """Starts rehearsals, follows them and keeps what came of them. folder: where; made when it is needed."""

    folder: Path
    given: Given = field(default_factory=Given)
    most_s: float = MOST_S
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _jobs: dict[str, Plain] = field(default_factory=dict)
    _running: subprocess.Popen[str] | None = None
    _worker: threading.Thread | None = None
    _read: bool = False

    # -- looking ---------------------------------------------------------------------------------------

    def offered(self) -> Plain:
        """Return what can be asked for."""
        from simulators.batch import scenario as batch
        from simulators.failover import scenario as sites
        from simulators.remediation import scenario as remediation
        from simulators.scenario import names

        shipped = [*names(), *sites.names(), *remediation.names(), *batch.names()]
        tested = sorted(self.given.documents()) if self.given.prometheus is not None else []
        return {"scenarios": shipped, "policies": ["shipped", *(["own"] if self.given.own else [])],
                "backtests": tested, "days": [*DAYS]}  # fmt: skip

    def listed(self) -> list[Plain]:
        """Return all that are kept, newest first, without their results."""
        with self._lock:
            self._recall()
            return [{name: job.get(name) for name in _SHOWN} for _, job in sorted(self._jobs.items(), reverse=True)]

    def one(self, job_id: str) -> Plain:
        """Return one with what came of it, when it is done: columns, rows and data; raise NotFound."""
        with self._lock:
            self._recall()
            if job_id not in self._jobs:
                raise NotFound(f"there is no rehearsal {job_id}")
            job = self._jobs[job_id]
            return {name: job.get(name) for name in (*_SHOWN, "columns", "rows", "data")}

    def report(self, job_id: str) -> Path:
        """Return the HTML report of one; raise NotFound."""
        path = self.folder / f"{self.one(job_id)['id']}.html"
        if not path.is_file():
            raise NotFound(f"rehearsal {job_id} has no report")
        return path

    # -- asking ----------------------------------------------------------------------------------------

    def begin(self, wish: Plain) -> Plain:
        """Take a wish: scenario, policies and seed, or backtest and days; by. Raises InvalidInput when it cannot be."""
        job = self._job(wish)
        with self._lock:
            self._recall()
            waiting = [one for one in self._jobs.values() if one["state"] not in OVER]
            if len(waiting) >= MOST_WAITING:
                raise Conflict(f"{len(waiting)} rehearsals wait or run already: wait for one, or stop one")
            self._jobs[job["id"]] = job
            self._forget()
            self._write(job)
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="rehearsals", daemon=True)
                self._worker.start()
        return {name: job.get(name) for name in _SHOWN}

    def stop(self, job_id: str) -> Plain:
        """Stop one that waits or runs; raise NotFound, or InvalidInput when it is over."""
        with self._lock:
            self._recall()
            job = self._jobs.get(job_id)
            if job is None:
                raise NotFound(f"there is no rehearsal {job_id}")
            if job["state"] in OVER:
                raise Conflict(f"rehearsal {job_id} is over: {job['state']}")
            if job["state"] == "running" and self._running is not None:
                self._running.kill()
            self._end(job, "stopped", "stopped by a person")
        return {name: job.get(name) for name in _SHOWN}

    def close(self) -> None:
        """Stop what runs."""
        with self._lock:
            for job in self._jobs.values():
                if job["state"] not in OVER:
                    self._end(job, "stopped", "the daemon ended")
            if self._running is not None:
                self._running.kill()
            worker = self._worker
        if worker is not None:
            worker.join(5.0)

    def _job(self, wish: Plain) -> Plain:
        now, offered = time.time(), self.offered()
        job = {"by": str(wish.get("by") or ""), "at": now, "state": "waiting", "done": 0, "total": 0}
        job |= {"ended_at": None, "error": "", "about": "", "seed": None}
        tested, scenario = wish.get("backtest"), wish.get("scenario")
        if tested:
            if tested not in offered["backtests"]:
                raise Conflict(f"backtest: {tested!r} cannot be; there are {_list(offered['backtests'])}")
            days = wish.get("days") or DAYS[0]
            if days not in DAYS:
                raise InvalidInput(f"days: {days!r} is not one of {_list(map(str, DAYS))}")
            document = self.given.documents()[tested]
            job |= {"kind": "backtest", "name": tested, "policy": tested, "document": document, "days": days}
        else:
            if scenario not in offered["scenarios"]:
                raise Conflict(f"scenario: {scenario!r} is not shipped; there are {_list(offered['scenarios'])}")
            chosen, seed = wish.get("policies") or "shipped", wish.get("seed")
            if chosen not in offered["policies"]:
                raise Conflict(f"policies: {chosen!r} is not one of {_list(offered['policies'])}")
            if seed is not None and not (isinstance(seed, int) and 0 <= seed <= MOST_SEED):
                raise InvalidInput(f"seed: {seed!r} is no whole number up to {MOST_SEED}")
            own = [str(path) for path in self.given.own] if chosen == "own" else []
            job |= {"kind": "simulation", "name": scenario, "scenario": scenario, "policies": own, "seed": seed}
        made = ulid(now, "rehearsal", str(job["kind"]), str(job["name"]), str(time.monotonic_ns()))
        return {**job, "id": made, "report": str(self.folder / f"{made}.html")}

    # -- doing -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                waiting = sorted(key for key, job in self._jobs.items() if job["state"] == "waiting")
                if not waiting:
                    self._worker = None
                    return
                job = self._jobs[waiting[0]]
                job["state"] = "running"
                self._write(job)
            try:
                self._do(job)
            except Exception as err:  # whatever it is, the next one gets its turn
                _LOG.exception("rehearsal_failed", extra={"id": job["id"]})
                with self._lock:
                    self._end(job, "failed", f"a bug: {err}")

    def _do(self, job: Plain) -> None:
        command = [sys.executable, "-m", "aiops.app.rehearsing", str(self._path(job["id"]))]
        # what it is reached with is secret: it goes from process to process, and lies in no file
        history = self.given.prometheus
        around = {**os.environ, **({} if history is None else {HISTORY: revealed(history)})}
        with self._lock:
            if job["state"] in OVER:
                return
            child = self._running = subprocess.Popen(  # noqa: S603 -- our own program, with a path that we made
                command,
                env=around,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        timer = threading.Timer(self.most_s, child.kill)
        timer.start()
        with child:
            last = self._follow(job, child.stdout)
            code = child.wait()
        late = timer.finished.is_set()
        timer.cancel()
        with self._lock:
            self._running = None
            if job["state"] in OVER:
                return
            if late:
                self._end(job, "failed", f"it took longer than {self.most_s / 60:.0f} min")
            elif code == 0 and "rows" in last:
                job.update(last)
                job["done"] = job["total"]
                self._end(job, "done", "")
            else:
                self._end(job, "failed", str(last.get("error") or f"it ended with code {code}"))

    def _follow(self, job: Plain, lines: IO[str] | None) -> Plain:
        """Note how far it is, and return the last line that is no progress."""
        last: Plain = {}
        while lines is not None and (line := lines.readline(MOST_LINE)):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "done" in said:
                with self._lock:
                    job["done"], job["total"] = int(said["done"]), int(said["total"])
            else:
                last = said
        return last

    # -- keeping -----------------------------------------------------------------------------------------

    def _end(self, job: Plain, state: str, error: str) -> None:
        job["state"], job["error"], job["ended_at"] = state, error, time.time()
        self._write(job)

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"

    def _write(self, job: Plain) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self._path(job["id"]).with_suffix(".new")
            new.touch(mode=0o600)
            new.write_text(json.dumps(job), encoding="utf-8")
            new.replace(self._path(job["id"]))
        except OSError as err:
            raise InvalidInput(f"{self.folder}: a rehearsal cannot be kept there: {err.strerror}") from err

    def _recall(self) -> None:
        """Read what was kept by a daemon before; what it left unfinished is over."""
        if self._read:
            return
        self._read = True
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            try:
                job = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(job, dict) and job.get("id") == path.stem:
                if job.get("state") not in OVER:
                    job |= {"state": "stopped", "error": "the daemon ended"}
                self._jobs[path.stem] = job

    def _forget(self) -> None:
        over = sorted(key for key, job in self._jobs.items() if job["state"] in OVER)
        for key in over[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[key]
            for suffix in (".json", ".html"):
                (self.folder / f"{key}{suffix}").unlink(missing_ok=True)


def _list(names: Any) -> str:
    return ", ".join(names) or "none"


def beside(url: str) -> Path:
    """Return the folder of the rehearsals of a store: beside its file, or under var/ without one."""
    try:
        from aiops.adapters.store.database import file_of

        path = file_of(url)
    except AiopsError:
        path = None
    return (Path("var") if path is None else path.parent) / "rehearsals"
