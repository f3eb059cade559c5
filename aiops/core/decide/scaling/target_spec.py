"""What a policy is for, as people write it: an object by its name, or those with certain labels."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from aiops.core.decide.quantities import WholeOrNone
from aiops.core.decide.spec import Spec, in_cel
from aiops.core.selection import Operator

_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
"""Keys and values of labels, as Kubernetes has them."""

MOST_TARGETS = 500


class RequirementSpec(Spec):
    """What one label must be, as in Kubernetes' LabelSelector."""

    key: str = Field(pattern=f"^{_KEY}$", description="of the label: app.kubernetes.io/part-of")
    operator: Operator = Field(description="In and NotIn compare with values")
    values: tuple[str, ...] = Field((), max_length=100, description="of In and NotIn")

    @model_validator(mode="after")
    @in_cel(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "In and NotIn need values, Exists and DoesNotExist have none",
    )
    def values_go_with_operators(self) -> RequirementSpec:
        """Tie values to the operators that compare with them."""
        if (self.operator in (Operator.IN, Operator.NOT_IN)) != bool(self.values):
            raise ValueError("In and NotIn need values, Exists and DoesNotExist have none")
        return self


class SelectorSpec(Spec):
    """Labels of the workloads that are selected; all of it must hold."""

    match_labels: dict[str, str] = Field({}, description="labels with these values")
    match_expressions: tuple[RequirementSpec, ...] = Field((), max_length=50, description="more about labels")

    @field_validator("match_labels")
    @classmethod
    def labels_as_kubernetes_has_them(cls, value: dict[str, str]) -> dict[str, str]:
        """Refuse what no object can carry."""
        for key, one in value.items():
            if not re.fullmatch(_KEY, key) or not re.fullmatch(_VALUE, one):
                raise ValueError(f"{key[:80]!r}: {one[:80]!r} is no label that an object can have")
        return value

    @model_validator(mode="after")
    @in_cel(
        "(has(self.matchLabels) && size(self.matchLabels) > 0)"
        " || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
        "an empty selector would select everything: write matchLabels or matchExpressions",
    )
    def selects_something(self) -> SelectorSpec:
        """Refuse to select everything by saying nothing."""
        if not self.match_labels and not self.match_expressions:
            raise ValueError("an empty selector would select everything: write matchLabels or matchExpressions")
        return self


class Target(Spec):
    """The object that is scaled, or which of them; always in the policy's own namespace (S3)."""

    api_version: str = Field("apps/v1", description="group and version of the object")
    kind: str = Field("Deployment", description="any kind with a scale subresource")
    name: str | None = Field(None, min_length=1, description="the object's name")
    selector: SelectorSpec | None = Field(
        None, description="in place of a name: each object with these labels gets a policy of its own"
    )
    max_targets: WholeOrNone = Field(
        None, ge=1, le=MOST_TARGETS, description="with a selector: more matches than this hold all of it"
    )
    max_growth: WholeOrNone = Field(
        None,
        ge=0,
        le=MOST_TARGETS,
        description="with a selector: more that join within an hour hold all of it; none: a quarter of maxTargets",
    )
    namespace: str | None = Field(None, description="the policy's own namespace, and no other")
    cluster: str = Field("default", description="a cluster's name in the settings")

    @model_validator(mode="after")
    @in_cel("has(self.name) != has(self.selector)", "a target has a name, or a selector")
    @in_cel(
        "has(self.selector) == has(self.maxTargets)",
        "a selector needs maxTargets: more matches than that hold all of it; a name has none",
    )
    @in_cel("has(self.selector) || !has(self.maxGrowth)", "maxGrowth belongs to a selector")
    def one_way_to_say_which(self) -> Target:
        """Refuse to say no target, to say it twice, and a selector that may match any number (S3)."""
        if (self.name is None) == (self.selector is None):
            raise ValueError("a target has a name, or a selector")
        if (self.selector is None) != (self.max_targets is None):
            raise ValueError("a selector needs maxTargets: more matches than that hold all of it; a name has none")
        if self.selector is None and self.max_growth is not None:
            raise ValueError("maxGrowth belongs to a selector")
        return self
