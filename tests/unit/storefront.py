"""The shipped policy that is steered by its SLO, and a bank that lives with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.model import Frame, Percepts, SeriesIndex
from aiops.core.policies import PolicySet
from aiops.policy import parse

TEXT = (Path(__file__).parents[2] / "policies" / "storefront.yaml").read_text(encoding="utf-8")
KEY = "ScalingPolicy/shop/storefront"
BEGIN = 1_772_409_600.0
STEP_S = 15.0
DRAWN = np.random.default_rng(5).normal(size=(50_000, 2))


def policies(*others: str, history: str = "8h", text: str = TEXT) -> PolicySet:
    """Return the storefront's policy with a season of two hours, and the same under other names."""
    text = text.replace("history: 14d,", f"history: {history}, season: 2h,")
    more = [text.replace("name: storefront", f"name: {name}") for name in others]
    return parse("\n---\n".join([text, *more]), "storefront.yaml")


def rate(step: int) -> float:
    """Return demand at a step: two hours of a wave, a little noise, and no season quite like the one before."""
    level = math.exp(0.03 * DRAWN[step, 0] + 0.15 * DRAWN[step // 480, 1])
    return (500.0 + 250.0 * math.sin(2 * math.pi * step / 480)) * level


class Living:
    """A bank that perceives one service of ten pods of four slots, step by step. off: by so many steps its clock is."""

    def __init__(self, policy_set: PolicySet | None = None) -> None:
        self.policies = policy_set or policies()
        self.bank = Bank(self.policies)
        self.step = 0
        self.off = 0

    def tick(self, **changes: float) -> Percepts:
        demand = rate(self.step)
        use = demand / 800.0
        latency = 0.12 + 0.02 * use / (1.0 - min(use, 0.98))
        seen = Demand(demand, whole=True, latency=latency, use_ratio=use, ready=10, lead_s=60.0)._replace(**changes)
        frame = Frame(
            at=BEGIN + (self.step + self.off) * STEP_S,
            index=SeriesIndex(keys=(), labels=()),
            values=np.empty(0),
            learn=np.empty(0, np.bool_),
        )
        self.step += 1
        return self.bank.perceive(frame, {policy.key: seen for policy in self.policies.scaling}, self.policies)

    def ticks(self, count: int) -> Percepts:
        for _ in range(count - 1):
            self.tick()
        return self.tick()
