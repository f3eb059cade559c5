"""Requests that come again: who fails, or gives up waiting, tries once more after a back-off.

A request that its client has given up on is served all the same, for nothing: that is what turns an overload into a
retry storm that outlasts its cause (N. Bronson et al., "Metastable failures in distributed systems", HotOS 2021).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from simulators.calls import Answering, Times, together


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySpec:
    """How clients of a service try again.

    share_ratio: of those that failed or gave up. backoff_s: before the first retry, twice as long before each further
    one. most: retries of one request. patience_s: how long a client waits for an answer.
    """

    share_ratio: float
    backoff_s: float
    most: int
    patience_s: float

    def backoffs_s(self) -> tuple[float, ...]:
        """Return how long a client waits before each retry."""
        return tuple(self.backoff_s * 2.0**number for number in range(self.most))


class Retries:
    """The requests that will come again to one service, by the short time in which they do and the number of tries."""

    def __init__(self, spec: RetrySpec, step_s: float) -> None:
        self.spec = spec
        patience_s = spec.patience_s if math.isfinite(spec.patience_s) else 0.0
        self._soon = [max(1, round(one / step_s)) for one in spec.backoffs_s()]
        self._later = [max(1, round((one + patience_s) / step_s)) for one in spec.backoffs_s()]
        longest = max([*self._soon, *self._later], default=0)
        self._coming: deque[list[float]] = deque([0.0] * spec.most for _ in range(longest + 1))

    def take(self) -> list[float]:
        """Return how many come now, by the number of tries before less one, and go on to the next short time."""
        now = self._coming.popleft()
        self._coming.append([0.0] * self.spec.most)
        return now

    def again(self, tries: list[float], fail_ratio: float, late_ratio: float) -> None:
        """Let those come again whose try went wrong. tries: numbers of requests, first tries first."""
        share = self.spec.share_ratio
        for number, count in enumerate(tries[: self.spec.most]):
            self._coming[self._soon[number] - 1][number] += count * fail_ratio * share
            self._coming[self._later[number] - 1][number] += count * late_ratio * share


def in_the_end(fail_ratio: float, one: Times, spec: RetrySpec) -> Answering:
    """Return how requests are answered in the end, where each try fails as often and takes as long as given."""
    well, again = 1.0 - fail_ratio, 1.0
    failed = waited_s = 0.0
    later: list[Times] = []
    for backoff_s in spec.backoffs_s():
        failed += again * fail_ratio * (1.0 - spec.share_ratio)
        again *= fail_ratio * spec.share_ratio
        waited_s += backoff_s + (spec.patience_s if math.isfinite(spec.patience_s) else 0.0)
        later.append(Times(again * well, waited_s + one.mean_s, one.var_s2))
    failed += again * fail_ratio
    return Answering(failed, Times(well, one.mean_s, one.var_s2), together(later))
