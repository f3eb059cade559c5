"""What a policy of plans reads of its signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiops.core.model import Answer, Answered, Signal, SignalMemory, Snapshot, TargetRef
from aiops.core.observe.signals import reading
from aiops.core.policies import PlanPolicy, Reaction, SignalSpec

_NEVER_SEEN = SignalMemory()


def read_signals(
    policy: PlanPolicy, before: Mapping[str, SignalMemory], snapshot: Snapshot
) -> tuple[dict[str, Signal], dict[str, SignalMemory]]:
    """Return the policy's signals at this instant by name, and what is to be remembered of each."""
    answers, pods = snapshot.answers.get(policy.key, {}), _pods(policy.target, snapshot)
    read = {
        name: reading(spec, _taken(spec, answers.get(name)), before.get(name, _NEVER_SEEN), pods, snapshot.at)
        for name, spec in policy.signals.items()
    }
    return {name: one.signal for name, one in read.items()}, {name: one.memory for name, one in read.items()}


def _taken(spec: SignalSpec, answer: Answer | None) -> Answer | None:
    """Return an answer as its policy takes it: where a part of the series will do, how many there are is nothing."""
    if isinstance(answer, Answered) and spec.on_partial is Reaction.IGNORE:
        return replace(answer, coverage=None)
    return answer


def _pods(target: TargetRef, snapshot: Snapshot) -> int:
    """Return how many pods a target has, those of a surge included, 0 where nobody looks: it explains series (S1)."""
    seen = snapshot.looked.objects.get(target.key)
    status = None if seen is None else seen.body.get("status")
    count = status.get("replicas") if isinstance(status, Mapping) else None
    return count if isinstance(count, int) else 0
