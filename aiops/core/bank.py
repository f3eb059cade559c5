"""The fleet's models in one place: `perceive(frame, demands, policies) -> Percepts`. It owns their arrays.

Rows are re-targeted when the set of series or of policies changes; a series that comes back under its declared identity
goes on where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect import DETECTORS, RuledDetector
from aiops.core.detect.incidents import incidents
from aiops.core.detect.rules import of_policies
from aiops.core.detect.tracker import Seen, Tracker, as_finding
from aiops.core.forecast import FORECASTERS
from aiops.core.model import F64, Finding, Forecast, Frame, Incident, Instant, Percepts, PolicyKey, Rows, SeriesIndex
from aiops.core.policies import ForecastSpec, PolicySet, WatchPolicy
from aiops.core.protocols import Detector, Forecaster

FORMAT = 1
HORIZON_STEPS = 30
STEP_S = 60.0
"""Forecasts are issued once a minute, for half an hour."""

_NO_SERIES = SeriesIndex(keys=(), labels=())


class Demand(NamedTuple):
    """Demand of one policy now (NaN when missing), and whether it may be learnt from."""

    value: float
    learn: bool


class _Group:
    """The rows of the frame that one kind of detector watches."""

    def __init__(self, name: str, rows: Rows, policies: Sequence[WatchPolicy], owner: Rows) -> None:
        self.rows = rows
        self.detector: RuledDetector = DETECTORS[name](of_policies(policies, owner))
        self.tracker = Tracker(len(rows))


class Bank:
    """Detectors and forecasters of everything that policies watch or ask to foresee."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._index = _NO_SERIES
        self._groups: dict[str, _Group] = {}
        self._forecasters: dict[PolicyKey, tuple[ForecastSpec, Forecaster]] = {}
        self._issued: dict[PolicyKey, Forecast] = {}
        self._findings: tuple[Finding, ...] = ()
        self._incidents: tuple[Incident, ...] = ()
        self._follow_policies(policies)

    # -- the tick ------------------------------------------------------------------------------------

    def perceive(self, frame: Frame, demands: Mapping[PolicyKey, Demand], policies: PolicySet) -> Percepts:
        """Return findings and forecasts at the frame's instant; score first, then learn."""
        if policies.digest != self._policies.digest:
            self._follow_policies(policies)
        if frame.index is not self._index:
            self._follow_rows(frame.index)
        self._detect(frame)
        forecasts = self._foresee(frame.at, demands)
        return Percepts(findings=self._findings, incidents=self._incidents, forecasts=forecasts)

    def _detect(self, frame: Frame) -> None:
        found: list[Finding] = []
        for group in self._groups.values():
            whole = len(group.rows) == len(self._index)
            values = frame.values if whole else frame.values[group.rows]
            learn = frame.learn if whole else frame.learn[group.rows]
            scores = group.detector.score(frame.at, values)
            for row in group.tracker.track(frame.at, values, learn, scores):
                seen = self._seen(group, int(row), frame)
                found.append(as_finding(seen, scores, group.tracker))
            group.detector.learn(frame.at, values, learn)
        if found or self._findings:
            self._findings, self._incidents = tuple(found), incidents(found)

    def _seen(self, group: _Group, row: int, frame: Frame) -> Seen:
        place = int(group.rows[row])
        key = self._index.keys[place]
        return Seen(
            policy=key.split("#", 1)[0],
            series=key,
            labels=self._index.labels[place],
            row=row,
            at=frame.at,
            value=float(frame.values[place]),
        )

    def _foresee(self, at: Instant, demands: Mapping[PolicyKey, Demand]) -> Mapping[PolicyKey, Forecast]:
        for key, (_, forecaster) in self._forecasters.items():
            demand = demands.get(key)
            if demand is not None:
                forecaster.learn(at, demand.value if demand.learn else math.nan)
            issued = self._issued.get(key)
            if issued is None or at // STEP_S != issued.issued_at // STEP_S:
                self._issued[key] = _forecast(key, self._names[key], forecaster, at)
        return self._issued.copy()

    def peak_demand(self, policy: PolicyKey) -> float | None:
        """Return the greatest demand that a policy's model remembers, None while it remembers nothing."""
        known = self._forecasters.get(policy)
        return None if known is None else known[1].peak

    # -- learning from history -----------------------------------------------------------------------

    def backfill_demand(self, policy: PolicyKey, times: F64, values: F64) -> None:
        """Learn a policy's demand from history; times, values: float64[t], NaN is a gap."""
        known = self._forecasters.get(policy)
        if known is not None:
            known[1].backfill(times, values)
            self._issued.pop(policy, None)

    def backfill_watch(self, times: F64, values: F64, index: SeriesIndex) -> None:
        """Learn watched series from history; values: float64[n, t], keys of `index` as in frames."""
        self._follow_rows(_merged(self._index, index))
        place = {key: row for row, key in enumerate(self._index.keys)}
        rows = np.array([place[key] for key in index.keys], np.intp)
        frame = np.full(len(self._index), np.nan)
        for column, at in enumerate(times):
            frame[rows] = values[:, column]
            there = np.isfinite(frame)
            for group in self._groups.values():
                group.detector.learn(float(at), frame[group.rows], there[group.rows])

    # -- following policies and series -----------------------------------------------------------------

    def _follow_policies(self, policies: PolicySet) -> None:
        """Keep what is still asked for as it was; make anew what is asked for otherwise."""
        kept: dict[PolicyKey, tuple[ForecastSpec, Forecaster]] = {}
        for policy in policies.scaling:
            spec = policy.forecast
            if spec is None:
                continue
            old = self._forecasters.get(policy.key)
            same = old is not None and _same_model(old[0], spec)
            kept[policy.key] = (spec, old[1] if same and old is not None else FORECASTERS[spec.model](spec))
        self._forecasters = kept
        self._names = {policy.key: policy.objective.demand for policy in policies.scaling}
        self._issued = {key: issued for key, issued in self._issued.items() if key in kept}
        self._policies = policies
        self._follow_rows(self._index, policies_changed=True)

    def _follow_rows(self, index: SeriesIndex, *, policies_changed: bool = False) -> None:
        """Let every row go on where its series was, whichever row that had."""
        if index.keys == self._index.keys and not policies_changed:
            self._index = index
            return
        watches = {policy.key: number for number, policy in enumerate(self._policies.watches)}
        owner = np.array([watches.get(key.split("#", 1)[0], -1) for key in index.keys], np.intp)
        groups: dict[str, _Group] = {}
        for name in sorted({policy.detector for policy in self._policies.watches}):
            mine = [n for n, policy in enumerate(self._policies.watches) if policy.detector == name]
            rows = np.flatnonzero(np.isin(owner, mine)).astype(np.intp)
            groups[name] = _Group(name, rows, self._policies.watches, owner[rows])
            self._carry_over(groups[name], self._groups.get(name), index)
        self._index, self._groups = index, groups

    def _carry_over(self, group: _Group, old: _Group | None, index: SeriesIndex) -> None:
        if old is None or len(old.rows) == 0 or len(group.rows) == 0:
            return
        place = {self._index.keys[row]: number for number, row in enumerate(old.rows)}
        source = np.array([place.get(index.keys[row], -1) for row in group.rows], np.intp)
        rules = group.detector.rules
        old.detector.take(source)
        old.tracker.take(source)
        old.detector.rules = rules
        group.detector, group.tracker = old.detector, old.tracker

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """Return everything that was learnt, by name, for a checkpoint."""
        about = {
            "format": FORMAT,
            "keys": list(self._index.keys),
            "labels": [dict(labels) for labels in self._index.labels],
            "detectors": {name: group.detector.version for name, group in self._groups.items()},
            "forecasters": {key: [spec.model, model.version] for key, (spec, model) in self._forecasters.items()},
        }
        out: dict[str, NDArray[np.generic]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        for name, group in self._groups.items():
            out |= {f"detector/{name}/{key}": array for key, array in group.detector.arrays().items()}
            out |= {f"tracker/{name}/{key}": array for key, array in group.tracker.arrays().items()}
        for policy, (_, model) in self._forecasters.items():
            out |= {f"forecaster/{policy}/{key}": array for key, array in model.arrays().items()}
        return out

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
        """Take a checkpoint and return what of it did not fit, which is to be learnt again.

        Raises ValueError when it is none of ours or of another format.
        """
        about = json.loads(bytes(arrays["about"].astype(np.uint8))) if "about" in arrays else {}
        if about.get("format") != FORMAT:
            raise ValueError(f"this is no checkpoint of format {FORMAT}")
        self._follow_rows(SeriesIndex(keys=tuple(about["keys"]), labels=tuple(about["labels"])))
        refused = []
        for name, group in self._groups.items():
            fits = about["detectors"].get(name) == group.detector.version
            if not (fits and _restored(arrays, f"detector/{name}/", group.detector)):
                refused.append(f"detector {name}")
            _restored(arrays, f"tracker/{name}/", group.tracker)
        for policy, (spec, model) in self._forecasters.items():
            fits = about["forecasters"].get(policy) == [spec.model, model.version]
            if not (fits and _restored(arrays, f"forecaster/{policy}/", model)):
                refused.append(f"forecaster of {policy}")
        return tuple(refused)


def _restored(arrays: Mapping[str, NDArray[np.generic]], prefix: str, model: Detector | Forecaster | Tracker) -> bool:
    try:
        model.restore({key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)})
    except ValueError:
        return False
    return True


def _same_model(one: ForecastSpec, other: ForecastSpec) -> bool:
    return (one.model, one.history_s, one.season_s) == (other.model, other.history_s, other.season_s)


def _merged(one: SeriesIndex, other: SeriesIndex) -> SeriesIndex:
    known = set(one.keys)
    new = [row for row, key in enumerate(other.keys) if key not in known]
    if not new:
        return one
    return SeriesIndex(
        keys=(*one.keys, *(other.keys[row] for row in new)),
        labels=(*one.labels, *(other.labels[row] for row in new)),
    )


def _forecast(policy: PolicyKey, signal: str, model: Forecaster, at: Instant) -> Forecast:
    paths = model.paths(at, HORIZON_STEPS)
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
