"""Policies in a scenario: who of its services templates select, and whether they are about any of them."""

from __future__ import annotations

from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.errors import InvalidContent
from aiops.policy.expansion import Expanded, Seen, expanded
from simulators.ports import SimCluster
from simulators.scenario import Scenario


def expanded_in(scenario: Scenario, policies: PolicySet) -> PolicySet:
    """Return the set with the members of its templates, for a scenario whose services neither come nor go.

    Raises InvalidInput when a template selects nobody, or more than it may, and when the set is about none of them.
    """
    if not policies.templates:
        return _about(scenario, policies)
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
    return _about(scenario, made.policies)


def _about(scenario: Scenario, policies: PolicySet) -> PolicySet:
    """Return the set; raise InvalidContent when it is for other services: its rehearsal would be zeroes only."""
    known = [f"{one.namespace}/{one.name}" for one in scenario.spec.services]
    meant = sorted({str(one.target) for one in policies.scaling})
    if not policies.plans and not set(meant).intersection(known):
        targets = f"are for {', '.join(meant)}" if meant else "scale nothing"
        raise InvalidContent(f"{scenario.spec.name} has the services {', '.join(known)}, and the policies {targets}")
    return policies


def _why(made: Expanded, template: ScalingPolicy) -> str:
    left_out = made.left_out.get(template.key, {})
    labels = "" if template.selection is None else template.selection.labels
    return "; ".join(f"{name}: {why}" for name, why in left_out.items()) or f"none has the labels {labels}"
