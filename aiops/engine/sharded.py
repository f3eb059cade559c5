"""ports.Engine over shards: asks all at once, waits for none longer than it may, and says whose policies are unseen."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.core.detect.elsewhere import NOTHING_CHANGED, Announced, Elsewhere
from aiops.core.detect.sight import Look
from aiops.core.detect.together import Pair, shared
from aiops.core.model import Finding, Instant, Leadership, PolicyKey
from aiops.core.policies import PolicySet
from aiops.engine.crew import Crew, ShardFailed, Unreached
from aiops.engine.part import parted_by, whole
from aiops.engine.placing import owner
from aiops.engine.told import Ask, Chances, Driver, Told, in_order
from aiops.ports import Clock

_LOG = logging.getLogger("aiops.engine")
_PAUSE_S, _CHANCES_S, _LOOK_S = 0.3, 1.0, 2.0
_MOST_TIMES = 8
_NEW = "it has not been asked yet"
_NOTHING = Elsewhere()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How shards are asked. deadline_s: how long a turn waits for them. label: by which queries are parted first.

    failures: so many in a row and a shard is quarantined, for quarantine_s, and twice as long each time, eight at most.
    stuck_s: a shard that has not answered for so long is made anew.
    """

    shards: int
    deadline_s: float = 5.0
    label: str = ""
    failures: int = 3
    quarantine_s: float = 300.0
    stuck_s: float = 300.0


@dataclass(slots=True)
class Seat:
    """What the driver knows of one shard. told: its last answer. why: what is wrong with it, '' when nothing is.

    due: whether it may still answer for this turn. failed: in how many turns in a row. quarantined: how often, until
    when. digest: of the watches that it knows, '' when that is not known. per_s: chances that it told, of `version`.
    """

    number: int
    told: Told | None = None
    why: str = _NEW
    failed: int = 0
    quarantined: int = 0
    until: Instant = -math.inf
    turns: int = 0
    late: int = 0
    failures: int = 0
    restarts: int = 0
    call: Any = None
    due: bool = False
    failed_at: Instant = -math.inf
    asked_s: float = 0.0
    digest: str = ""
    born: str = ""
    version: int = -1
    per_s: dict[Pair, float] = field(default_factory=dict)


class Sharded:
    """Fleet detection in shards. name: of this process, which no other has. seats: one for each shard."""

    def __init__(self, crew: Crew, terms: Terms, clock: Clock, name: str) -> None:
        self._crew, self._terms, self._clock = crew, terms, clock
        self._name = name
        self._driver = Driver(epoch=0, name=name)
        self._policies = PolicySet(digest="")
        self._shards_of: dict[PolicyKey, tuple[int, ...]] = {}
        self._parted_for = ""
        self._idle = "the shards have not been asked yet"
        self._began, self._changed = 0.0, NOTHING_CHANGED
        self._learning = False
        self._kept: list[Any] = []
        self.seats = tuple(Seat(number=number) for number in range(terms.shards))

    # -- ports.Engine ----------------------------------------------------------------------------------

    def own(self, policies: PolicySet) -> PolicySet:
        """Return the policies without what the shards watch: that of the source that they all read."""
        return replace(policies, watches=tuple(one for one in policies.watches if one.query.source))

    def begin(
        self, policies: PolicySet, leadership: Leadership, at: Instant, changed: Announced = NOTHING_CHANGED
    ) -> None:
        """Ask every shard that can be asked."""
        self._changed, self._began = changed, self._clock.elapsed_s()
        theirs = tuple(one for one in policies.watches if not one.query.source)
        self._policies, self._driver = (
            replace(policies, watches=theirs),
            Driver(epoch=leadership.epoch, name=self._name, elected=leadership.elected),
        )
        self._idle = ""
        if leadership.elected and not leadership.leader:
            self._idle = f"{leadership.holder} leads, and its shards look"
        if self._idle or not theirs:
            return
        self._place(self._policies)
        for seat in self.seats:
            seat.due = False
            self._collect(seat, at)
            silent_s = self._began - seat.asked_s
            if seat.call is not None and silent_s > self._terms.stuck_s:
                self._renew(seat, f"it has not answered for {silent_s:.0f} s and is made anew")
            if seat.call is not None:  # still at an older question: nobody waits for it once more
                self._is_late(seat)
                continue
            seat.due = seat.until <= at
            if seat.due:
                self._ask(seat, at)

    def gather(self, at: Instant) -> Elsewhere:
        """Return what the shards have found; what one has said late counts until it says something else."""
        policies = self._policies
        if not policies.watches:
            return _NOTHING
        if self._idle:
            return Elsewhere(unseen=dict.fromkeys((one.key for one in policies.watches), self._idle))
        self._wait(at)
        known = {one.key for one in policies.watches}
        told = [seat.told for seat in self.seats if seat.told is not None]
        findings = [one for each in told for one in each.findings.findings() if one.policy in known]
        live: dict[PolicyKey, int] = {}
        for each in told:
            for key, count in each.live.items():
                live[key] = live.get(key, 0) + count
        return Elsewhere(
            findings=in_order(findings, policies.watches),
            per_s=self._chances(findings),
            live=live,
            unseen=self._unseen(at),
        )

    # -- beside turns ----------------------------------------------------------------------------------

    def learn(self, now: Instant) -> None:
        """Let every shard learn from history, now and whenever one begins anew; waits for nothing."""
        self._learning = True
        for seat in self.seats:
            if seat.born:
                self._crew.ask(seat.number, "learn", self._driver, now)

    def keep(self) -> None:
        """Let every shard keep what it has learnt; waits for nothing."""
        if self._idle:
            return
        if self._kept and all(self._crew.done(one) and self._is_well(one) for one in self._kept):
            self._crew.ask(0, "tidy")
        self._kept = [self._crew.ask(seat.number, "keep", self._driver) for seat in self.seats]

    def _is_well(self, handle: Any) -> bool:
        try:
            self._crew.answer(handle)
        except ShardFailed as err:
            _LOG.warning("shard_not_kept", extra={"reason": str(err)})
            return False
        return True

    def look(self, key: str) -> Look | None:
        """Return what was said of one series at the last turn, None of one that no shard has, or within 2 s none says.

        May be called from any thread.
        """
        numbers = self._shards_of.get(key.partition("#")[0], ())
        handles = [self._crew.ask(number, "look", key) for number in numbers]
        if handles:
            self._crew.wait(handles, _LOOK_S)
        for handle in handles:
            try:
                found = self._crew.answer(handle) if self._crew.done(handle) else None
            except ShardFailed:
                continue
            if isinstance(found, Look):
                return found
        return None

    def stop(self, timeout_s: float) -> None:
        """Let every shard keep what it knows and be taken over at once; they stay."""
        if self._idle:
            self._crew.close()
            return
        handles = [self._crew.ask(seat.number, "keep", self._driver) for seat in self.seats]
        handles += [self._crew.ask(seat.number, "release", self._driver) for seat in self.seats]
        self._crew.wait(handles, timeout_s)
        self._crew.close()

    # -- asking ----------------------------------------------------------------------------------------

    @property
    def _digest(self) -> str:
        return f"{self._policies.digest}/{self._terms.label}"

    def _place(self, policies: PolicySet) -> None:
        """Find out which shards have series of which policy."""
        if policies.digest == self._parted_for:
            return
        every = tuple(range(len(self.seats)))
        self._shards_of = {
            one.key: every if parted_by(one, self._terms.label) else (owner(whole(one), len(every)),)
            for one in policies.watches
        }
        self._parted_for = policies.digest

    def _ask(self, seat: Seat, at: Instant) -> None:
        """Ask a shard; with the watches when it may not know them, and with what stood when it may be another one."""
        known = seat.digest == self._digest
        ask = Ask(
            at=at,
            driver=self._driver,
            digest=self._digest,
            label=self._terms.label,
            watches=None if known else self._policies.watches,
            standing=None if known or seat.told is None else seat.told.findings,
            changed=self._changed,
        )
        seat.why = "" if seat.why == _NEW else seat.why
        seat.call, seat.asked_s = self._crew.ask(seat.number, "turn", ask), self._clock.elapsed_s()

    def _wait(self, at: Instant) -> None:
        """Wait for the answers of this turn; who is gone, or was still at an older question, is asked again."""
        end = self._began + self._terms.deadline_s
        while True:
            for seat in self.seats:
                self._collect(seat, at)
            due = [seat for seat in self.seats if seat.due]
            left = end - self._clock.elapsed_s()
            if not due or left <= 0.0:
                break
            for seat in due:
                if seat.call is None:
                    self._ask(seat, at)
            again = any(seat.why for seat in due)
            self._crew.wait([seat.call for seat in due], min(left, _PAUSE_S) if again else left)
        for seat in due:
            self._is_late(seat)

    def _is_late(self, seat: Seat) -> None:
        seat.late += 1
        waits = self._crew.pending(seat.number)
        seat.why = waits or seat.why or f"it has not answered within {self._terms.deadline_s:g} s"

    def _collect(self, seat: Seat, at: Instant) -> None:
        """Take the answer of a shard where there is one."""
        if seat.call is None or not self._crew.done(seat.call):
            return
        call, seat.call = seat.call, None
        try:
            told: Told = self._crew.answer(call)
        except ShardFailed as err:
            self._failed(seat, err, at)
            return
        if told.refused:
            seat.due, seat.why = False, told.refused
            return
        if told.unknown:  # another process than the one that was asked last: it is to be told everything
            seat.digest = ""
            return
        self._take(seat, told, at)

    def _take(self, seat: Seat, told: Told, at: Instant) -> None:
        if told.born != seat.born:
            seat.restarts += bool(seat.born)
            if seat.born:
                _LOG.warning("shard_began_anew", extra={"shard": seat.number, "series": told.series})
            if self._learning:
                self._crew.ask(seat.number, "learn", self._driver, at)
        if told.version != seat.version or told.born != seat.born:
            seat.per_s.clear()
        if told.errors != (seat.told.errors if seat.told is not None else {}):
            _LOG.warning("shard_errors", extra={"shard": seat.number, "errors": dict(told.errors)})
        seat.told, seat.born, seat.version = told, told.born, told.version
        seat.digest, seat.failed, seat.turns = self._digest, 0, seat.turns + 1
        if told.at == at:
            seat.due, seat.why, seat.quarantined = False, "", 0

    def _failed(self, seat: Seat, err: ShardFailed, at: Instant) -> None:
        """Note that a shard failed; one that goes on failing is quarantined, and tried again later."""
        seat.digest, seat.why = "", str(err)
        if isinstance(err, Unreached):
            return
        if seat.failed_at != at or not err.gone:
            seat.failed, seat.failures, seat.failed_at = seat.failed + 1, seat.failures + 1, at
            _LOG.warning("shard_failed", extra={"shard": seat.number, "reason": str(err), "in_a_row": seat.failed})
        seat.due = seat.due and err.gone
        if seat.failed < self._terms.failures:
            return
        rest_s = min(2**seat.quarantined, _MOST_TIMES) * self._terms.quarantine_s
        seat.quarantined, seat.failed, seat.until, seat.due = seat.quarantined + 1, 0, at + rest_s, False
        seat.why = f"it is quarantined for {rest_s:.0f} s after {self._terms.failures} failures in a row: {err}"
        _LOG.error("shard_quarantined", extra={"shard": seat.number, "for_s": rest_s, "reason": str(err)})
        self._crew.renew(seat.number)

    def _renew(self, seat: Seat, why: str) -> None:
        _LOG.error("shard_stuck", extra={"shard": seat.number, "reason": why})
        seat.call, seat.digest, seat.why = None, "", why
        self._crew.renew(seat.number)

    # -- putting together ------------------------------------------------------------------------------

    def _unseen(self, at: Instant) -> dict[PolicyKey, str]:
        """Return the policies of which a shard has series that it did not tell of at this instant, and why."""
        away = {seat.number: seat for seat in self.seats if seat.told is None or seat.told.at != at}
        unseen = {}
        for policy, numbers in self._shards_of.items():
            seat = next((away[number] for number in numbers if number in away), None)
            if seat is not None:
                unseen[policy] = f"shard {seat.number}: {seat.why}"
        return unseen

    def _chances(self, findings: Sequence[Finding]) -> dict[Pair, float]:
        """Return how often chance opens findings of what these have in common, over all shards.

        A shard that does not answer at once counts for nothing: then findings are put together more readily.
        """
        pairs = {pair for one in findings for pair in shared(one.policy, one.labels)}
        if not pairs:
            return {}
        asked = []
        for seat in self.seats:
            wanted = tuple(pairs - seat.per_s.keys())
            if wanted and seat.told is not None and not seat.why:
                asked.append((seat, wanted, self._crew.ask(seat.number, "chances", wanted)))
        if asked:
            self._crew.wait([handle for _, _, handle in asked], _CHANCES_S)
        for seat, wanted, handle in asked:
            self._note(seat, wanted, handle)
        every: dict[Pair, float] = {}
        for seat in self.seats:
            for pair in pairs & seat.per_s.keys():
                every[pair] = every.get(pair, 0.0) + seat.per_s[pair]
        return every

    def _note(self, seat: Seat, wanted: Sequence[Pair], handle: Any) -> None:
        if not self._crew.done(handle):
            return
        try:
            found: Chances = self._crew.answer(handle)
        except ShardFailed:
            return  # the next turn meets the same, and says so
        if found.version == seat.version:
            seat.per_s.update({pair: found.per_s.get(pair, 0.0) for pair in wanted})
