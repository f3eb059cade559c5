"""`why` and `whatif` as plain data: what each policy of a target wants, what binds it, what would change that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.core.inquiry import Obstacle, Supposed, Threshold, obstacles, scales_in, scales_out, steering, supposed
from aiops.core.model import (
    Ask,
    Clamp,
    Decision,
    Deny,
    Inputs,
    Instant,
    Pass,
    PolicyKey,
    Reason,
    Ruled,
    Wait,
)
from aiops.core.pipeline import decide_one
from aiops.core.policies import ScalingPolicy
from aiops.core.record.codec import from_text
from aiops.core.record.story import stamp
from aiops.core.versions import MARK, template_key, under_key
from aiops.errors import AiopsError, Conflict, InvalidInput, NotFound
from aiops.policy import recompile

if TYPE_CHECKING:
    from aiops.adapters.store import Store

MOST_AFTER_S = 30 * 86_400.0
MOST_REPLICAS = 1_000_000
NEAR_RATIO = 1e-3
"""How far beyond the value at which a wish turns it is looked at what would be in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The newest decision's policy and inputs. notice: where the policy stands by promotions."""

    policy: ScalingPolicy
    inputs: Inputs
    notice: str = ""


Look = Callable[[str], Sequence[Known]]
"""Returns what is known of the policies of a target, by the target's or a policy's name."""


def in_record(store: Store, target: str) -> list[Known]:
    """Return what the record knows: inputs are kept when a decision changed, so they are as old as that."""
    found = []
    for latest in store.versions.latest():
        if target not in (latest.target, *names(latest.policy), *names(template_key(latest.policy))):
            continue
        text = store.versions.last_inputs(latest.policy)
        if text is None:
            continue
        try:
            inputs = from_text(text, Inputs)
            policy = recompile(store.reader.policy_document(inputs.policy_digest))
        except (AiopsError, ValueError):
            continue
        if isinstance(policy, ScalingPolicy):
            found.append(Known(policy=under_key(policy, latest.policy), inputs=inputs))
    last = max((one.inputs.snapshot.at for one in found), default=0.0)
    current = {one.policy for one in store.versions.latest() if one.until >= last}
    return [one for one in found if one.policy.key in current or MARK not in one.policy.key]


def names(key: PolicyKey) -> tuple[str, str, str]:
    """Return how people may call a policy: its key, NAMESPACE/NAME, NAME."""
    _, namespace, name = key.split("/", 2)
    return key, f"{namespace}/{name}", name


def why(known: Sequence[Known], target: str, now: Instant) -> dict[str, Any]:
    """Return what each policy of a target wants, what binds it, and what would have to change for it to act."""
    _there(known, target)
    newest = max(one.inputs.snapshot.at for one in known)
    return {
        "target": _target(known, target),
        "at": stamp(newest),
        "age_s": max(0.0, now - newest),
        "policies": [_why_of(one) for one in known],
    }


def whatif(known: Sequence[Known], wish: dict[str, Any], now: Instant) -> dict[str, Any]:
    """Return what would be decided with changes beside what was. Fields: target, signals, replicas, after_s."""
    target = str(wish.get("target") or "")
    _there(known, target)
    what = _supposed(wish)
    readers = [one for one in known if set(what.signals) <= set(one.policy.signals)]
    if not readers:
        names_ = sorted({name for one in known for name in one.policy.signals})
        raise Conflict(f"no policy of {target} reads {', '.join(sorted(what.signals))}; there are {', '.join(names_)}")
    newest = max(one.inputs.snapshot.at for one in known)
    return {
        "target": _target(known, target),
        "at": stamp(newest),
        "age_s": max(0.0, now - newest),
        "supposed": {"signals": dict(what.signals), "replicas": what.replicas, "after_s": what.after_s},
        "policies": [
            {
                **_about(one),
                "before": _decided(one.policy, decide_one(one.policy, one.inputs).decision),
                "after": _decided(one.policy, decide_one(one.policy, supposed(one.policy, one.inputs, what)).decision),
            }
            for one in readers
        ],
    }


def _target(known: Sequence[Known], asked: str) -> str:
    """Return which target it is about: that of the policies, or what was asked for where there are several."""
    targets = {str(one.policy.target) for one in known}
    return targets.pop() if len(targets) == 1 else f"{asked} ({len(targets)} targets)"


def _there(known: Sequence[Known], target: str) -> None:
    if not known:
        raise NotFound(
            f"no ScalingPolicy has decided anything for {target or 'this target'} of which the inputs are kept"
        )


def _supposed(wish: dict[str, Any]) -> Supposed:
    signals, replicas, after_s = wish.get("signals") or {}, wish.get("replicas"), wish.get("after_s") or 0.0
    numbers = isinstance(signals, dict) and all(_number(value) for value in signals.values())
    if not numbers:
        raise InvalidInput("signals: numbers by the names of signals are wanted, such as demand=900")
    if replicas is not None and not (type(replicas) is int and 0 <= replicas <= MOST_REPLICAS):
        raise InvalidInput(f"replicas: {replicas!r} is no number of replicas")
    if not _number(after_s) or not 0 <= after_s <= MOST_AFTER_S:
        raise InvalidInput(f"after_s: {after_s!r} is no time from 0 s to 30 d")
    if not signals and replicas is None and not after_s:
        raise InvalidInput("say what would be otherwise: a signal, replicas, or a time")
    return Supposed(
        signals={str(name): float(value) for name, value in signals.items()},
        replicas=replicas,
        after_s=float(after_s),
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# -- one policy --------------------------------------------------------------------------------------------------------


def _about(known: Known) -> dict[str, Any]:
    policy = known.policy
    return {
        "policy": policy.key,
        "candidate_for": policy.candidate_for,
        "mode": policy.reach.value,
        "notice": known.notice,
        "inputs_at": stamp(known.inputs.snapshot.at),
    }


def _why_of(known: Known) -> dict[str, Any]:
    policy, inputs = known.policy, known.inputs
    decision, signal = decide_one(policy, inputs).decision, steering(policy, inputs)
    return {
        **_about(known),
        **_decided(policy, decision),
        "rulings": [] if decision.verdict is None else [_ruled(one) for one in decision.verdict.rulings],
        "steered_by": {
            "signal": signal,
            "unit": policy.signals[signal].unit,
            "scales_out_from": _threshold(scales_out(policy, inputs, acts=True)),
            "wishes_more_from": _threshold(scales_out(policy, inputs, acts=False)),
            "scales_in_below": _threshold(scales_in(policy, inputs, acts=True)),
            "wishes_less_below": _threshold(scales_in(policy, inputs, acts=False)),
        },
        "in_the_way": [_obstacle(one, known) for one in obstacles(policy, inputs)],
        "in_the_way_of_more": _beyond(known, signal, scales_out(policy, inputs, acts=False).at, 1.0 + NEAR_RATIO),
        "in_the_way_of_less": _beyond(known, signal, scales_in(policy, inputs, acts=False).at, 1.0 - NEAR_RATIO),
    }


def _beyond(known: Known, signal: str, at: float | None, ratio: float) -> list[dict[str, Any]]:
    """Return what would be in the way were the steering signal just beyond the value at which the wish turns."""
    if at is None:
        return []
    value = at * ratio if at else NEAR_RATIO
    inputs = supposed(known.policy, known.inputs, Supposed(signals={signal: value}))
    return [_obstacle(one, known) for one in obstacles(known.policy, inputs)]


def _decided(policy: ScalingPolicy, decision: Decision) -> dict[str, Any]:
    verdict = decision.verdict
    signals = {
        one.name: {"state": one.state.value, "value": one.value if math.isfinite(one.value) else None}
        for one in decision.signals
    }
    if verdict is None:
        return {"verdict": "bug", "story": decision.story, "signals": signals}
    bound, need = verdict.binding, verdict.proposal.need
    return {
        "verdict": verdict.word.value,
        "dry_run": verdict.dry_run,
        "story": decision.story,
        "current": verdict.change.before,
        "wants": verdict.proposal.change.after,
        "left": verdict.change.after,
        "because": verdict.proposal.reason,
        "bound_by": None if bound is None else _ruled(bound),
        "need": {"reactive": need.reactive, "forecast": need.forecast, "backlog": need.backlog},
        "signals": signals,
    }


def _ruled(ruled: Ruled) -> dict[str, Any]:
    ruling = ruled.ruling
    said: dict[str, Any] = {"guard": ruled.guard, "ruling": type(ruling).__name__.lower(), "detail": ruling.detail}
    if not isinstance(ruling, Pass):
        said["reason"] = ruling.reason.value
    if isinstance(ruling, Wait) and ruling.until is not None:
        said["until"] = stamp(ruling.until)
    if isinstance(ruling, Ask):
        said["expires_at"] = stamp(ruling.expires_at)
    if isinstance(ruling, Clamp | Wait | Ask | Deny):
        said["after"] = ruled.after
    return said


def _threshold(one: Threshold) -> dict[str, Any]:
    return {"at": one.at, "why": one.why}


def _obstacle(one: Obstacle, known: Known) -> dict[str, Any]:
    return {
        "guard": one.guard,
        "reason": one.reason,
        "detail": one.detail,
        "until": None if one.until is None else stamp(one.until),
        "undo": _undo(one, known),
    }


def _undo(one: Obstacle, known: Known) -> str:
    """Return what somebody can do about an obstacle, '' when it ends by itself or has no remedy here."""
    policy, snapshot = known.policy, known.inputs.snapshot
    if one.reason == Reason.PAUSED.value:
        mine = [p for p in snapshot.pauses if p.concerns(policy.target, policy.key, snapshot.at)]
        return "; ".join(f"aiops resume {pause.id}" for pause in mine)
    if one.reason == Reason.APPROVAL_NEEDED.value:
        return "aiops approvals"
    if one.guard in ("mode", "settled"):
        if policy.candidate_for:
            return f"it runs in the shadow of {policy.candidate_for.partition('/')[2]} and never acts"
        ceiling = f"the daemon's mode is {snapshot.scope.ceiling.value}"
        return known.notice or (ceiling if snapshot.scope.ceiling.rank < policy.mode.rank else "spec.mode says so")
    return ""
