"""Who follows the audit chain beside the loop: people are told of it, and other programs get it as events.

The chain is the queue. Each follower keeps how far it has come in the store: whatever fails, for however long, is
told later, and the loop never waits for it. What is given up is counted, and said with the next message that arrives.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from aiops.adapters.notify.notices import Notice, NoticeKind, Severity, State, notices_of
from aiops.adapters.notify.routes import Parcel, Route, Waiting, after_telling, due, taken
from aiops.adapters.notify.templates import message
from aiops.app.auditing import plain
from aiops.core.model import Instant
from aiops.errors import AiopsError

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.adapters.store.rows import Row

_LOG = logging.getLogger("aiops.notify")
PEOPLE, EVENTS = "notify", "events"
"""Names of the followers."""

CHUNK = 500
STANDING_S = 7 * 86_400.0
"""What began is repeated for so long; whoever has not dealt with it by then will not by being told again."""

Tell: TypeAlias = Callable[[str, str, str], str]
"""Tells a channel a title and a text; returns why nobody took it, '' when somebody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long something waits to be told, and how much of it, for each route and channel."""

    keep_s: float = 86_400.0
    most: int = 1000


@dataclass(slots=True)
class People:
    """Tells people by routes. labels: of a policy, by its key."""

    store: Store
    routes: Sequence[Route]
    tell: Tell
    labels: Callable[[str], Mapping[str, str]]
    bounds: Bounds = Bounds()
    failing: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, dict[str, Waiting]] = field(default_factory=dict)
    _lost: dict[str, int] = field(default_factory=dict)
    _told: dict[str, dict[str, Instant]] = field(default_factory=dict)
    _known: bool = False

    def forget(self) -> None:
        """Look at the store anew: another process may have told something."""
        self._known = False

    def waits(self) -> dict[str, int]:
        """Return how many notices wait, by route and channel."""
        known = {lane: [*some.values()] for lane, some in [*self._waiting.items()]}
        return {route.lane: sum(one.pending for one in known.get(route.lane, ())) for route in self.routes}

    def turn(self, now: Instant) -> None:
        """Take what the chain has that is new, and tell what is due."""
        if not self._known:
            self._load()
        while self._take():
            pass
        for route in self.routes:
            self._give_up(route, now)
            self._deliver(route, now)

    def _load(self) -> None:
        self._waiting = {route.lane: {} for route in self.routes}
        for row in self.store.notices.waiting():
            # of a route that is no more nothing is told; its rows go with the next message of their key
            if row["route"] in self._waiting:
                self._waiting[row["route"]][row["key"]] = _waiting(row)
        self._lost = dict(self.store.notices.lost())
        self._known = True

    def _take(self) -> bool:
        """Take some records; return whether there may be more."""
        seq, lost = self.store.notices.cursor(PEOPLE)
        if lost:
            self.store.notices.move(PEOPLE, seq, 0)
            self._note_lost({route.lane: lost for route in self.routes})
        lines = self.store.audit.after(seq, CHUNK)
        if not lines:
            return False
        put: dict[tuple[str, str], Waiting] = {}
        gone: set[tuple[str, str]] = set()
        for notice in (one for line in lines for one in notices_of(plain(line))):
            labelled = replace(notice, labels=self.labels(notice.subject))
            for route in self.routes:
                if route.wants(labelled):
                    self._place(route, labelled, put, gone)
        self._write(put, gone, moved=(PEOPLE, lines[-1].seq))
        return len(lines) == CHUNK

    def _place(
        self, route: Route, notice: Notice, put: dict[tuple[str, str], Waiting], gone: set[tuple[str, str]]
    ) -> None:
        """Put a notice beside what waits on a route, in memory and in what is to be written."""
        waiting, where = self._waiting[route.lane], (route.lane, notice.key)
        known = notice.key in waiting
        found = taken(waiting, notice, route.group(notice))
        if found is not None and notice.state is State.ENDED and not route.ends:
            found = None
        if found is None:
            waiting.pop(notice.key, None)
            put.pop(where, None)
            if known:
                gone.add(where)
            return
        waiting[notice.key] = put[where] = found
        gone.discard(where)

    def _write(
        self,
        put: Mapping[tuple[str, str], Waiting],
        gone: Iterable[tuple[str, str]],
        *,
        lost: Mapping[str, int] | None = None,
        moved: tuple[str, int] | None = None,
    ) -> None:
        rows = [_row(route, one) for (route, _), one in put.items()]
        self._known = False  # unless this is answered, what the store has is not known
        self.store.notices.change(rows, gone, lost or {}, moved)
        self._known = True

    def _note_lost(self, more: Mapping[str, int]) -> None:
        sums = {lane: self._lost.get(lane, 0) + count for lane, count in more.items()}
        self._write({}, (), lost=sums)
        self._lost |= sums
        for lane, count in more.items():
            self.given_up[lane] = self.given_up.get(lane, 0) + count

    def _give_up(self, route: Route, now: Instant) -> None:
        """Drop what waits for too long, or of too much the least; and end what ends of itself."""
        waiting, lane = self._waiting[route.lane], route.lane
        ended = [one for one in waiting.values() if one.notice.state is State.BEGUN and one.notice.until <= now]
        put: dict[tuple[str, str], Waiting] = {}
        gone: set[tuple[str, str]] = set()
        for one in ended:
            over = replace(
                one.notice, state=State.ENDED, at=one.notice.until, title=f"over: {one.notice.title}", todo=""
            )
            self._place(route, over, put, gone)
        late = [one for one in waiting.values() if one.pending and now > one.notice.at + self.bounds.keep_s]
        left = [one for one in waiting.values() if one.pending and one not in late]
        left.sort(key=lambda one: (-one.notice.severity, -one.notice.seq))
        dropped = [*late, *left[self.bounds.most :]]
        stale = [one for one in waiting.values() if not one.pending and now > one.notice.at + STANDING_S]
        for one in (*dropped, *stale):
            del waiting[one.notice.key]
            put.pop((lane, one.notice.key), None)
            gone.add((lane, one.notice.key))
        if dropped:
            self._lost[lane] = self._lost.get(lane, 0) + len(dropped)
            self.given_up[lane] = self.given_up.get(lane, 0) + len(dropped)
            _LOG.warning("notices_lost", extra={"route": lane, "count": len(dropped)})
        if put or gone:
            self._write(put, gone, lost={lane: self._lost.get(lane, 0)})

    def _deliver(self, route: Route, now: Instant) -> None:
        waiting, told = self._waiting[route.lane], self._told.setdefault(route.lane, {})
        for parcel in due(route, waiting.values(), told, now):
            lost = self._lost.get(route.lane, 0)
            why = self.tell(route.channel, *message(route, parcel, lost))
            if why:
                # what waits behind it waits with it
                self._fail(route, why)
                return
            self.failing.pop(route.lane, None)
            told[parcel.group] = now
            self._told_of(route, parcel, now)

    def _fail(self, route: Route, why: str) -> None:
        if route.lane not in self.failing:
            _LOG.warning("notices_wait", extra={"route": route.lane, "reason": why})
        self.failing[route.lane] = why

    def _told_of(self, route: Route, parcel: Parcel, now: Instant) -> None:
        waiting = self._waiting[route.lane]
        put, gone = {}, []
        for key, left in after_telling(parcel, waiting, now).items():
            if left is None:
                del waiting[key]
                gone.append((route.lane, key))
            else:
                waiting[key] = put[route.lane, key] = left
        self._lost[route.lane] = 0
        self._write(put, gone, lost={route.lane: 0})


def _row(route: str, one: Waiting) -> Row:
    notice = one.notice
    body = {name: value for name, value in asdict(notice).items() if name not in ("key", "seq", "at", "until")}
    return {
        "route": route,
        "key": notice.key,
        "group": one.group,
        "seq": notice.seq,
        "at": notice.at,
        "severity": int(notice.severity),
        "state": notice.state.value,
        "told_at": one.told_at,
        "due_at": min(notice.until, 1e15),
        "body": json.dumps(body, sort_keys=True),
    }


def _waiting(row: Mapping[str, Any]) -> Waiting:
    body: dict[str, Any] = json.loads(row["body"])
    body |= {"kind": NoticeKind(body["kind"]), "severity": Severity(body["severity"]), "state": State(body["state"])}
    notice = Notice(key=row["key"], seq=row["seq"], at=row["at"], until=row["due_at"], **body)
    return Waiting(notice=notice, group=row["group"], told_at=row["told_at"])


@dataclass(slots=True)
class Following:
    """Runs the followers while this process leads, each in a thread of its own.

    gained: called when it comes to lead. begins: called at the start, to say from where on the chain is followed.
    """

    turns: Mapping[str, Callable[[Instant], None]]
    leads: Callable[[], bool]
    clock: Callable[[], float]
    gained: Callable[[], None] = lambda: None
    every_s: float = 2.0
    begins: Callable[[], None] = lambda: None
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to follow."""
        try:
            self.begins()
        except AiopsError as err:
            # each follower says where it begins at its first turn, too
            _LOG.warning("follower_held", extra={"follower": "start", "reason": str(err)})
        for name, turn in self.turns.items():
            thread = threading.Thread(target=self._run, args=(name, turn), name=f"follow-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, name: str, turn: Callable[[Instant], None]) -> None:
        led = False
        while not self._stop.wait(self.every_s):
            try:
                leads = self.leads()
                if leads and not led:
                    self.gained()
                led = leads
                if leads:
                    turn(self.clock())
            except AiopsError as err:
                _LOG.warning("follower_held", extra={"follower": name, "reason": str(err)})
            except Exception:
                _LOG.exception("follower_failed", extra={"follower": name})

    def stop(self, timeout_s: float) -> None:
        """End; what was not told is told after the next start."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout_s / max(1, len(self._threads)))
