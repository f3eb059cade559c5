"""How fast replicas may change: stabilisation windows and rate policies of the horizontal pod autoscaler's `behavior`.

Source: "Configurable scaling behavior" of the Kubernetes documentation and the controller's code (1.33).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from simulators.autoscalers.replicas import Tolerance


class Select(StrEnum):
    """Which of several policies counts: the one that allows most change, least change, or no change at all."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Unit(StrEnum):
    """What a policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `value` pods, or per cent of the pods there were, within the last `period_s`."""

    unit: Unit
    value: int
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One direction. window_s: recommendations of this long are looked at, and the least change among them counts."""

    rates: tuple[Rate, ...]
    window_s: float
    select: Select = Select.MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """Both directions. The defaults are the documented ones."""

    up: Rules = Rules(
        rates=(Rate(unit=Unit.PERCENT, value=100, period_s=15.0), Rate(unit=Unit.PODS, value=4, period_s=15.0)),
        window_s=0.0,
    )
    down: Rules = Rules(rates=(Rate(unit=Unit.PERCENT, value=100, period_s=15.0),), window_s=300.0)
    tolerance: Tolerance = field(default_factory=Tolerance)


STOCK = Behavior()


class _Recent:
    """Values of the last `period_s`: what happened exactly that long ago is past."""

    __slots__ = ("_period_s", "_times", "values")

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._times: deque[float] = deque()
        self.values: deque[int] = deque()

    def add(self, now: float, value: int) -> None:
        self._times.append(now)
        self.values.append(value)

    def forget(self, now: float) -> None:
        times, until = self._times, now - self._period_s
        while times and times[0] <= until:
            times.popleft()
            self.values.popleft()


class _Budget:
    """One rate policy and the pods that it has seen come and go in its period."""

    __slots__ = ("_moved", "_value", "_whole")

    def __init__(self, rate: Rate) -> None:
        self._moved = _Recent(rate.period_s)
        self._value = rate.value
        self._whole = rate.unit is Unit.PODS

    def note(self, now: float, change: int) -> None:
        self._moved.add(now, change)

    def highest(self, now: float, current: int) -> int:
        """Return the most replicas that it allows; a percentage rounds up, so that it always allows one more."""
        before = self._before(now, current)
        return before + self._value if self._whole else math.ceil(before * (1.0 + self._value / 100.0))

    def lowest(self, now: float, current: int) -> int:
        """Return the fewest replicas that it allows; a percentage is cut off."""
        before = self._before(now, current)
        return before - self._value if self._whole else int(before * (1.0 - self._value / 100.0))

    def _before(self, now: float, current: int) -> int:
        moved = self._moved
        moved.forget(now)
        return current - sum(moved.values) if moved.values else current


class Pace:
    """What has been wished and done lately by one autoscaler, and what that allows now."""

    def __init__(self, behavior: Behavior = STOCK) -> None:
        self._up, self._down = behavior.up, behavior.down
        self._low = _Recent(behavior.up.window_s) if behavior.up.window_s > 0.0 else None
        self._high = _Recent(behavior.down.window_s) if behavior.down.window_s > 0.0 else None
        self._up_budgets = [_Budget(rate) for rate in behavior.up.rates]
        self._down_budgets = [_Budget(rate) for rate in behavior.down.rates]
        self._fresh = True

    def allowed(self, now: float, wanted: int, current: int) -> int:
        """Return what of `wanted` is allowed now. At first `current` counts as a wish, so that a restart drops none."""
        if self._fresh:
            self._fresh = False
            self._remember(now, current)
        return self._rated(now, self._stabilised(now, wanted, current), current)

    def moved(self, now: float, before: int, after: int) -> None:
        """Note that replicas have been changed."""
        if after != before:
            for budget in self._up_budgets:
                budget.note(now, after - before)
            for budget in self._down_budgets:
                budget.note(now, after - before)

    def _remember(self, now: float, wish: int) -> None:
        if self._low is not None:
            self._low.add(now, wish)
        if self._high is not None:
            self._high.add(now, wish)

    def _stabilised(self, now: float, wanted: int, current: int) -> int:
        """Return `current`, moved no further than into the span of the recent wishes of each direction."""
        low = high = wanted
        if self._low is not None:
            self._low.forget(now)
            low = min(wanted, min(self._low.values, default=wanted))
        if self._high is not None:
            self._high.forget(now)
            high = max(wanted, max(self._high.values, default=wanted))
        self._remember(now, wanted)
        return min(max(current, low), high)

    def _rated(self, now: float, wanted: int, current: int) -> int:
        if wanted > current:
            return min(wanted, max(current, self._limit_up(now, current)))
        if wanted < current:
            return max(wanted, min(current, self._limit_down(now, current)))
        return wanted

    def _limit_up(self, now: float, current: int) -> int:
        if self._up.select is Select.DISABLED:
            return current
        limits = [budget.highest(now, current) for budget in self._up_budgets]
        return max(limits) if self._up.select is Select.MAX else min(limits)

    def _limit_down(self, now: float, current: int) -> int:
        if self._down.select is Select.DISABLED:
            return current
        limits = [budget.lowest(now, current) for budget in self._down_budgets]
        return min(limits) if self._down.select is Select.MAX else max(limits)
