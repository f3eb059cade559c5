"""Several clusters, each with a metrics source of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.app.settings import Settings
from aiops.core.policies import PolicySet
from aiops.core.policies.sourced import sourced
from aiops.ports import PolicySource


def sources_of(settings: Settings) -> dict[str, str]:
    """Return the metrics source of each cluster that has one of its own."""
    return {name: one.source for name, one in settings.clusters.items() if one.source}


@dataclass(slots=True)
class SourcedPolicies:
    """Policies whose signals are asked of the source of their cluster, where they name none. sources: by cluster."""

    inner: PolicySource
    sources: Mapping[str, str]
    _known: tuple[PolicySet, PolicySet] | None = field(default=None)

    def current(self) -> PolicySet:
        """Return the set in force, the same object for as long as it is the same set."""
        policies = self.inner.current()
        if not self.sources:
            return policies
        known = self._known
        if known is None or known[0] is not policies:
            known = self._known = (policies, sourced(policies, self.sources))
        return known[1]
