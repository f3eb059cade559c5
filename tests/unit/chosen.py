"""A policy with a selector, for tests of what is made of it."""

from __future__ import annotations

from aiops import policy as language
from aiops.core.policies import ScalingPolicy

WEB = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: web, namespace: shop, labels: {team: platform}}
spec:
  mode: enforce
  target: {selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1}
  signals:
    demand: {query: 'sum(rate(requests_total{app="$(target.name)",namespace="$(target.namespace)"}[1m]))', unit: req/s}
  objective: {perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 10}
"""


def changed(*changes: tuple[str, str], text: str = WEB) -> str:
    """Return the text with each old part, which is there once, as the new one."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def template(*changes: tuple[str, str]) -> ScalingPolicy:
    """Return the compiled template."""
    (made,) = language.parse(changed(*changes), "web.yaml").templates
    return made
