"""A field that stands in Git: one commit that writes it, in place of a request to the API server (S4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.model import Declared, Effect, Instant, Step, TargetRef, Verb


def steps(target: TargetRef, declared: Declared, after: int, origin: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the commit that writes `after` over what the file says now; none where the file says so already.

    target: the object whose field it is. A commit carries no version of that object, but the tip of the branch.
    """
    if declared.value is None or declared.value == after:
        return ()
    return (_step(target, declared, (declared.value, after), origin),)


def back(target: TargetRef, declared: Declared, written: int, origin: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the commit that takes back what `steps` wrote: it fits while the file still says that."""
    if declared.value is None or declared.value == written:
        return ()
    return (_step(target, declared, (written, declared.value), origin),)


def original(declared: Declared, policy: str) -> int | None:
    """Return what the file said before us: as our commit tells whose value stands, or what it says now."""
    ours = declared.ours
    return ours.original if ours is not None and ours.policy == policy else declared.value


def recorded(declared: Declared, target: TargetRef, hpa: TargetRef, now: Instant) -> Effect | None:
    """Return the effect of which the history of a branch tells: a value of ours that stands."""
    ours = declared.ours
    if ours is None or ours.after != declared.value or ours.after == ours.original:
        return None
    return Effect(
        policy=ours.policy,
        target=target,
        object=hpa,
        attribute=declared.field,
        original=ours.original,
        written=ours.after,
        action_id=ours.action_id,
        since=now,
        written_at=now,
    )


def _step(target: TargetRef, declared: Declared, change: tuple[int, int], origin: Mapping[str, str]) -> Step:
    before, after = change
    first = original(declared, origin["policy"])
    body: dict[str, Any] = {
        "repository": declared.repository,
        "branch": declared.branch,
        "file": declared.file,
        "path": declared.path,
        "field": declared.field,
        "from": before,
        "to": after,
        "original": before if first is None else first,
        "origin": dict(origin),
    }
    return Step(
        target=target,
        subresource="",
        body=body,
        uid="",
        resource_version=declared.commit,
        summary=f"{declared}: {before} -> {after}",
        verb=Verb.COMMIT,
    )
