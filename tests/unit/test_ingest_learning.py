"""Where a whole history is too much, the newest part of it teaches."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from aiops.core.bank import Bank
from aiops.core.model import SeriesIndex
from aiops.errors import TooMuch
from aiops.loop import backfill
from aiops.policy import parse
from aiops.ports import Matrix

NOW = 1_772_450_000.0
POLICIES = parse(
    """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: many}
spec: {query: load, identity: [pod], history: 14d}
""",
    "test",
)


@dataclass
class Past:
    """Answers so many seconds at most."""

    bears_s: float
    asked_s: list[float] = field(default_factory=list)

    def range(self, query, start, end, step_s):
        self.asked_s.append(end - start)
        if end - start > self.bears_s:
            raise TooMuch("100000 series with 20160 points each, at most 100000000 samples: ask for a shorter time")
        times = np.arange(start, end + 1, step_s)
        index = SeriesIndex(keys=(f"{query.policy}#pod=a",), labels=({"pod": "a"},))
        return Matrix(times=times, values=np.full((1, len(times)), 5.0), index=index)


def test_a_history_that_is_too_much_is_asked_for_again_shorter_until_it_fits():
    past, bank = Past(bears_s=2 * 86_400.0), Bank(POLICIES)
    assert backfill(bank, POLICIES, past, (0.0, NOW), nullcontext()) == []
    assert past.asked_s[0] == 14 * 86_400.0
    assert past.asked_s[-1] <= past.bears_s < past.asked_s[-2]
    assert bank.arrays(), "it was learnt from"


def test_one_that_is_too_much_however_short_is_said_to_be_missed():
    past = Past(bears_s=0.0)
    missed = backfill(Bank(POLICIES), POLICIES, past, (0.0, NOW), nullcontext())
    assert len(missed) == 1
    assert missed[0].startswith("WatchPolicy/default/many: 100000 series")
    assert len(past.asked_s) < 12
