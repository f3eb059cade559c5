"""Parts of policies, valid but for what their validators look at, for tests that compare who refuses what."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st

from aiops.core.policies import Lever
from tests.e2e.rig import scaling_policy

Part = dict[str, Any]

REACTIONS = st.sampled_from(["hold", "zero", "ignore"])
REPLICAS = st.integers(1, 4)
SIGNALS = st.fixed_dictionaries(
    {"query": st.just("up")},
    optional={
        **dict.fromkeys(("onAbsent", "onNaN", "onStale", "onPartial"), REACTIONS),
        "presence": st.just("count(up)"),
    },
)
WINDOWS = st.fixed_dictionaries(
    {"schedule": st.just("0 8 * * *"), "duration": st.just("1h")},
    optional={"minReplicas": REPLICAS, "maxReplicas": REPLICAS},
)
INSTANTS = st.sampled_from(["2026-12-20T00:00:00Z", "2026-12-20T00:30:00+01:00", "2027-01-03T00:00:00Z"])
FREEZES = st.fixed_dictionaries(
    {"name": st.just("year-end")},
    optional={
        "schedule": st.just("0 8 * * *"),
        "duration": st.just("1h"),
        "from": INSTANTS,
        "to": INSTANTS,
        "holidays": st.just({"country": "DE"}),
    },
)
BOUNDS = st.fixed_dictionaries({"maxReplicas": REPLICAS}, optional={"minReplicas": REPLICAS})
GUARDRAILS = st.fixed_dictionaries(
    {"when": st.just("replicas.current > 1.0"), "then": st.sampled_from(["hold", "hold-scale-in", "cap"])},
    optional={"maxReplicas": REPLICAS},
)

REQUIREMENTS = st.fixed_dictionaries(
    {"key": st.just("tier"), "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"])},
    optional={"values": st.lists(st.just("web"), max_size=2)},
)
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.just("tier"), st.just("web"), max_size=1),
        "matchExpressions": st.lists(st.just({"key": "tier", "operator": "Exists"}), max_size=1),
    },
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("checkout"),
        "selector": st.just({"matchLabels": {"tier": "web"}}),
        "maxTargets": st.integers(1, 9),
        "maxGrowth": st.integers(0, 9),
    },
)
TARGETS = st.fixed_dictionaries(
    {"name": st.just("checkout")},
    optional={"apiVersion": st.sampled_from(["apps/v1", "serving.knative.dev/v1"]), "kind": st.just("Deployment")},
)
LEVERS = st.fixed_dictionaries({}, optional={"lever": st.sampled_from(list(Lever)).map(str)})
SPECS = st.builds(lambda target, lever: {**whole(), "target": target, **lever}, target=TARGETS, lever=LEVERS)


def whole() -> Part:
    """Return the spec of a policy that is valid."""
    spec: Part = scaling_policy("shop")["spec"]
    return {key: one for key, one in spec.items() if key not in ("target", "lever")}


def changed(namespace: str, signal: Part, bounds: Part, guardrails: list[Part], learn: Collection[str]) -> Part:
    """Return a policy with these parts. learn: `learn` and what it is learnt from."""
    objective: Part = {"demand": "demand", "perReplica": "learn" if "learn" in learn else 50}
    if "slo" in learn:
        objective["slo"] = {"signal": "demand", "atMost": 0.25}
    if "utilisation" in learn:
        objective["utilisation"] = "demand"
    return scaling_policy(
        namespace, signals={"demand": signal}, objective=objective, bounds=bounds, guardrails=guardrails
    )
