"""What a CostPolicy of sleep, idleness or deferral refuses, with its place; and what it is granted and carries."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.kubernetes.plan_rights import plan_roles
from aiops.core.model import LoopState, SleepState
from aiops.core.model.saved import Sleeper
from aiops.core.record.codec import from_text, to_text
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.rested import NIGHTS, WEB, a_policy, at, nights

HEADER = """\
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: a, namespace: dev}
spec:
"""
WINDOW = '{schedule: "0 20 * * *", duration: 12h}'

BAD = {
    "no action": ("  target: {name: web}\n", "4:1", "a CostPolicy has exactly one of sleep, idle"),
    "two actions": (
        f"  target: {{name: web}}\n  sleep: {{windows: [{WINDOW}]}}\n  defer: {{signal: x}}\n",
        "4:1",
        "a CostPolicy has exactly one of sleep, idle",
    ),
    "no target": (f"  sleep: {{windows: [{WINDOW}]}}\n", "5:3", "sleep needs a target"),
    "a foreign namespace": (
        f"  target: {{name: web, namespace: shop}}\n  sleep: {{windows: [{WINDOW}]}}\n",
        "5:23",
        "a policy targets only its own namespace 'dev'",
    ),
    "both ways to say when": (
        f"  target: {{name: web}}\n  sleep: {{windows: [{WINDOW}], awake: [{WINDOW}]}}\n",
        "6:3",
        "sleep has windows, or the hours that workloads are awake",
    ),
    "a zone that is none": (
        '  target: {name: web}\n  sleep: {awake: [{schedule: "0 8 * * *", duration: 1h, timeZone: Moon/Base}]}\n',
        "6:57",
        "unknown time zone 'Moon/Base'",
    ),
    "a schedule that is none": (
        '  target: {name: web}\n  sleep: {awake: [{schedule: "0 25 * * *", duration: 1h}]}\n',
        "6:20",
        "'0 25 * * *' is no cron schedule",
    ),
    "an exception backwards": (
        f"  target: {{name: web}}\n  sleep: {{windows: [{WINDOW}], exceptions: "
        "[{from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z'}]}\n",
        "6:76",
        "`to` is not after `from`",
    ),
    "an exception without a zone": (
        f"  target: {{name: web}}\n  sleep: {{windows: [{WINDOW}], exceptions: "
        "[{from: '2026-01-01T00:00:00', to: '2026-01-02T00:00:00Z'}]}\n",
        "6:77",
        "timezone",
    ),
    "a country that is none": (
        f"  target: {{name: web}}\n  sleep: {{windows: [{WINDOW}], holidays: {{country: XX}}}}\n",
        "6:63",
        "no holidays are known of 'XX'",
    ),
    "a stateful set without a word": (
        f"  target: {{kinds: [StatefulSet], name: db}}\n  sleep: {{windows: [{WINDOW}]}}\n",
        "5:20",
        "StatefulSets are scaled in only where the policy says so",
    ),
    "a daemon set": (
        f"  target: {{kinds: [DaemonSet], name: db}}\n  sleep: {{windows: [{WINDOW}]}}\n",
        "5:20",
        "a DaemonSet cannot rest",
    ),
    "an unknown signal": (
        "  target: {name: web}\n  idle: {when: [{signal: requests, below: 1}]}\n",
        "6:18",
        "requests",
    ),
    "idle and in demand at once": (
        "  target: {name: web}\n  signals: {x: {query: up, unit: '1'}}\n"
        "  idle: {when: [{signal: x, below: 1, above: 0.5}]}\n",
        "7:39",
        "above is less than below",
    ),
    "deferral of what is no Job": (
        "  target: {name: web}\n"
        "  defer: {prices: {base: 1, hours: [{schedule: '0 1 * * *', duration: 1h, price: 0}]}}\n",
        "5:3",
        "defer is for Jobs",
    ),
    "no cost": (
        "  target: {kinds: [Job], every: true, maxTargets: 3}\n  defer: {within: 12h}\n",
        "6:3",
        "defer has prices, or a signal of what it costs",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_makes_no_sense_is_refused_with_its_place_s10(what):
    spec, place, message = BAD[what]
    with pytest.raises(InvalidPolicy) as told:
        parse(HEADER + spec, "a.yaml")
    said = [line for line in str(told.value).splitlines() if message in line]
    assert said, str(told.value)
    assert f"a.yaml:{place}:" in said[0]


def test_it_is_granted_what_it_reads_and_patches_and_nothing_else_s10():
    def granted(mode: str) -> set[tuple[str, str, str]]:
        policies = parse(HEADER.replace("name: a", "name: nights") + NIGHTS.replace("mode: enforce", mode), "a.yaml")
        roles: list[dict[str, Any]] = plan_roles(policies)
        rules = [
            (role["metadata"].get("namespace", ""), resource, verb)
            for role in roles
            for rule in role.get("rules", ())
            for resource in rule["resources"]
            for verb in rule["verbs"]
        ]
        return set(rules)

    acting, looking = granted("mode: enforce"), granted("mode: dry-run")
    patched = {resource for where, resource, verb in acting if verb == "patch"}
    assert patched == {"deployments", "cronjobs", "scaledobjects"}
    assert {verb for _, _, verb in looking} <= {"get", "list"}
    listed = {resource for _, resource, verb in looking if verb == "list"}
    assert listed == {"deployments", "cronjobs", "horizontalpodautoscalers", "scaledobjects", "poddisruptionbudgets"}


def test_what_it_remembers_and_its_plans_come_back_from_text():
    daemon = nights()
    daemon.run(at("2026-03-03 20:10"))
    again = from_text(to_text(daemon.state), LoopState)
    assert again == daemon.state
    memory = again.savings["CostPolicy/dev/nights"]
    assert isinstance(memory, SleepState)
    assert isinstance(memory.sleepers[WEB.key], Sleeper)


def test_a_policy_that_becomes_of_another_action_forgets_the_old_ones_memory_and_wakes_what_slept():
    daemon = nights()
    daemon.run(at("2026-03-03 20:10"))
    spec = NIGHTS[: NIGHTS.index("  sleep:")] + "  signals: {x: {query: up, unit: '1'}}\n"
    daemon.policy = a_policy(spec + "  idle: {when: [{signal: x, below: 1}], for: 1h}\n")
    daemon.values["x"] = 5.0
    daemon.run(at("2026-03-03 20:20"))
    assert daemon.cluster.value(WEB) == 3
