"""Which workloads a selector chooses, in one namespace of one cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model import TargetRef

EVERYTHING = "*"
"""The name of a template's target: no object is called so."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123: what may stand in the value of a label matcher without a quote, and in a regular expression as itself."""


class Operator(StrEnum):
    """How a requirement compares, as in Kubernetes' LabelSelector."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What one label must be. values: of In and NotIn."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it; a label that is not there is not in any values, as in Kubernetes."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """All requirements at once. One without any is refused where it is written, and selects nothing here."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with these labels is selected."""
        if not self.match_labels and not self.match_expressions:
            return False
        exact = all(labels.get(key) == value for key, value in self.match_labels)
        return exact and all(one.holds(labels) for one in self.match_expressions)

    def __str__(self) -> str:
        """Return what `kubectl get -l` takes."""
        said = [f"{key}={value}" for key, value in self.match_labels]
        for one in self.match_expressions:
            match one.operator:
                case Operator.EXISTS:
                    said.append(one.key)
                case Operator.DOES_NOT_EXIST:
                    said.append(f"!{one.key}")
                case Operator.IN | Operator.NOT_IN:
                    word = "in" if one.operator is Operator.IN else "notin"
                    said.append(f"{one.key} {word} ({','.join(one.values)})")
        return ",".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a template is made into policies for. kind: a TargetRef whose name is EVERYTHING.

    max_targets: more matches than that hold all of it; max_growth: so many may join within an hour (S3).
    """

    kind: TargetRef
    labels: LabelSelector
    max_targets: int
    max_growth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A workload by which a template becomes a policy. labels: those alone that the template's queries name."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


def is_dns_label(text: str) -> bool:
    """Return whether a text may become part of a label matcher: no quote, no dot, nothing that a regex reads (S10).

    >>> is_dns_label("checkout-v2"), is_dns_label("check.out"), is_dns_label('x"} or vector(0) #')
    (True, False, False)
    """
    return _DNS_LABEL.fullmatch(text) is not None
