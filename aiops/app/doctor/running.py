"""Running checks beside each other: a bounded number at once, each within its own time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiops.app.doctor.findings import Check, Finding, Looked, Status, Trouble, fail, failed, skip, trouble_of
from aiops.errors import AiopsError

AT_ONCE = 8

_FIXES = {
    Trouble.NONE: "",
    Trouble.FAULT: "correct it in the settings",
    Trouble.UNREACHABLE: "look whether it runs, its address is right, and a firewall or NetworkPolicy lets us through",
    Trouble.PERMISSION: "look at its credentials in the settings; `aiops rbac POLICIES` prints the roles",
}
"""What to do where a check has nothing better to say."""


@dataclass(slots=True)
class _Run:
    """What is under way. begun: by the place of a check, since when on the monotonic clock."""

    done: queue.SimpleQueue[tuple[int, tuple[Finding, ...]]] = field(default_factory=queue.SimpleQueue)
    begun: dict[int, float] = field(default_factory=dict)
    found: dict[int, tuple[Finding, ...]] = field(default_factory=dict)


def run(
    checks: Sequence[Check], timeout_s: float, shown: Callable[[str], str] = str, at_once: int = AT_ONCE
) -> list[Looked]:
    """Return what every check found, in the order of the checks. shown: takes secrets out of what is said.

    A check that does not end within `timeout_s` has failed, and is left alone: its thread ends with the process.
    """
    under = _Run()
    waiting = list(range(len(checks)))
    while waiting or under.begun:
        _begin(checks, waiting, under, at_once)
        _settle(checks, under, timeout_s)
    return [
        Looked(check=check, findings=tuple(_plain(one, shown) for one in under.found[place]))
        for place, check in enumerate(checks)
    ]


def _begin(checks: Sequence[Check], waiting: list[int], under: _Run, at_once: int) -> None:
    """Begin what may begin now; what needs another check that failed is skipped."""
    for place in list(waiting):
        check = checks[place]
        needed = next((at for at, one in enumerate(checks) if one.name == check.needs), None) if check.needs else None
        if needed is not None and needed not in under.found:
            continue
        if needed is not None and any(one.status is Status.FAIL for one in under.found[needed]):
            waiting.remove(place)
            under.found[place] = (skip(check.name, f"nobody to ask: {check.needs} does not answer"),)
            continue
        if len(under.begun) < at_once:
            waiting.remove(place)
            under.begun[place] = time.monotonic()
            # no pool: the interpreter waits for a pool's threads at its end, and one of these may hang
            threading.Thread(target=_look, args=(place, check, under.done), name=check.name, daemon=True).start()


def _settle(checks: Sequence[Check], under: _Run, timeout_s: float) -> None:
    """Take in what one check found, or give up those whose time is over."""
    if not under.begun:
        return
    left_s = min(under.begun.values()) + timeout_s - time.monotonic()
    try:
        place, found = under.done.get(timeout=max(0.0, left_s))
    except queue.Empty:
        now = time.monotonic()
        for place in [at for at, begun in under.begun.items() if begun + timeout_s <= now]:
            del under.begun[place]
            under.found[place] = (_late(checks[place], timeout_s),)
        return
    if place in under.begun:  # not one that was given up
        del under.begun[place]
        under.found[place] = found


def _look(place: int, check: Check, done: queue.SimpleQueue[tuple[int, tuple[Finding, ...]]]) -> None:
    try:
        found = tuple(check.look())
    except AiopsError as err:
        found = (failed(check.name, err, _FIXES[trouble_of(err)]),)
    except Exception as err:  # a bug in one check must not hide what the others found
        fix = "this is a bug in aiops; please report it"
        found = (fail(check.name, f"the check itself failed: {type(err).__name__}: {err}", fix),)
    done.put((place, found))


def _late(check: Check, timeout_s: float) -> Finding:
    fix = "--timeout waits longer"
    if check.reaches:
        fix = f"{_FIXES[Trouble.UNREACHABLE]}; {fix}"
    return fail(check.name, f"no answer within {timeout_s:g} s", fix, Trouble.UNREACHABLE)


def _plain(finding: Finding, shown: Callable[[str], str]) -> Finding:
    return replace(finding, name=shown(finding.name), what=shown(finding.what), fix=shown(finding.fix))
