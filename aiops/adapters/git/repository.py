"""One repository: a thread that fetches and pushes, and what was last read, for whoever may not wait."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field, replace

from aiops.adapters.git.mirror import Mirror
from aiops.adapters.git.options import RepositoryOptions
from aiops.adapters.git.places import Place
from aiops.adapters.git.reading import Memory, Reader, Tips, ref_of
from aiops.adapters.git.remote import Remote, Unreachable
from aiops.adapters.git.writing import Answer, Asking, Order, Writer
from aiops.core.model import Declared, DeclaredSizes, Instant, Reason, Step, StepResult, StepStatus, TargetRef

_LOG = logging.getLogger("aiops.git")
FIRST_READ_S = 2.0
"""How long a turn waits for what is looked at for the first time."""

FORGET_S = 3600.0
AGAIN_S, AGAIN_MOST_S = 60.0, 3600.0
"""How long a repository that took no push is left alone: doubled each time, up to the most."""

FETCH_MOST_S = 300.0
STALE_S, STALE_FETCHES = 120.0, 4.0
"""A view counts no longer than that, or so many times as it takes between two fetches, since it was fetched."""

RENEW_S = 3600.0
"""How long at least between two times that everything is fetched anew since a field cannot be read."""

Key = tuple[str, str]
"""A target's key, and one of its fields."""


@dataclass(slots=True, kw_only=True)
class Numbers:
    """What a repository was asked and answered: pushes and fetches by how they ended. read_at: the last good fetch."""

    pushes: dict[str, int] = field(default_factory=dict)
    fetches: dict[str, int] = field(default_factory=dict)
    read_at: Instant = 0.0
    held: bool = False


@dataclass(slots=True)
class _Looked:
    target: TargetRef
    place: Place
    asked_at: Instant
    memory: Memory = field(default_factory=Memory)


def steady() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Repository:
    """Reads beside the loop and pushes for it; one thread does both, one after the other.

    Who does not start it gets everything done by whoever asks, at once.
    """

    def __init__(
        self,
        options: RepositoryOptions,
        clock: Callable[[], Instant],
        elapsed: Callable[[], float] = steady,
    ) -> None:
        self.options = options
        self.numbers = Numbers()
        self._turn, self._spent_s = "", 0.0
        self._clock, self._elapsed = clock, elapsed
        self._mirror = Mirror(options.folder)
        self._remote = Remote(options)
        self._reader = Reader(options, self._mirror)
        self._writer = Writer(options, self._mirror, self._remote, self._fetch)
        self._looked: dict[Key, _Looked] = {}
        self._views: dict[Key, Declared] = {}
        self._sizes: dict[Key, DeclaredSizes] = {}
        self._orders: queue.SimpleQueue[tuple[Order, Future[StepResult]] | None] = queue.SimpleQueue()
        self._busy: Future[StepResult] | None = None
        self._failed: tuple[Reason, str] | None = None
        self._failures = 0
        self._refused: tuple[str, Instant] | None = None
        self._refusals = 0
        self._renewed_at: Instant = -math.inf
        self._read = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"git-{options.name}", daemon=True)

    def start(self) -> None:
        """Begin to fetch."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after what is at work."""
        self._stopping.set()
        self._orders.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        else:
            self._mirror.close()

    # -- for the loop --------------------------------------------------------------------------------------

    def look_at(self, wanted: Iterable[tuple[TargetRef, Place]], at: Instant) -> None:
        """Read these fields from now on; what is asked for the first time is waited for, a moment for all of it."""
        new = False
        for target, place in wanted:
            key = _key(target, place)
            known = self._looked.get(key)
            if known is None or known.place != place:
                self._looked[key] = _Looked(target, place, at)
                new = True
            else:
                known.asked_at = at
        if new:
            if not self._thread.is_alive():
                self.look()
                return
            self._read.clear()
            self._orders.put(None)
            self._read.wait(FIRST_READ_S)

    def look(self) -> None:
        """Fetch, and read every field that is asked for."""
        try:
            self._fetch()
        except Unreachable as err:
            _LOG.warning("repository_unavailable", extra={"repository": self.options.name, "error": str(err)})
        except Exception:
            self._broken()
        self._read.set()

    def declared(self, target: TargetRef, place: Place, at: Instant) -> Declared:
        """Return what was last read of a field."""
        view = self._views.get(_key(target, place))
        if view is None or view.file != place.file:
            blank = self._reader.blank(place, at)
            why = self._failed or (Reason.REPOSITORY_UNAVAILABLE, f"repository {self.options.name} was not read yet")
            return replace(blank, held=why)
        return self._held(view)

    def sizes(self, target: TargetRef, place: Place, at: Instant) -> DeclaredSizes:
        """Return what was last read of a container's requests and limits."""
        view = self._sizes.get(_key(target, place))
        if view is None or view.file != place.file:
            why = self._failed or (Reason.REPOSITORY_UNAVAILABLE, f"repository {self.options.name} was not read yet")
            return replace(self._reader.no_sizes(place, at), held=why)
        held = view.held or self._hold()
        return view if held is None else replace(view, held=held[:2])

    def send(self, action: Asking, step: Step, place: Place, at: Instant) -> StepResult:
        """Push a step, and wait for the answer as long as the action may take; what comes later is unknown (S6)."""
        left_s = min(action.expires_at - at, self.options.timeout_s)
        if left_s <= 0:
            return _refused(action, at, Reason.EXPIRED, f"expired {-left_s:.0f} s ago")
        if self._busy is not None and not self._busy.done():
            why = f"repository {self.options.name} has not answered an earlier push yet"
            return _refused(action, at, Reason.REPOSITORY_UNAVAILABLE, why)
        if action.tick_id != self._turn:
            self._turn, self._spent_s = action.tick_id, 0.0
        if self._spent_s >= self.options.timeout_s:
            why = f"pushes to repository {self.options.name} took {self._spent_s:.0f} s of this turn: in the next one"
            return _refused(action, at, Reason.EXPIRED, why)
        began = self._elapsed()
        until = began + left_s
        order = Order(action=action, step=step, place=place, at=at, due=lambda: self._elapsed() < until)
        answer: Future[StepResult] = Future()
        self._busy = answer
        if self._thread.is_alive():
            self._orders.put((order, answer))
        else:
            self._answer(order, answer)
        try:
            return answer.result(left_s)
        except Late:
            why = f"repository {self.options.name} did not answer within {left_s:.0f} s"
            self._count(self.numbers.pushes, "unanswered")
            return StepResult(action_id=action.id, status=StepStatus.UNKNOWN, at=at, message=why)
        finally:
            self._spent_s += self._elapsed() - began

    def _held(self, view: Declared) -> Declared:
        """Return a view with why nothing can be written now, where it has no reason of its own."""
        hold = None if view.held is not None else self._hold()
        if hold is None:
            return view
        return replace(view, held=hold[:2], held_until=hold[2] if len(hold) == 3 else view.held_until)

    def _hold(self) -> tuple[Reason, str] | tuple[Reason, str, Instant] | None:
        """Return why nothing can be written now, and until when where that ends by itself."""
        refused = self._refused
        if self._failed is not None:
            return self._failed
        old_s = self._clock() - self.numbers.read_at
        if self._thread.is_alive() and old_s > max(STALE_S, STALE_FETCHES * self.options.every_s):
            why = f"repository {self.options.name} was read {old_s:.0f} s ago, and the fetch since has not ended"
            return Reason.REPOSITORY_UNAVAILABLE, why
        if refused is not None and refused[1] > self._clock():
            return Reason.PUSH_REFUSED, refused[0], refused[1]
        return None

    # -- its thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.look()
        while not self._stopping.is_set():
            try:
                asked = self._orders.get(timeout=self._pause_s())
            except queue.Empty:
                asked = None
            if asked is not None:
                self._answer(*asked)
            elif not self._stopping.is_set():
                self.look()
        self._mirror.close()

    def _pause_s(self) -> float:
        return min(
            self.options.every_s * 2.0 ** min(max(0, self._failures - 1), 10), max(FETCH_MOST_S, self.options.every_s)
        )

    def _fetch(self) -> Tips:
        """Fetch and publish what is read; raise Unreachable."""
        prefix = ref_of(self.options.prefix)
        base = ref_of(self.options.branch)
        if not self._mirror.empty and self._mirror.worn:
            self._mirror.renew()
        depth = self.options.depth if self._mirror.empty else None
        try:
            repo = self._mirror.repo
            tips = self._remote.fetch(
                repo, lambda ref: ref == base or (self.options.propose and ref.startswith(prefix)), depth
            )
            self._mirror.settle(tips)
        except Unreachable as err:
            self._unread(err.reason, str(err))
            raise
        except OSError as err:
            why = f"{self.options.folder}: {err.strerror or err}"
            self._unread(Reason.REPOSITORY_UNAVAILABLE, why)
            raise Unreachable(Reason.REPOSITORY_UNAVAILABLE, why) from None
        self._count(self.numbers.fetches, "done")
        self.numbers.read_at = self._clock()
        self._failed, self._failures = None, 0
        self._publish(tips)
        return tips

    def _unread(self, reason: Reason, why: str) -> None:
        self._count(self.numbers.fetches, "failed")
        self._failed = (reason, f"repository {self.options.name}: {why}")
        self._failures += 1

    def _publish(self, tips: Tips) -> None:
        now = self._clock()
        for key, one in list(self._looked.items()):
            if one.asked_at < now - FORGET_S:
                self._looked.pop(key, None)
                self._views.pop(key, None)
                self._sizes.pop(key, None)
                continue
            if one.place.container:
                self._sizes[key] = self._sizes_view(one, tips, now)
                continue
            self._views[key] = self._view(one, tips, now)
        self.numbers.held = any(self._held(one).held is not None for one in self._views.values())

    def _view(self, one: _Looked, tips: Tips, now: Instant) -> Declared:
        """Return what is said of one field; a bug in reading it holds that field alone (S10).

        Since it may be what was fetched that is broken, it is fetched anew, once in a while.
        """
        try:
            return self._reader.read(one.target, one.place, tips, one.memory, now)
        except Exception:
            if now - self._renewed_at >= RENEW_S:
                self._renewed_at = now
                raise
            _LOG.exception("declared_failed", extra={"repository": self.options.name, "target": one.target.key})
            why = f"repository {self.options.name}, {one.place.file}: a bug in reading it, see the log"
            return replace(self._reader.blank(one.place, now), held=(Reason.BUG, why))

    def _sizes_view(self, one: _Looked, tips: Tips, now: Instant) -> DeclaredSizes:
        """Return what is said of one container; a bug in reading it holds that one alone (S10)."""
        try:
            return self._reader.sizes(one.target, one.place, tips, one.memory, now)
        except Exception:
            _LOG.exception("declared_failed", extra={"repository": self.options.name, "target": one.target.key})
            why = f"repository {self.options.name}, {one.place.file}: a bug in reading it, see the log"
            return replace(self._reader.no_sizes(one.place, now), held=(Reason.BUG, why))

    def _answer(self, order: Order, answer: Future[StepResult]) -> None:
        try:
            made = self._writer.write(order)
        except Exception:
            self._broken()
            why = f"repository {self.options.name}: a bug, see the log"
            made = Answer(result=_refused(order.action, order.at, Reason.BUG, why))
        self._noted(made)
        if made.result.status is StepStatus.DONE:
            self.look()  # so that the next turn sees what this one wrote
        answer.set_result(made.result)

    def _noted(self, made: Answer) -> None:
        self._count(self.numbers.pushes, made.result.status.value)
        if made.refused:
            again_s = min(AGAIN_MOST_S, AGAIN_S * 2.0**self._refusals)
            self._refusals += 1
            self._refused = (f"{made.refused}; it is tried again after {again_s:.0f} s", self._clock() + again_s)
        elif made.result.status is StepStatus.DONE:
            self._refused, self._refusals = None, 0

    def _broken(self) -> None:
        """Begin anew after what nobody expected: the folder may be broken, and all of it can be fetched again."""
        _LOG.exception("repository_failed", extra={"repository": self.options.name})
        self._unread(Reason.REPOSITORY_UNAVAILABLE, "a bug, see the log; it is read anew")
        self._mirror.renew()

    def _count(self, into: dict[str, int], how: str) -> None:
        into[how] = into.get(how, 0) + 1


def _key(target: TargetRef, place: Place) -> Key:
    """Return what a place is known by; each container has its own."""
    return target.key, f"{place.field}/{place.container}" if place.container else place.field


def _refused(action: Asking, at: Instant, reason: Reason, why: str) -> StepResult:
    return StepResult(action_id=action.id, status=StepStatus.REFUSED, at=at, reason=reason, message=why)
