"""Selectors of labels, from what is written to what decides."""

from __future__ import annotations

from aiops.core.decide.scaling.target_spec import SelectorSpec
from aiops.core.selection import LabelSelector, Requirement


def labels_of(spec: SelectorSpec) -> LabelSelector:
    """Return what a written selector chooses, its labels in their order, so that equal ones are equal."""
    return LabelSelector(
        match_labels=tuple(sorted(spec.match_labels.items())),
        match_expressions=tuple(
            Requirement(key=one.key, operator=one.operator, values=one.values) for one in spec.match_expressions
        ),
    )
