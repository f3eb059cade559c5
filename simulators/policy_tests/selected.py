"""Whom a selector selects in a test: by the very rules of the daemon, from the workloads that the test has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiops.core.membership import Membership
from aiops.core.model import Instant, PolicyKey
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.policy.expansion import Seen, expanded
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import FaultKind
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.spans import Spans


class Selected:
    """ports.PolicySource of a test: the policy of its target, while that is a member. held: why it may not change.

    members: the names of all whom the selector selects now.
    """

    def __init__(self, case: Case, template: ScalingPolicy, policies: PolicySet) -> None:
        self._policies = policies
        self._faults = Faults(case)
        self._there = Spans(case.spec.targets, case.start)
        # in the mode that the test gives
        self._template = replace(template, mode=policies.scaling[0].mode)
        self._known: Mapping[PolicyKey, Membership] = {}
        self.members: tuple[str, ...] = ()
        self.held = ""

    def look(self, at: Instant) -> None:
        """Take the workloads that there are at an instant."""
        listed = {one.name: one.labels for _, _, one in self._there.active(at)}
        lists = {} if self._faults.any(FaultKind.CLUSTER, at) else {self._template.key: listed}
        templates = PolicySet(digest="", templates=(self._template,), step_s=self._policies.step_s)
        made = expanded(templates, self._known, Seen(lists=lists, now=at))
        self._known = made.memberships
        self.members = tuple(made.memberships[self._template.key].members)
        self.held = made.held.get(self._policies.scaling[0].key, "")

    def current(self) -> PolicySet:
        """Return the set in force."""
        mine = self._policies.scaling[0].target.name in self.members
        return self._policies if mine else replace(self._policies, digest="nobody", scaling=())
