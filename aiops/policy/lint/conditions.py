"""Rules over conditions in CEL: those that are always the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from aiops.core.policies import ScalingPolicy
from aiops.core.protocols import Condition, ConditionError
from aiops.policy.cel import CelCondition
from aiops.policy.document import Path as FieldPath
from aiops.policy.lint.rule import Remark, Terms

_TIMES: Mapping[str, range] = {"time.hour": range(24), "time.minute": range(60), "time.weekday": range(7)}


def constant_condition(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find conditions that always hold, or never: those that use nothing, or only the clock."""
    conditions: list[tuple[FieldPath, Condition]] = [
        (("spec", "guardrails", number, "when"), one.when) for number, one in enumerate(policy.guardrails)
    ]
    if policy.verify.expect is not None:
        conditions.append((("spec", "verify", "expect"), policy.verify.expect))
    for path, one in conditions:
        answer = constant(one)
        if answer is not None:
            hint = "time.hour is 0 to 23, time.weekday 0 (Monday) to 6" if "time." in one.text else ""
            yield Remark(path=path, message=f"this {'always' if answer else 'never'} holds", hint=hint)


def constant(condition: Condition) -> bool | None:
    """Return what a condition always says; None when it depends, or on more than the clock."""
    if not isinstance(condition, CelCondition) or set(condition.used) - set(_TIMES):
        return None
    values = [_TIMES[name] for name in condition.used]
    found: set[bool] = set()
    for numbers in product(*values):
        try:
            found.add(condition.holds(dict(zip(condition.used, map(float, numbers), strict=True))))
        except ConditionError:
            return None
        if len(found) > 1:
            return None
    return found.pop()
