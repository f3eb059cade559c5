"""Keeping turns within their period: what the last ones took decides what the next one leaves out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiops.core.model import LoopState, Mode, PolicyKey, SeriesIndex, Tick
from aiops.core.policies import PolicySet
from aiops.loop.shedding import DECISION_S, NOTHING, QUERY_S, Budget, Candidate, Rank, Shed, Shedding, acts, candidates

_LOG = logging.getLogger("aiops.loop")
LEFT_OUT = "it was left out, since turns take too long"


@dataclass(slots=True)
class Timekeeper:
    """Holds what is left out. budget: None where time is virtual, and nothing ever is.

    shed: out of the turn that goes on. times: how often something was left out, by rank; overruns: turns that took
    longer than they may; news: what the next record is to tell of it, '' for nothing.
    """

    budget: Budget | None
    ceiling: Mode
    shed: Shed = NOTHING
    overruns: int = 0
    took_s: float = 0.0
    news: str = ""
    times: dict[Rank, int] = field(default_factory=lambda: dict.fromkeys(Rank, 0))
    _shedding: Shedding = field(default_factory=Shedding)
    _every: tuple[Candidate, ...] = ()
    _kept_s: float = 0.0
    _rows: Mapping[PolicyKey, int] = field(default_factory=dict)
    _index: SeriesIndex | None = None

    def begin(self, policies: PolicySet, state: LoopState) -> PolicySet:
        """Return the policies of a turn that begins, without what is left out of it."""
        if self.budget is None:
            return policies
        self._every = candidates(policies, state, self.ceiling, self.budget, self._rows)
        self._kept_s = sum(
            DECISION_S + 2 * QUERY_S * len(one.signals) for one in policies.asking if acts(one, self.ceiling)
        )
        self.shed = self._shedding.shed(self._every)
        return self.shed.kept(policies)

    def decided(self, policies: PolicySet, state: LoopState, elapsed_s: float) -> PolicySet:
        """Return the policies that are decided, of all: nothing that acts on nothing once the turn's time is over.

        state: as the turn knows it now. What became more than a candidate since it began is decided after all.
        """
        if self.budget is None:
            return policies
        late = elapsed_s > self.budget.turn_s
        every = candidates(policies, state, self.ceiling, self.budget, self._rows)
        out = {one.key: one.rank for one in every if one.rank is not Rank.WATCH and (late or one.key in self.shed.keys)}
        if out.keys() - self.shed.keys:
            self.shed = Shed(keys={**self.shed.keys, **out})
        return replace(policies, scaling=tuple(one for one in policies.scaling if one.key not in out))

    def telling(self, tick: Tick) -> Tick:
        """Return the tick with the news, which are old from then on."""
        news, self.news = self.news, ""
        return replace(tick, waiting=(*tick.waiting, news)) if news else tick

    def unseen(self) -> dict[PolicyKey, str]:
        """Return the watches that are not asked for in this turn, and why."""
        return {key: LEFT_OUT for key, rank in self.shed.keys.items() if rank is Rank.WATCH}

    def end(self, took_s: float, index: SeriesIndex) -> None:
        """Note what a turn took. index: of the series that are watched."""
        self.took_s = took_s
        if self.budget is None:
            return
        if index is not self._index:
            self._index, self._rows = index, _counted(index)
        for rank in Rank:
            self.times[rank] += self.shed.count(rank)
        over = took_s > self.budget.turn_s
        self.overruns += over
        before = self._shedding
        self._shedding = before.after(took_s, self.budget, self._every, self._kept_s)
        self.news = self._told(before, over=over) or self.news

    def _told(self, before: Shedding, *, over: bool) -> str:
        after, took = self._shedding, f"the turn took {self.took_s:.1f} s"
        if after.left_out == before.left_out:
            if over and not after.left_out:
                _LOG.warning("turn_overran", extra={"took_s": round(self.took_s, 2)})
            return ""
        shed = after.shed(self._every)
        extra = {"shed": str(shed), "took_s": round(self.took_s, 2)}
        if not after.left_out:
            _LOG.info("shed_ended", extra=extra)
            return f"nothing is left out any more: {took}"
        _LOG.warning("shed_changed", extra=extra)
        return f"left out from now on: {shed} ({took})"


def _counted(index: SeriesIndex) -> dict[PolicyKey, int]:
    counts: dict[PolicyKey, int] = {}
    for key in index.keys:
        policy = key.split("#", 1)[0]
        counts[policy] = counts.get(policy, 0) + 1
    return counts
