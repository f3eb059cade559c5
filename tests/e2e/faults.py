"""What tests of faults share: a settled daemon behind proxies, and what must hold at the end whatever befell it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.cluster import ControlPlane
from tests.e2e.invariants import Evidence, violations
from tests.e2e.proxy import FaultProxy, Rule
from tests.e2e.record import Record
from tests.e2e.rig import SERVICE_NAMESPACE, USER, Daemon, Rig, scaling_policy

SETTLED, BUSY, QUIET = 4, 9, 2
"""Replicas that 190, 440 and 60 req/s need at 50 each."""

DEMANDS = {SETTLED: 190.0, BUSY: 440.0, QUIET: 60.0}
WINDOW_S = 5.0


@contextlib.contextmanager
def api_proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    """Yield a TLS proxy before the API server."""
    server = plane.authority.issue("proxy")
    with FaultProxy(plane.url, cert=server.cert, key=server.key, upstream_ca=plane.ca) as proxy:
        yield proxy


def settled(
    rig: Rig, deploy: Callable[..., str], proxy: FaultProxy | None = None, **changes: Any
) -> tuple[str, Daemon]:
    """Return a Deployment's path and a daemon that leads, has stamped and sees nothing to do at 4 replicas."""
    policy = changes.pop("policy", {})
    path = deploy(replicas=SETTLED)
    rig.demand(DEMANDS[SETTLED])
    rig.policy(scaling_policy(rig.namespace, **policy))
    if proxy is not None:
        changes["kubeconfig"] = rig.kubeconfig(server=proxy.url)
    daemon = rig.daemon(**changes)
    rig.until(lambda: any("steady 4" in one for one in daemon.sentences()), "the daemon to settle", 60)
    return path, daemon


def needs(rig: Rig, replicas: int) -> None:
    """Show a demand that needs so many replicas."""
    rig.demand(DEMANDS[replicas])


def until_said(rig: Rig, daemon: Daemon, pattern: str, within_s: float = 30.0, since: int = 0) -> str:
    """Return the first sentence, after so many, in which the pattern is found."""

    def said() -> str | None:
        return next((one for one in daemon.sentences()[since:] if re.search(pattern, one)), None)

    return str(rig.until(said, f"a sentence with {pattern!r}", within_s))


def turns(rig: Rig, daemon: Daemon, count: int, within_s: float = 30.0) -> list[str]:
    """Return what the next so many ticks say."""
    begun = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) >= begun + count, f"{count} more ticks", within_s)
    return daemon.sentences()[begun:]


def reasons(rig: Rig) -> set[str]:
    """Return the codes of the reasons in the journal."""
    return {str(row["reason"]) for row in rig.decisions() if row["reason"]}


def until_reason(rig: Rig, reason: str, within_s: float = 40.0) -> None:
    """Wait until the journal has the reason; it is written every few ticks."""
    rig.until(lambda: reason in reasons(rig), f"{reason} in the journal", within_s)


def lowered(rig: Rig) -> list[AuditEvent]:
    """Return the writes that take replicas away from what a write before them, or the beginning, had set."""
    found, level = [], SETTLED
    for event in rig.writes():
        if not event.accepted or event.level is None:
            continue
        if event.level < level:
            found.append(event)
        level = event.level
    return found


def recovers(rig: Rig, daemon: Daemon, path: str, within_s: float = 60.0) -> float:
    """Prove that it acts again in both directions by itself, and return the seconds until it did."""
    began = time.monotonic()
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "it to scale out again", within_s)
    took_s = time.monotonic() - began
    needs(rig, QUIET)
    rig.until(lambda: rig.replicas(path) == QUIET, "it to scale in again", within_s)
    assert daemon.process.poll() is None
    return took_s


def sound(rig: Rig, daemon: Daemon, *, expected: Callable[[AuditEvent], bool] = lambda _: False) -> None:
    """Check what must hold whatever happened, and that nothing was a bug."""
    lines = daemon.process.log_lines()
    bugs = [one for one in lines if "exception" in one or one.get("event") in ("tick_failed", "policy_failed")]
    assert not bugs, bugs
    assert "Traceback" not in daemon.process.tail(100_000)
    log = AuditLog(rig.plane.audit_log, users=[USER])
    log.read()
    mine = {rig.namespace, SERVICE_NAMESPACE, ""}
    events = [one for one in log.events if one.at >= rig.began and one.namespace in mine]
    found = violations(Evidence(events=events, record=Record.of(daemon.store_url), expected=expected))
    assert not found, "\n".join(found)


def rule(fault: Any, **match: Any) -> Rule:
    """Return a rule; `times` as in Rule."""
    return Rule(fault, **match)


def asked(proxy: FaultProxy, since: float, **match: str) -> list[Mapping[str, Any]]:
    """Return what arrived at the proxy since, of which each attribute matches its pattern."""
    return [
        {"at": one.at, "method": one.method, "path": one.path, "verb": one.verb, "fault": one.fault}
        for one in list(proxy.seen)
        if one.at >= since and all(re.search(text, getattr(one, name)) for name, text in match.items())
    ]
