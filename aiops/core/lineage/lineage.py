"""The models of one policy's demand: the champion that is asked, and the versions in its shadow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast.clock import Backwards
from aiops.core.forecast.combined import Combined
from aiops.core.lineage import contest
from aiops.core.lineage.contenders import LOOK_EVERY_MIN
from aiops.core.lineage.contest import AHEAD, Record
from aiops.core.lineage.drift import Drift, cover
from aiops.core.lineage.fits import bad, fit_of, fits_of, parameters, why_due
from aiops.core.lineage.ranks import Ranks
from aiops.core.lineage.version import FitJob, FitResult, Role, Terms, Version, version_of
from aiops.core.model import F64, Instant, PolicyKey
from aiops.core.protocols import Arrays, Forecaster
from aiops.errors import Conflict

MINUTE_S = 60.0
MOST_SHADOWS = 3
MOST_FITS_A_DAY = 8
"""Beside those that the growth of a young history asks for."""

REST_S = 3600.0
"""After a fit was asked for, drift asks for none for so long."""

GROWN_SEASONS = 4

Make = Callable[[str], Forecaster]
"""A new, empty model of a name."""


class Lineage(Ranks[Forecaster]):
    """Versions of the model of one policy's demand. Changed in place."""

    def __init__(self, policy: PolicyKey, champion: Forecaster, make: Make, terms: Terms) -> None:
        super().__init__(policy, champion, terms.code)
        self.elsewhere, self._make = terms.elsewhere, make
        self._called = terms.challengers
        self._backwards = Backwards()
        self._sum = self._count = 0.0
        self._asked: tuple[Instant, ...] = ()
        self._waits = False
        self._wish = ""
        self._said: tuple[Instant, Forecaster | None, F64] = (-math.inf, None, np.empty((0, 0)))

    def _window(self, model: Forecaster, now: Instant) -> tuple[Instant, Instant]:
        fitted = fit_of(model)
        if fitted is None:
            return super()._window(model, now)
        return (fitted.first_step * MINUTE_S, fitted.last_step * MINUTE_S)

    def _parameters(self, model: Forecaster) -> Mapping[str, str]:
        return parameters(model)

    # -- learning ----------------------------------------------------------------------------------------

    def learn(self, at: Instant, value: float) -> None:
        """Learn one sample with every version, and judge them when a minute is over."""
        self.hear(at, value)
        self.judge(at, value)

    def hear(self, at: Instant, value: float) -> None:
        """Learn one sample with every version. Who hears for many lets all hear before any of them judges."""
        for model in (self.champion, *self._shadow.values()):
            before = fits_of(model)
            model.learn(at, value)
            if model is self.champion and fits_of(model) != before:
                self._replaced(at, "its history has grown")

    def judge(self, at: Instant, value: float) -> None:
        """Judge the versions when a minute is over, by what was heard in it before this sample."""
        minute = int(at // MINUTE_S)
        if self._backwards.says(minute, self._minute):
            self._set_back(minute, at)
        elif minute > self._minute:
            self._close(minute, at)
        if math.isfinite(value):
            self._sum, self._count = self._sum + value, self._count + 1.0

    def _set_back(self, minute: int, at: Instant) -> None:
        """Go on at a minute that is long before the last one: the clock was ahead, and what it promised is void."""
        for record in self._records.values():
            record.skip(minute, self._minute)
            record.withdraw()
        self._minute, self._sum, self._count = minute, 0.0, 0.0
        self._asked = tuple(one for one in self._asked if one <= at)
        self._drift.set_back(at)
        self.versions = tuple(
            replace(one, made_at=min(one.made_at, at), since=min(one.since, at)) for one in self.versions
        )

    def backfill(self, times: F64, values: F64) -> None:
        """Learn a history with every version."""
        if len(times):
            self._call(float(times[-1]))
        before = fit_of(self.champion), fits_of(self.champion)
        for model in (self.champion, *self._shadow.values()):
            model.backfill(times, values)
        goes_on = self.current is not None and before[0] is not None and fits_of(self.champion) == before[1]
        if len(times) and not goes_on:
            self._replaced(float(times[-1]), "learnt from history")

    def _call(self, now: Instant) -> None:
        """Let the policy's own challengers begin, each once."""
        called, self._called = self._called, ()
        for name in called:
            self._challenge(self._make(name), now, "named by the policy")

    def _replaced(self, at: Instant, why: str) -> None:
        """Note that the champion was fitted in place."""
        before = self.current
        record = Record() if before is None else self._records[before.number]
        made = self._add(self.champion, at, why, Role.CHAMPION)
        if before is not None:
            self._put(replace(before, role=Role.RETIRED, since=at, detail="fitted anew in its place"))
            del self._records[before.number]
        self._records[made.number] = record  # its errors are those of the same model, adapted

    def _close(self, minute: int, at: Instant) -> None:
        """End a minute: judge what was promised for it, follow drift, decide, promise anew."""
        value = self._sum / self._count if self._count else math.nan
        ended, self._minute = self._minute, minute
        self._sum = self._count = 0.0
        current = self.current
        if current is None:
            if math.isfinite(value):
                self._add(self.champion, at, "first", Role.CHAMPION)
                self._call(at)
            return
        if math.isfinite(value):
            self._size = abs(value) if self._size == 0.0 else self._size + 0.01 * (abs(value) - self._size)
        for one in self._records.values():
            one.settle(ended, value)
            one.skip(ended + 1, minute)
        self._follow(ended, self._records[current.number], at)
        if self._shadow and minute % LOOK_EVERY_MIN == 0:
            self._decide(at)
        for number, model in self._models().items():
            paths = model.paths(at, AHEAD[-1])
            self._records[number].promise(minute, np.array(model.quantiles), paths)
            if model is self.champion:
                self._said = at, model, paths

    def paths(self, at: Instant, steps: int) -> F64:
        """Return what the champion foretells at `at` (`Forecaster.paths`); made once if just promised."""
        said_at, by, paths = self._said
        if said_at == at and by is self.champion and paths.shape[1] == steps:
            return paths
        return self.champion.paths(at, steps)

    # -- drift and fits ----------------------------------------------------------------------------------

    def _follow(self, minute: int, record: Record, at: Instant) -> None:
        loss = float(record.losses[minute % contest.KEPT])
        why = self._drift.look(at, minute, loss, cover(record, minute))
        if why and self.elsewhere and at - (self._asked[-1] if self._asked else -math.inf) >= REST_S:
            self._wish = f"drift: {why}"

    def job(self, now: Instant) -> FitJob | None:
        """Return what is to be fitted elsewhere now, None when nothing is due; it is not asked for twice."""
        current = self.current
        if not self.elsewhere or self._waits or current is None:
            return None
        found = self._champions_job(current, now) or self._challengers_job(now)
        self._waits = found is not None
        return found

    def _champions_job(self, current: Version, now: Instant) -> FitJob | None:
        champion = self.champion
        if not isinstance(champion, Combined):
            return None
        grown = champion.due
        self._asked = tuple(one for one in self._asked if now - one < 86_400.0)
        if not self._wish and not grown:
            return None
        if self._wish and len(self._asked) >= MOST_FITS_A_DAY and not grown:
            self._wish = ""
            self._tell(current.number, "not fitted", f"{MOST_FITS_A_DAY} fits within a day are the most")
            return None
        why, self._wish = self._wish or why_due(champion), ""
        self._asked = (*self._asked, now)
        return self._job(current.number, champion, now, why)

    def _challengers_job(self, now: Instant) -> FitJob | None:
        """Return a job of a challenger of another kind: nobody else keeps it as young as the champion."""
        for number, model in sorted(self._shadow.items()):
            if self._fits_alone(number) and isinstance(model, Combined) and model.due:
                return self._job(number, model, now, why_due(model))
        return None

    def _fits_alone(self, number: int) -> bool:
        one = self._one(number)
        return one.role is Role.CHALLENGER and one.model != self.champion.name

    def _job(self, number: int, model: Combined, now: Instant, why: str) -> FitJob:
        return FitJob(
            policy=self.policy,
            number=number,
            asked_at=now,
            why=why,
            history=model.history(),
            members=model.members,
        )

    def take(self, result: FitResult, now: Instant) -> None:
        """Take what became of a job: a young champion goes on with it, a grown one is challenged by it.

        A challenger of another kind goes on with it, too. What was fitted of a model that is gone is dropped.
        """
        self._waits = False
        champion, number = self.champion, result.job.number
        challenger = self._shadow.get(number)
        if isinstance(challenger, Combined) and self._fits_alone(number):
            self._take_challengers(challenger, result, now)
            return
        if not isinstance(champion, Combined) or champion.members != result.job.members:
            return
        if result.fitted is None:
            champion.tried()
            self._tell(number, "not fitted", result.error)
            return
        young = champion.fitted is None or champion.history_s < GROWN_SEASONS * champion.grid.season * 60.0
        made = self._refitted(champion, result)
        why_not = bad(champion, made, now, grown=not young)
        champion.tried()
        if why_not:
            refused = self._add(made, now, result.job.why, Role.REFUSED)
            del self._records[refused.number]
            self._put(replace(refused, detail=why_not))
            self._tell(refused.number, "refused", why_not)
        elif young:
            champion.adopt(result.fitted)
            self._replaced(now, result.job.why)
        else:
            self._challenge(made, now, result.job.why)

    def _take_challengers(self, challenger: Combined, result: FitResult, now: Instant) -> None:
        """Let a challenger of another kind go on with a fit, unless that is a bad one; nobody acts on it yet."""
        why_not = result.error
        if result.fitted is not None:
            made = self._refitted(challenger, result)
            why_not = bad(challenger, made, now, grown=challenger.fitted is not None)
        challenger.tried()
        if why_not:
            self._tell(result.job.number, "not fitted", why_not)
        elif result.fitted is not None:
            challenger.adopt(result.fitted)
            one = self._one(result.job.number)
            self._put(replace(one, window=self._window(challenger, now), parameters=self._parameters(challenger)))

    def _refitted(self, model: Combined, result: FitResult) -> Combined:
        made = self._make(model.name)
        if not isinstance(made, Combined) or result.fitted is None:
            raise TypeError("a fit is for the combination")
        made.restore({name: array.copy() for name, array in model.arrays().items()})
        made.adopt(result.fitted)
        return made

    def _challenge(self, model: Forecaster, now: Instant, why: str) -> None:
        while len(self._shadow) >= MOST_SHADOWS:
            oldest = min(self._shadow)
            self._leave(self._one(oldest), Role.REFUSED, now, "a newer version is tried")
        made = self._add(model, now, why, Role.CHALLENGER)
        self._shadow[made.number] = model
        self._tell(made.number, "challenges", why)

    def challenge(self, model: Forecaster, now: Instant, why: str) -> None:
        """Let another model be judged in the champion's shadow."""
        self._challenge(model, now, why)

    def refit(self, why: str) -> None:
        """Ask for a fit; raise Conflict where nothing is fitted or nobody fits."""
        if not isinstance(self.champion, Combined):
            raise Conflict(f"{self.champion.name} of {self.policy} has nothing to fit")
        if not self.elsewhere:
            raise Conflict("nobody fits models beside this loop: in a simulated world they fit themselves")
        self._wish = why

    # -- checkpoints -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint, but for the champion's own."""
        about = {
            "versions": [asdict(one) for one in self.versions],
            "champion": [self.champion.name, self.champion.version],
            "shadow": {number: [model.name, model.version] for number, model in self._shadow.items()},
            "asked": list(self._asked),
            "size": self._size,
            "minute": self._minute,
            "drift": self._drift.state(),
        }
        out: dict[str, NDArray[np.generic]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        for number, model in self._shadow.items():
            out |= {f"shadow/{number}/{name}": array for name, array in model.arrays().items()}
        for number, record in self._records.items():
            out |= {f"record/{number}/{name}": array for name, array in record.arrays().items()}
        return out

    def restore(self, arrays: Arrays, champion: Arrays) -> None:
        """Take the state of a checkpoint, and the champion's own; raise ValueError, and take nothing, on a misfit.

        A version in the shadow that cannot be read any more is retired: it is judged no further.
        """
        if not arrays:
            self.champion.restore(champion)
            return
        try:
            about = json.loads(bytes(arrays["about"].astype(np.uint8)))
            versions = tuple(version_of(fields) for fields in about["versions"])
            size, asked = float(about["size"]), tuple(float(one) for one in about["asked"])
            minute, (name, number) = int(about.get("minute", -1)), about["champion"]
            drift = Drift.of(about["drift"]) if "drift" in about else Drift()
            model = self.champion if self.champion.name == name else self._make(name)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise ValueError(f"the versions of a model cannot be read: {err!r}") from err
        if model.version != number:
            raise ValueError(f"the champion was made by {name}-v{number}")
        model.restore(champion)
        self.champion, self.versions, self._size, self._asked = model, versions, size, asked
        self._shadow, self._records, self._called, self._drift = {}, {}, (), drift
        self._minute = minute  # without it all that was judged would be forgotten with the first minute
        for one in versions:
            if one.role is Role.CHAMPION or one.role.in_shadow:
                self._resume(one, arrays, about["shadow"].get(str(one.number)))

    def _resume(self, one: Version, arrays: Arrays, made_by: list[object] | None) -> None:
        record = Record()
        try:
            record.restore(_under(arrays, f"record/{one.number}/"))
            if one.role.in_shadow:
                model = self._make(one.model)
                if made_by != [model.name, model.version]:
                    raise ValueError(f"it was made by {made_by}")
                model.restore(_under(arrays, f"shadow/{one.number}/"))
                self._shadow[one.number] = model
        except ValueError as err:
            if one.role.in_shadow:
                self._put(replace(one, role=Role.RETIRED, detail=f"not readable after a restart: {err}"))
                return
        self._records[one.number] = record


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
