"""The fleet's models in one place: `perceive(frame, demands, policies) -> Percepts`. It owns their arrays.

Rows are re-targeted when the set of series or of policies changes; a series that comes back under its declared identity
goes on where it was.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.core.capacity import Demand
from aiops.core.detect.elsewhere import Announced, Elsewhere
from aiops.core.detect.fleet import Fleet, Learnt, expect
from aiops.core.detect.incidents import QUIET_S, Around, incidents, still_open
from aiops.core.detect.rejoined import under
from aiops.core.detect.settling import Settling
from aiops.core.detect.sight import Look, Sight
from aiops.core.detect.suspects import Dependencies
from aiops.core.detect.together import WINDOW_S, Pair
from aiops.core.forecast import COMBINATIONS, FORECASTERS
from aiops.core.forecast.pool import Block, Pool
from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.next_minutes import NextMinutes
from aiops.core.lineage.residuals import asking, residual_drifts
from aiops.core.lineage.version import FitJob, FitResult, Terms
from aiops.core.lookahead import Lookahead, Seen
from aiops.core.model import (
    F64,
    Finding,
    Forecast,
    Frame,
    Incident,
    IncidentState,
    Instant,
    Percepts,
    PolicyKey,
    SeriesIndex,
    Suspect,
)
from aiops.core.policies import ForecastSpec, PolicySet, ScalingPolicy
from aiops.core.protocols import Forecaster
from aiops.core.versions import kin

FORMAT = 2
HORIZON_STEPS = 30
WINDOW_STEPS, QUIET_STEPS = 4.0, 2.0
"""Where ticks are far apart, what opens within four of them opened together, and an incident ends after two."""

STEP_S = 60.0
"""Forecasts are issued once a minute, for half an hour."""

_MANY_OF = 4
"""Where one policy of so many wants a forecast, all are foretold: a row costs a tenth of what one alone does."""

_NOTHING = Elsewhere()


class _Foreseen:
    """The demand of one policy: what is asked, the model that learns it, and the forecast that stands."""

    def __init__(self, policy: ScalingPolicy, lineage: Lineage) -> None:
        self.asked = asked(policy)
        self.kin = kin(policy)
        self.signal = policy.objective.demand
        self.lineage = lineage
        self.issued: Forecast | None = None

    @property
    def model(self) -> Forecaster:
        """Return the model that is asked."""
        return self.lineage.champion


class Bank:
    """Detectors and forecasters of everything that policies watch or ask to foresee.

    dependencies: who depends on whom, for the suspects of incidents. elsewhere: whether somebody takes `jobs`; without
    that models fit themselves within a turn. code: the program's version, for the lineage of models. startups: how
    long pods take to start, as the clusters show it.
    """

    def __init__(
        self,
        policies: PolicySet,
        dependencies: Dependencies | None = None,
        *,
        elsewhere: bool = False,
        code: str = "",
    ) -> None:
        self._elsewhere, self._code = elsewhere, code
        self._policies, self._asking = PolicySet(digest=""), tuple[ScalingPolicy, ...]()
        self._fleet = Fleet()
        self._demands: dict[PolicyKey, _Foreseen] = {}
        self._pool = Pool()
        self._lookahead = Lookahead(code, follows_drift=elsewhere)
        self.startups = self._lookahead.startups
        self._bugs: dict[PolicyKey, str] = {}
        self._findings: tuple[Finding, ...] = ()
        self._excused: tuple[Finding, ...] = ()
        self._settling = Settling()
        self._incidents: tuple[Incident, ...] = ()
        self._dependencies = dependencies or Dependencies()
        self._follow_policies(policies)

    # -- the tick ------------------------------------------------------------------------------------

    def perceive(
        self,
        frame: Frame,
        demands: Mapping[PolicyKey, Demand],
        policies: PolicySet,
        beside: Elsewhere = _NOTHING,
    ) -> Percepts:
        """Return findings and forecasts at the frame's instant; score first, then learn.

        A bug in what one policy foresees is told with them, and takes no other policy's forecast (S10).
        beside: what was found elsewhere than in the frame: in shards of the fleet, or of budgets to be overrun.
        """
        if policies is not self._policies and policies.digest != self._policies.digest:
            self._follow_policies(policies)
        found = [*beside.findings, *self._fleet.find(frame, Announced(at=frame.at, why=beside.changed))]
        waits = {one.key: one.rollouts.settle_s for one in policies.watches if one.rollouts is not None}
        if waits:
            self._settling.note(frame.at, beside.changed, max(waits.values()))
            found, excused = self._settling.parted(found, waits, frame.at)
            self._excused = tuple(excused)
        forecasts = self._foresee(frame.at, demands)
        soon = self._soon(frame.at, demands)
        found += residual_drifts(self._asking, self.lineages, frame.at) if self._asking else ()
        self._findings, told = tuple(found), self._together(found, frame.at, beside.per_s)
        return Percepts(
            findings=self._findings,
            excused=self._excused if waits else (),
            incidents=told,
            forecasts=forecasts,
            nowcasts=soon.nowcasts,
            capacities=soon.capacities,
            unseen={**beside.unseen, **self._fleet.unseen},
            bugs={**self._fleet.bugs, **self._bugs},
        )

    def _soon(self, at: Instant, demands: Mapping[PolicyKey, Demand]) -> Seen:
        """Return the next minutes and capacities of policies: they are rows of one, which a bug takes together."""
        try:
            return self._lookahead.look(at, demands)
        except Exception:
            rows = (one.key for one in self._policies.scaling if one.by_slo or one.objective.per_replica is None)
            self._bugs |= dict.fromkeys(rows, traceback.format_exc())
            return Seen({}, {})

    def _together(self, found: list[Finding], at: Instant, beside: Mapping[Pair, float]) -> tuple[Incident, ...]:
        """Return the incidents that are open, and those that end now; the former are kept."""
        if not found and not self._incidents:
            return ()
        step_s = self._policies.step_s
        around = Around(
            dependencies=self._dependencies,
            population=self._fleet.population.and_also(beside),
            window_s=max(WINDOW_S, WINDOW_STEPS * step_s),
            quiet_s=max(QUIET_S, QUIET_STEPS * step_s),
        )
        told = incidents(found, self._incidents, at, around)
        self._incidents = still_open(told)
        return told

    def _foresee(self, at: Instant, demands: Mapping[PolicyKey, Demand]) -> dict[PolicyKey, Forecast]:
        """Return the forecasts that stand: all models hear, then all that share a pool foretell at once."""
        self._bugs = {}
        minute = at // STEP_S
        heard = {key: one.value if one.whole else math.nan for key, one in demands.items() if key in self._demands}
        self._by_blocks(lambda block: block.close_until(int(minute)))
        for key, value in heard.items():
            self._alone(key, partial(self._demands[key].lineage.hear, at, value))
        stale = {
            key for key, one in self._demands.items() if one.issued is None or one.issued.issued_at // STEP_S != minute
        }
        if len(stale) * _MANY_OF >= len(self._demands):
            self._pool.tidy()
            self._by_blocks(lambda block: block.foretell(int(minute), HORIZON_STEPS))
        for key, value in heard.items():
            self._alone(key, partial(self._demands[key].lineage.judge, at, value))
        for key in stale:
            self._alone(key, partial(self._issue, key, at))
        issued = ((key, one.issued) for key, one in self._demands.items() if key not in self._bugs)
        return {key: one for key, one in issued if one is not None}

    def _issue(self, key: PolicyKey, at: Instant) -> None:
        one = self._demands[key]
        one.issued = _forecast(key, one.signal, one.lineage, at)

    def _alone(self, key: PolicyKey, step: Callable[[], None]) -> None:
        """Take one policy's step; a bug in it is that policy's alone, which goes no further now (S10)."""
        if key in self._bugs:
            return
        try:
            step()
        except Exception:
            self._bugs[key] = traceback.format_exc()

    def _by_blocks(self, step: Callable[[Block], None]) -> None:
        """Take a step of all that sit together, block by block; a bug in one is that of those who sit there."""
        for block in self._pool.blocks:
            try:
                step(block)
            except Exception:
                trace, there = traceback.format_exc(), {id(one) for one in block.owners}
                sat = (key for key, one in self._demands.items() if id(one.model) in there)
                self._bugs |= dict.fromkeys(sat, trace)

    @property
    def excused(self) -> tuple[Finding, ...]:
        """Return the findings of the last tick that do not count, as something is changed on purpose."""
        return self._excused

    @property
    def sights(self) -> tuple[Sight, ...]:
        """Return what the detectors said of their rows at the last tick."""
        return self._fleet.sights

    def look(self, key: str) -> Look | None:
        """Return what was said of one watched series at the last tick, None of one that was not in its frame."""
        return self._fleet.look(key)

    def peak_demand(self, policy: PolicyKey) -> float | None:
        """Return the greatest demand that a policy's model remembers, None while it remembers nothing."""
        foreseen = self._demands.get(policy)
        return None if foreseen is None else foreseen.model.peak

    # -- versions of models --------------------------------------------------------------------------

    @property
    def lineages(self) -> Mapping[PolicyKey, Lineage | NextMinutes]:
        """Return the versions of the models of each policy's demand, and of its next minutes, by name."""
        return {**{key: one.lineage for key, one in self._demands.items()}, **self._lookahead.lineages}

    def jobs(self, now: Instant) -> tuple[FitJob, ...]:
        """Return what is to be fitted elsewhere now, each once."""
        if not self._elsewhere:
            return ()
        asked_ = (one.lineage.job(now) for one in self._demands.values())
        return tuple(job for job in asked_ if job is not None)

    def take(self, result: FitResult, now: Instant) -> None:
        """Take what became of a job; one for a policy that is gone, or asks for something else now, is dropped."""
        foreseen = self._demands.get(result.job.policy)
        if foreseen is not None:
            foreseen.lineage.take(result, now)

    # -- learning from history -----------------------------------------------------------------------

    def backfill_demand(self, policy: PolicyKey, times: F64, values: F64) -> None:
        """Learn a policy's demand from history; times, values: float64[t], NaN is a gap."""
        foreseen = self._demands.get(policy)
        if foreseen is not None:
            foreseen.lineage.backfill(times, values)
            foreseen.issued = None

    def adopt_soon(self, learnt: Lookahead) -> None:
        """Take what was learnt of the next minutes from history, beside the loop."""
        self._lookahead.adopt(learnt)

    @property
    def knows_soon(self) -> bool:
        """Return whether the next minutes of every policy that asks are known well enough to act on."""
        return self._lookahead.learned

    def backfill_watch(self, times: F64, values: F64, index: SeriesIndex) -> None:
        """Learn watched series from history; values: float64[n, t], keys of `index` as in frames."""
        self._fleet.learn_history(times, values, index)

    # -- following policies and series -----------------------------------------------------------------

    def _follow_policies(self, policies: PolicySet) -> None:
        """Keep what is still asked for as it was; make anew what is asked for otherwise."""
        demands: dict[PolicyKey, _Foreseen] = {}
        for policy in policies.scaling:
            if policy.forecast is not None:
                demands[policy.key] = _Foreseen(policy, self._lineage_for(policy, policy.forecast))
        self._demands = demands
        self._pool.gather()
        self._lookahead.follow(policies)
        self._fleet.follow(policies.watches)
        self._policies, self._asking = policies, asking(policies)

    def _lineage_for(self, policy: ScalingPolicy, spec: ForecastSpec) -> Lineage:
        """Return the models of a policy: its own, those that know what a version of it has learnt, or new ones."""
        wanted, old = asked(policy), self._demands.get(policy.key)
        if old is not None and old.asked == wanted:
            return old.lineage

        def make(name: str) -> Forecaster:
            combination = COMBINATIONS.get(name)
            if combination is not None:
                return combination(spec, refits=not self._elsewhere, pool=self._pool)
            return FORECASTERS[name](spec)

        made = make(spec.model)
        known = (one for one in self._demands.values() if one.asked == wanted and one.kin == kin(policy))
        relative = next(known, None)
        if relative is not None and (relative.model.name, relative.model.version) == (made.name, made.version):
            made.restore({name: array.copy() for name, array in relative.model.arrays().items()})
        others = tuple(name for name in spec.challengers if name != spec.model)
        return Lineage(policy.key, made, make, Terms(elsewhere=self._elsewhere, code=self._code, challengers=others))

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Learnt:
        """Return everything that was learnt, by name, for a checkpoint."""
        about = {
            "format": FORMAT,
            "at": self._fleet.at if math.isfinite(self._fleet.at) else None,
            **self._fleet.about(),
            "demands": {key: [one.asked, one.model.version] for key, one in self._demands.items()},
            "incidents": [asdict(one) for one in self._incidents],
            "settling": self._settling.about(),
        }
        out: dict[str, NDArray[np.generic]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        out |= self._fleet.arrays()
        for policy, one in self._demands.items():
            out |= {f"demand/{policy}/{key}": array for key, array in one.model.arrays().items()}
            out |= {f"lineage/{policy}/{key}": array for key, array in one.lineage.arrays().items()}
        out |= {f"soon/{key}": array for key, array in self._lookahead.arrays().items()}
        return out

    def restore(self, arrays: Learnt) -> tuple[str, ...]:
        """Take a checkpoint and return what of it did not fit, with the reason: that is to be learnt again.

        Raises ValueError when it is none of ours or of another format.
        """
        about = _about(arrays)
        at = -math.inf if about["at"] is None else float(about["at"])
        refused = self._fleet.restore(arrays, about, at)
        for policy, one in self._demands.items():
            try:
                expect(about["demands"].get(policy), [one.asked, one.model.version])
                one.lineage.restore(under(arrays, f"lineage/{policy}/"), under(arrays, f"demand/{policy}/"))
                one.issued = None
            except ValueError as err:
                refused.append(f"demand of {policy}: {err}")
        refused += self._lookahead.restore(under(arrays, "soon/"))
        try:
            self._incidents = tuple(_incident(fields) for fields in about["incidents"])
        except (KeyError, TypeError, ValueError) as err:
            refused.append(f"incidents: {err!r}")
        try:
            self._settling.restore(about.get("settling", {"changes": (), "held": {}}))
        except (KeyError, TypeError, ValueError) as err:
            refused.append(f"changes on purpose: {err!r}")
        return tuple(refused)


def asked(policy: ScalingPolicy) -> list[str | float]:
    """Return what makes the demand of a policy, and its model, what they are."""
    spec = policy.forecast
    if spec is None:
        return []
    query = policy.signals[policy.objective.demand].query
    return [spec.model, spec.history_s, spec.season_s, query.expr, *spec.challengers]


def _about(arrays: Learnt) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(bytes(arrays["about"].astype(np.uint8)))
    except (KeyError, ValueError) as err:
        raise ValueError("this is no checkpoint of models") from err
    if about.get("format") != FORMAT:
        raise ValueError(f"this checkpoint has format {about.get('format')}, this version reads {FORMAT}")
    return about


def _incident(fields: Mapping[str, Any]) -> Incident:
    suspects = tuple(Suspect(**{**one, "why": tuple(one["why"])}) for one in fields["suspects"])
    state, series = IncidentState(fields["state"]), tuple(fields["series"])
    return Incident(**{**fields, "suspects": suspects, "state": state, "series": series})


def _forecast(policy: PolicyKey, signal: str, lineage: Lineage, at: Instant) -> Forecast:
    model, paths = lineage.champion, lineage.paths(at, HORIZON_STEPS)
    return Forecast(
        policy=policy,
        signal=signal,
        issued_at=at,
        step_s=STEP_S,
        quantiles=model.quantiles,
        paths=tuple(map(tuple, paths.tolist())),
        model=f"{model.name}-v{model.version}",
        history_s=model.history_s,
        learned=model.learned,
        skill=model.skill,
    )
