"""Controls with what Alertmanager says: alerts that fire, and silences, which hold as change freezes do (S9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiops.core.model import Alert, Freeze, Instant, PolicyKey
from aiops.core.policies import CostBudget, PolicySet, WatchPolicy
from aiops.core.versions import template_key
from aiops.policy.cel import matched
from aiops.ports import Controls, ControlsReading

if TYPE_CHECKING:
    from aiops.adapters.alertmanager import Matcher, Silence, SilenceWatch
    from aiops.adapters.store.alerts import Alerts

UNREAD_S = 60.0
"""While silences are not known, the freeze that stands for them is said to last so long from now."""


@dataclass(frozen=True, slots=True)
class HeardControls:
    """ports.Controls with the alerts that fire. max_age_s: what was not told for so long is not known to fire.

    people_now: the wall clock, which differs from the loop's in a simulation.
    """

    inner: Controls
    alerts: Alerts
    max_age_s: float
    people_now: Callable[[], float]

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force at `at`."""
        now = self.people_now()
        firing = self.alerts.firing(now - self.max_age_s)
        return replace(self.inner.read(at), alerts=tuple(_moved(one, at - now) for one in firing))


@dataclass(frozen=True, slots=True)
class SilencedControls:
    """ports.Controls with freezes for what is silenced. max_age_s: silences that are older are not known."""

    inner: Controls
    watch: SilenceWatch
    policies: Callable[[], PolicySet]
    max_age_s: float

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force at `at`."""
        reading = self.inner.read(at)
        if self.watch.age_s > self.max_age_s:
            why = self.watch.failing or "not yet"
            unread = Freeze(name=f"silences are not known: {why}", until=at + UNREAD_S)
            return replace(reading, freezes=(*reading.freezes, unread))
        silences = self.watch.active(at)
        if not silences:
            return reading
        known = labels_of(self.policies())
        frozen = tuple(_freeze(one, keys) for one in silences if (keys := concerned(one, known)))
        return replace(reading, freezes=(*reading.freezes, *frozen))


def labels_of(policies: PolicySet) -> dict[PolicyKey, dict[str, str]]:
    """Return the labels by which silences match: those in a policy's metadata, and what it is and acts on."""
    made: dict[PolicyKey, dict[str, str]] = {}
    for policy in policies.every:
        own = template_key(policy.key)  # versions and members are known by what their policy is called
        kind, namespace, name = own.split("/", 2)
        labels = {**policies.labels.get(own, {}), **policies.labels.get(policy.key, {})}
        labels |= {"namespace": namespace, "policy": name, "kind": kind}
        if not isinstance(policy, WatchPolicy | CostBudget):
            target = policy.target
            labels |= {"cluster": target.cluster, "workload": target.name, target.kind.lower(): target.name}
        made[policy.key] = labels
    return made


def concerned(silence: Silence, known: Mapping[PolicyKey, Mapping[str, str]]) -> tuple[PolicyKey, ...]:
    """Return the policies that a silence matches, as Alertmanager matches alerts: a label that is missing is empty.

    One matcher at least must say something of a label that the policy has: a silence of one alert by its name is none
    of everything that has no such label.
    """
    return tuple(key for key, labels in known.items() if _matches(silence, labels))


def _matches(silence: Silence, labels: Mapping[str, str]) -> bool:
    speaks = any(one.name in labels and not one.negated for one in silence.matchers)
    return speaks and all(_holds(one, labels.get(one.name, "")) for one in silence.matchers)


def _holds(matcher: Matcher, value: str) -> bool:
    """Return whether a matcher holds; a pattern that cannot be read holds whatever it is compared with (S9)."""
    if not matcher.pattern:
        return (value == matcher.value) is not matcher.negated
    found = matched(matcher.value, value)
    return True if found is None else found is not matcher.negated


def _freeze(silence: Silence, policies: tuple[PolicyKey, ...]) -> Freeze:
    comment = f": {silence.comment}" if silence.comment else ""
    return Freeze(name=f"silence {silence.id[:8]} by {silence.by}{comment}", until=silence.until, policies=policies)


def _moved(alert: Alert, shift_s: float) -> Alert:
    """Return an alert of the wall clock on the loop's clock."""
    if shift_s == 0.0:
        return alert
    begun, ends, seen = (at + shift_s for at in (alert.starts_at, alert.ends_at, alert.seen_at))
    return replace(alert, starts_at=begun, ends_at=ends, seen_at=seen)
