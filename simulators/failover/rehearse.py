"""A scenario of sites under two daemons and under the other rules, seed by seed: what `aiops simulate` shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from aiops.core.model import Mode
from aiops.core.planning.failover import FailoverPolicy
from simulators.failover.episodes import RULES, Lived, Rule, Setting, lived
from simulators.failover.scenario import Right, SitesSpec

OURS, NOTHING = "aiops, two daemons", "nothing is done"
USERS = 1000
"""Users at any time, of whom `user-minutes lost` tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How a rule fared under one seed. right: whether it moved where it should, and nothing where it should not."""

    rule: str
    seed: int
    right: bool
    lived: Lived

    @property
    def user_minutes(self) -> float:
        """Return how many minutes of users' lives were spent on requests that failed."""
        return self.lived.lost_s * USERS / 60.0

    def as_json(self) -> dict[str, Any]:
        """Return plain data; what never happened is null."""
        plain = {name: _finite(value) for name, value in asdict(self.lived).items() if name != "lost_s"}
        return {"rule": self.rule, "seed": self.seed, "right": self.right, **plain, "user_minutes": self.user_minutes}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and math.isinf(value) else value


def rules(policy: FailoverPolicy, *, baselines: bool) -> Mapping[str, Rule | FailoverPolicy | None]:
    """Return who is rehearsed, by name."""
    return {OURS: policy, NOTHING: None, **(RULES if baselines else {})}


def fared(
    spec: SitesSpec, who: tuple[str, Rule | FailoverPolicy | None], seeds: Sequence[int], progress: Callable[[], None]
) -> list[Fared]:
    """Return how one rule fares; every rule meets the same faults under the same seed."""
    name, rule = who
    found = []
    for seed in seeds:
        faults = spec.drawn(np.random.default_rng([seed, 0]))
        one = lived(faults, rule, [seed, 1], Setting(spec.standby, spec.lane, probes=spec.probes))
        found.append(Fared(rule=name, seed=seed, right=_right(spec.right, one), lived=one))
        progress()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """One rule under one seed, as text and numbers. document: of the policy; '' for one of the other rules."""

    spec: SitesSpec
    name: str
    document: str
    seed: int


def seeded(
    spec: SitesSpec, contenders: Mapping[str, Rule | FailoverPolicy | None], seeds: Sequence[int]
) -> list[Seeded]:
    """Return every rule under every seed, for processes that do them anywhere."""
    return [
        Seeded(spec=spec, name=name, document=rule.document if isinstance(rule, FailoverPolicy) else "", seed=seed)
        for name, rule in contenders.items()
        for seed in seeds
    ]


def fared_once(task: Seeded) -> Fared:
    """Return how one rule fares under one seed; the same in whatever process."""
    from aiops.policy import recompile

    rule: Rule | FailoverPolicy | None = RULES.get(task.name)
    if task.document:
        policy = recompile(task.document)
        assert isinstance(policy, FailoverPolicy)  # noqa: S101  # it was one; tells the type checker so
        rule = replace(policy, mode=Mode.ENFORCE)
    (one,) = fared(task.spec, (task.name, rule), (task.seed,), lambda: None)
    return one


def _right(right: Right, one: Lived) -> bool:
    match right:
        case Right.FAILOVER:
            return one.failovers >= 1
        case Right.NOTHING | Right.ASK:
            return one.moves == 0


COLUMNS = (
    "rule",
    "right",
    "detect s",
    "mitigate s",
    "user-minutes lost",
    "failovers",
    "failbacks",
    "writes",
    "split s",
    "asked",
)


def rows(every: Sequence[Fared]) -> list[tuple[str, ...]]:
    """Return one row a rule: medians over its seeds, shares and sums."""
    found = []
    for name in dict.fromkeys(one.rule for one in every):
        mine = [one for one in every if one.rule == name]
        found.append(
            (
                name,
                f"{sum(one.right for one in mine)}/{len(mine)}",
                _seconds([one.lived.detected_s for one in mine]),
                _seconds([one.lived.mitigated_s for one in mine]),
                f"{np.mean([one.user_minutes for one in mine]):,.0f}",
                *(
                    f"{np.mean(values):.1f}"
                    for values in (
                        [one.lived.failovers for one in mine],
                        [one.lived.failbacks for one in mine],
                        [one.lived.moves for one in mine],
                    )
                ),
                f"{sum(one.lived.split_s for one in mine):.0f}",
                f"{sum(one.lived.asked for one in mine)}/{len(mine)}",
            )
        )
    return found


def _seconds(values: Sequence[float]) -> str:
    middle = sorted(values)[len(values) // 2]
    return "never" if math.isinf(middle) else f"{middle:.0f}"
