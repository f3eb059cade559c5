"""Telling resources what became of them: by the leader alone, when something changed, and not too often."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.app.merging import in_force
from aiops.app.policies import MergedPolicySource
from aiops.app.promotion import Standing as Promoted
from aiops.app.resources import Entry
from aiops.app.status_of import Standing, significant, status_of, urgent
from aiops.core.model import BudgetStanding, Decision, Instant, Mode, Tick
from aiops.errors import ClusterUnavailable, NoPermission
from aiops.policy.expansion import Expanded
from aiops.ports import PolicyResources

_LOG = logging.getLogger("aiops.policies")
EVERY_S = 15.0
"""How long at least lies between two writes of one status, unless whoever wrote the resource waits for an answer."""

AT_ONCE = 20
"""How many statuses are written in one pass."""

REFUSED_S, FAILED_S = 60.0, 5.0
"""How long nothing is written after a denial, and after a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How statuses are told. leads: whether this process may write now. wall: for people; elapsed_s: for waiting.

    promoted: where policies stand by promotions. expanded: who the members of templates are. budgets: how they stand.
    """

    leads: Callable[[], bool]
    ceiling: Mode
    promoted: Callable[[], Mapping[str, Promoted]] = dict
    expanded: Callable[[], Expanded | None] = lambda: None
    budgets: Callable[[], Mapping[str, BudgetStanding]] = dict
    wall: Callable[[], Instant] = time.time
    elapsed_s: Callable[[], float] = time.monotonic


class Statuses:
    """Keeps the statuses of resources true. problem: why they cannot be written now, '' when they can.

    A status that was written is not looked at again: whoever else writes it is not fought.
    """

    def __init__(self, source: MergedPolicySource, resources: PolicyResources, telling: Telling) -> None:
        self._source = source
        self._resources = resources
        self._telling = telling
        self._told: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._tried: dict[str, float] = {}
        self._since: dict[str, tuple[str, Instant]] = {}
        self._decided: dict[str, Decision] = {}
        self._findings: dict[str, int] = {}
        self._quiet_until = -math.inf
        self.problem = ""
        self.written = 0

    def note(self, tick: Tick | None) -> None:
        """Take what a turn decided; None while another process leads."""
        decided = {} if tick is None else {one.policy: one for one in tick.decisions}
        for key, decision in decided.items():
            if decision.changed or key not in self._since:
                self._since[key] = (decision.id, decision.at)
        found: dict[str, int] = {}
        for finding in () if tick is None else tick.findings:
            found[finding.policy] = found.get(finding.policy, 0) + 1
        self._decided, self._findings = decided, found

    def tell(self) -> None:
        """Write the statuses that are due."""
        now = self._telling.elapsed_s()
        if not self._telling.leads():
            self._told.clear()  # the next leader writes; what it wrote is read anew when the lead comes back
            return
        if now < self._quiet_until:
            return
        made, known = self._source.seen
        standing = Standing(
            ceiling=self._telling.ceiling,
            in_force=in_force(made.policies),
            decided=self._decided,
            since=self._since,
            findings=self._findings,
            promoted=self._telling.promoted(),
            expanded=self._telling.expanded(),
            budgets=self._telling.budgets(),
        )
        entries = list(known.values())
        listed = {entry.resource.uid for entry in entries}
        self._told = {uid: told for uid, told in self._told.items() if uid in listed}
        self._tried = {uid: at for uid, at in self._tried.items() if uid in listed}
        due = []
        for entry in entries:
            if entry.gone_since is None:
                status = status_of(entry, made, standing, self._telling.wall())
                if self._due(entry, status, now):
                    due.append((entry, status))
        for entry, status in sorted(due, key=self._rank)[:AT_ONCE]:
            if not self._write(entry, status, now):
                return

    def _rank(self, due: tuple[Entry, Mapping[str, Any]]) -> tuple[bool, float]:
        """Return what is told first: who waits for an answer, then who was tried longest ago.

        So neither many whose numbers change all the time nor one that cannot be written keeps the others untold.
        """
        entry, status = due
        tried = self._tried.get(entry.resource.uid, -math.inf)
        told, before = self._told.get(entry.resource.uid, (-math.inf, entry.resource.status))
        return tried > told or not urgent(status, before), tried

    def _due(self, entry: Entry, status: Mapping[str, Any], now: float) -> bool:
        at, before = self._told.get(entry.resource.uid, (-math.inf, entry.resource.status))
        if significant(status) == significant(before):
            return False
        return urgent(status, before) or now - at >= EVERY_S

    def _write(self, entry: Entry, status: Mapping[str, Any], now: float) -> bool:
        """Write one status, and return whether more may follow."""
        self._tried[entry.resource.uid] = now
        try:
            there = self._resources.tell(entry.resource, status)
        except NoPermission as err:
            self._wait(str(err), now, REFUSED_S)
            return False
        except ClusterUnavailable as err:
            self._wait(str(err), now, max(FAILED_S, err.retry_after_s))
            return False
        self.problem = ""
        self._told[entry.resource.uid] = (now, status)
        self.written += there
        return True

    def _wait(self, why: str, now: float, seconds: float) -> None:
        if why != self.problem:
            _LOG.warning("status_not_written", extra={"reason": why})
        self.problem, self._quiet_until = why, now + seconds
