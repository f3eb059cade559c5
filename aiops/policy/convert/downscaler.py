"""kube-downscaler's annotations on workloads and namespaces. Source: its README and annotations' reference.

Up, a workload has its own replicas; down, the downtime replicas. A policy says so by bounds that change with the clock:
up, the floor is what spec.replicas says; down, the ceiling is what is left. Where an annotation says that this is 0, a
workload sleeps: a CostPolicy says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiops.policy.convert.draft import Data, Draft
from aiops.policy.convert.manifest import Fields, Log, Manifest, kinds_of
from aiops.policy.convert.metrics import Workload
from aiops.policy.convert.scaled import IDLE_CHECK, Plan, draft, idle
from aiops.policy.convert.times import Absolute, Minutes, Spec, Weekly, cron_windows, merged, outside, times

PREFIX = "downscaler/"
_SLEEPERS = ("Deployment", "StatefulSet")
WORKLOADS = ("Deployment", "StatefulSet", "Rollout")
_TIMES = ("downtime", "uptime")
_REPLICAS = ("downtime-replicas", "downscale-replicas")
_SWITCHES = ("exclude", "force-uptime")
_NEVER_BELOW = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """The one annotation that counts. up: it says when a workload is up, and not when it is down."""

    manifest: Manifest
    key: str
    up: bool
    spec: Spec
    replicas: int


def converted(found: Sequence[Manifest], log: Log, replace: bool) -> list[Draft]:
    """Return a policy for each annotated workload, and defaults for each annotated namespace."""
    namespaces = {one.name: one for one in found if one.kind == "Namespace"}
    made: list[Draft] = []
    for one in found:
        above = namespaces.get(one.namespace)
        if one.kind == "Namespace":
            made += _defaults(one, log)
        elif one.kind in WORKLOADS:
            made += _workload(one, above, log)
        elif any(key.startswith(PREFIX) for key in one.annotations):
            log.leave(one, ("kind",), f"a {one.kind} is not converted", f"known: {', '.join(WORKLOADS)}, Namespace")
    if not made and not log.errors and not log.left:
        for one in found[:1]:
            log.wrong(one, (), f"no {PREFIX} annotation is on {kinds_of(found)}")
    return made


def _workload(manifest: Manifest, namespace: Manifest | None, log: Log) -> list[Draft]:
    rule = _rule([manifest] if namespace is None else [manifest, namespace], log)
    if rule is None:
        return []
    log.named(manifest)
    full = Fields(manifest, ("spec",), log).whole("replicas", least=0)
    full = 1 if full is None else full
    if rule.replicas < _NEVER_BELOW:
        asleep = _asleep(manifest, rule, log) if manifest.kind in _SLEEPERS else None
        if asleep is not None:
            return [asleep]
        rule = _kept(manifest, rule, log)
    if full <= rule.replicas:
        log.leave(manifest, ("spec", "replicas"), f"{full} run anyway: there is nothing to take away in downtime")
        return []
    up = _windows(rule, log, wanted=True)
    down = [{**one, "maxReplicas": rule.replicas} for one in _windows(rule, log, wanted=False)]
    workload = Workload(
        namespace=manifest.namespace,
        api_version=manifest.api_version or "apps/v1",
        kind=manifest.kind,
        name=manifest.name,
    )
    bounds: Data = {"minReplicas": rule.replicas, "maxReplicas": full}
    bounds["windows"] = [*({**one, "minReplicas": full} for one in up), *down]
    plan = Plan(
        name=manifest.name,
        workload=workload,
        demand=idle(workload),
        bounds=bounds,
        behavior={},
        about=(f"Converted from the {PREFIX} annotations that count for {manifest.namespace}/{manifest.name}.",),
        checks=IDLE_CHECK,
    )
    log.look(manifest, ("spec", "replicas"), f"up, exactly {full} replicas: the floor is the ceiling, as before")
    return [draft(plan)]


def _asleep(manifest: Manifest, rule: Rule, log: Log) -> Draft | None:
    """Return the policy of a workload that sleeps at 0, None where its times are none that come again."""
    hours = _windows(rule, log, wanted=rule.up)
    if not hours:
        return None
    kind: Data = {"kinds": [manifest.kind], "name": manifest.name}
    sleep: Data = {"awake" if rule.up else "windows": hours, "wakeAhead": "auto"}
    if manifest.kind == "StatefulSet":
        sleep["scaleIn"] = "allowed"
    return Draft(
        kind="CostPolicy",
        name=f"{manifest.name}-sleep",
        namespace=manifest.namespace,
        spec={"mode": "dry-run", "target": kind, "sleep": sleep},
        about=(
            f"Converted from the {PREFIX} annotations that count for {manifest.namespace}/{manifest.name}.",
            "It keeps what it was on the object and in the store; remove the annotations before this acts.",
        ),
    )


def _kept(manifest: Manifest, rule: Rule, log: Log) -> Rule:
    """Return the rule of what keeps one, after saying so."""
    log.leave(manifest, ("metadata", "annotations"), *_ZERO)
    return replace(rule, replicas=_NEVER_BELOW)


def _defaults(manifest: Manifest, log: Log) -> list[Draft]:
    """Return what every policy in a namespace takes over; who has none is not put to sleep."""
    rule = _rule([manifest], log)
    if rule is None:
        return []
    log.named(manifest)
    message = "only workloads with a policy are put to sleep, and not the namespace whatever runs in it"
    log.leave(manifest, ("metadata", "annotations"), message, "write a policy for each, or keep kube-downscaler")
    rule = _kept(manifest, rule, log) if rule.replicas < _NEVER_BELOW else rule
    down = [{**one, "maxReplicas": rule.replicas} for one in _windows(rule, log, wanted=False)]
    return [
        Draft(
            kind="PolicyDefaults",
            name=f"{manifest.name}-downtime",
            namespace=manifest.name,
            spec={"defaults": {"ScalingPolicy": {"bounds": {"windows": down}}}},
            about=(
                f"Converted from the {PREFIX} annotations of the namespace {manifest.name}: ceilings in downtime,",
                "for every ScalingPolicy in it that says nothing else.",
            ),
        )
    ]


def _rule(scopes: Sequence[Manifest], log: Log) -> Rule | None:
    """Return what counts, of a workload before its namespace and of downtime before uptime; None where nothing does."""
    before = len(log.errors)
    for one in scopes:
        if _excluded(one, log):
            return None
    for one in scopes:
        notes = _annotations(one)
        for key in _TIMES:
            if key in notes:
                spec = _spec(one, key, notes[key], log)
                replicas = _replicas(scopes, log)
                if spec is None or len(log.errors) > before:
                    return None
                return Rule(one, key, key == "uptime", spec, replicas)
    return None


def _annotations(manifest: Manifest) -> dict[str, Any]:
    notes: Mapping[str, Any] = manifest.annotations
    return {key.removeprefix(PREFIX): value for key, value in notes.items() if key.startswith(PREFIX)}


def _excluded(manifest: Manifest, log: Log) -> bool:
    notes = _annotations(manifest)
    for key in notes:
        if key not in (*_TIMES, *_REPLICAS, *_SWITCHES, "original-replicas"):
            log.leave(manifest, _at(key), "this annotation is not converted", f"known: {', '.join(_TIMES)}")
    for key in _SWITCHES:
        if str(notes.get(key, "false")).lower() == "true":
            log.leave(manifest, _at(key), "it is never scaled down, and so needs no policy")
            return True
        if str(notes.get(key, "false")).lower() != "false":
            log.leave(manifest, _at(key), "only true and false are converted")
    return False


def _spec(manifest: Manifest, key: str, value: Any, log: Log) -> Spec | None:
    try:
        return times(str(value))
    except ValueError as err:
        log.wrong(manifest, _at(key), str(err))
        return None


def _replicas(scopes: Sequence[Manifest], log: Log) -> int:
    """Return what runs in downtime; where nothing says so, one: scaling at 0 could not see when more is needed."""
    for one in scopes:
        for key in _REPLICAS:
            value = _annotations(one).get(key)
            if value is None:
                continue
            if not str(value).isdigit():
                log.wrong(one, _at(key), f"{value!r} is no number of replicas")
                return _NEVER_BELOW
            return int(str(value))
    log.leave(scopes[0], ("metadata", "annotations"), *_ZERO)
    return _NEVER_BELOW


_ZERO = (
    "downtime to 0 replicas is left behind: the policy keeps 1",
    "downtime-replicas: 0 on a Deployment or StatefulSet makes a CostPolicy under which it sleeps",
)


def _windows(rule: Rule, log: Log, *, wanted: bool) -> list[Data]:
    """Return the windows in which a workload is up (wanted), or down."""
    direct = rule.up is wanted
    if isinstance(rule.spec, bool):
        return [{"schedule": "0 0 * * *", "duration": "24h", "timeZone": "UTC"}] if rule.spec is direct else []
    weekly: dict[str, list[Minutes]] = {}
    for one in rule.spec:
        match one:
            case Weekly():
                weekly.setdefault(one.zone, []).extend(one.spans)
            case Absolute() if direct:
                _absolute(rule, one, log)
    if not direct and len(weekly) > 1:
        message = "spans in several time zones have no complement that is the same each week"
        log.wrong(rule.manifest, _at(rule.key), message, "write them in one time zone")
        return []
    found: list[Data] = []
    for zone, spans in weekly.items():
        for cron, minutes in cron_windows(merged(spans) if direct else outside(spans)):
            found.append({"schedule": cron, "duration": _duration(minutes), "timeZone": zone})
    return found


def _absolute(rule: Rule, one: Absolute, log: Log) -> None:
    message = f"a window comes again: {one.start.isoformat()} to {one.end.isoformat()} is left behind"
    hint = "for once, use a freeze (from, to) or pause the policy"
    log.leave(rule.manifest, _at(rule.key), message, hint)


def _duration(minutes: int) -> str:
    """Return minutes as people write them.

    >>> _duration(780), _duration(90)
    ('13h', '90m')
    """
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _at(key: str) -> tuple[str, ...]:
    return ("metadata", "annotations", f"{PREFIX}{key}")
