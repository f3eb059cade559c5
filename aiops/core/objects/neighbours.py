"""What steers and guards workloads, found for each of many without looking through all of it each time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.model import Looked, SeenObject
from aiops.core.objects.bodies import around, at, strings
from aiops.core.objects.budgets import BUDGETS
from aiops.core.objects.steering import HPAS, SCALED_OBJECTS

_Pair: TypeAlias = tuple[str, str]
_Placed: TypeAlias = tuple[int, SeenObject]
"""An object, and which one of its selection it is."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Autoscalers by the name that they aim at, budgets by a label that they select, each read once."""

    looked: Looked
    _aimed: dict[str, dict[str, list[SeenObject]]] = field(default_factory=dict)
    _guards: dict[str, dict[_Pair | None, list[_Placed]]] = field(default_factory=dict)

    def of(self, workload: SeenObject) -> Looked:
        """Return of what was looked at what may concern a workload: its autoscalers, its budgets, and every error."""
        found: dict[str, tuple[SeenObject, ...]] = {}
        for kind in (HPAS, SCALED_OBJECTS):
            key = around(workload.ref, *kind).key
            if key in self.looked.selections:
                found[key] = tuple(self._aims(key).get(workload.ref.name, ()))
        key = around(workload.ref, *BUDGETS).key
        if key in self.looked.selections:
            labels = strings(at(workload.body, "spec", "template", "metadata", "labels"))
            found[key] = self._guarding(key, labels.items())
        return Looked(selections=found, errors=self.looked.errors)

    def _aims(self, key: str) -> dict[str, list[SeenObject]]:
        if key not in self._aimed:
            made: dict[str, list[SeenObject]] = {}
            for one in self.looked.selections[key]:
                name = at(one.body, "spec", "scaleTargetRef", "name")
                if isinstance(name, str):
                    made.setdefault(name, []).append(one)
            self._aimed[key] = made
        return self._aimed[key]

    def _guarding(self, key: str, labels: Iterable[_Pair]) -> tuple[SeenObject, ...]:
        if key not in self._guards:
            made: dict[_Pair | None, list[_Placed]] = {}
            for place, one in enumerate(self.looked.selections[key]):
                exact = strings(at(one.body, "spec", "selector", "matchLabels"))
                # it selects nothing that has not this label; whose selector names none is asked for every workload
                made.setdefault(next(iter(exact.items()), None), []).append((place, one))
            self._guards[key] = made
        found = [one for pair in (None, *labels) for one in self._guards[key].get(pair, ())]
        return tuple(one for _, one in sorted(found, key=lambda placed: placed[0]))
