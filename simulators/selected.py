"""Templates in a scenario: who of its services they select."""

from __future__ import annotations

from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.errors import InvalidContent
from aiops.policy.expansion import Expanded, Seen, expanded
from simulators.ports import SimCluster
from simulators.scenario import Scenario


def expanded_in(scenario: Scenario, policies: PolicySet) -> PolicySet:
    """Return the set with the members of its templates, for a scenario whose services neither come nor go.

    Raises InvalidInput when a template selects nobody, or more than it may.
    """
    if not policies.templates:
        return policies
    world, hpas = scenario.world(None)
    roster = SimCluster(world, hpas)
    lists = {one.key: roster.listed(one.target, world.now) for one in policies.templates}
    made = expanded(policies, {}, Seen(lists=lists, now=world.now))
    for one in policies.templates:
        found = made.memberships[one.key]
        if not found.members:
            raise InvalidContent(
                f"{one.key} selects no service of {scenario.spec.name}: {found.held or _why(made, one)}"
            )
    return made.policies


def _why(made: Expanded, template: ScalingPolicy) -> str:
    left_out = made.left_out.get(template.key, {})
    labels = "" if template.selection is None else template.selection.labels
    return "; ".join(f"{name}: {why}" for name, why in left_out.items()) or f"none has the labels {labels}"
