"""What is seen and expected of each watched series, in the names that users of vmanomaly know, behind a limit.

`anomaly_score` (above 1 is anomalous), `y`, `yhat`, `yhat_lower`, `yhat_upper`; the labels are those of the series, and
`for` is its policy. What is missing, stale or not learnt is absent, never zero (S1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.detect.sight import Sight
from aiops.core.model import Instant, PolicyKey, Rows

VARIABLES = {
    "anomaly_score": "How unusual the newest sample is; above 1 is anomalous.",
    "y": "The newest sample.",
    "yhat": "What was expected of it.",
    "yhat_lower": "The least that is usual.",
    "yhat_upper": "The most that is usual.",
}
LEFT_OUT = "aiops_anomaly_series_left_out"
PLACEHOLDER = "$VAR"

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = ("for", "metric")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How metrics are called, `$VAR` being the variable, and how many series of one policy are told.

    max_age_s: what is older is told to nobody.
    """

    metric_format: str = PLACEHOLDER
    max_series: int = 200
    max_age_s: float = 180.0

    def name(self, variable: str) -> str:
        """Return the name of the metric of a variable."""
        return self.metric_format.replace(PLACEHOLDER, variable)


class AnomalyCollector(Collector):
    """Tells what detectors said at the last tick. present: the loop's time."""

    def __init__(self, sights: Callable[[], Sequence[Sight]], present: Callable[[], Instant], naming: Naming) -> None:
        self._sights = sights
        self._present = present
        self._naming = naming
        self._owners: dict[int, tuple[Rows, Mapping[PolicyKey, Rows]]] = {}

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        naming = self._naming
        families = {name: Metric(naming.name(name), text, "gauge") for name, text in VARIABLES.items()}
        left_out = Metric(LEFT_OUT, "Watched series that are not told one by one: they are too many.", "gauge")
        sights, now = self._sights(), self._present()
        # the arrays of rows are made once for an index, and kept while it is the one in force
        self._owners = {key: kept for key, kept in self._owners.items() if key in {id(one.places) for one in sights}}
        for sight in sights:
            if abs(now - sight.at) > naming.max_age_s:
                continue
            for policy, rows in self._by_policy(sight).items():
                told = _told(sight, rows, naming.max_series)
                left_out.add_sample(LEFT_OUT, {"for": _alias(policy)}, float(len(rows) - len(told)))
                for row in told.tolist():
                    _tell(families, naming, sight, row)
        yield from (family for family in families.values() if family.samples)
        if left_out.samples:
            yield left_out

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []

    def _by_policy(self, sight: Sight) -> Mapping[PolicyKey, Rows]:
        kept = self._owners.get(id(sight.places))
        if kept is not None and kept[0] is sight.places:
            return kept[1]
        rows: dict[PolicyKey, list[int]] = {}
        for row, place in enumerate(sight.places.tolist()):
            rows.setdefault(sight.index.keys[place].split("#", 1)[0], []).append(row)
        made = {policy: np.array(some, np.intp) for policy, some in rows.items()}
        self._owners[id(sight.places)] = (sight.places, made)
        return made


def _told(sight: Sight, rows: Rows, most: int) -> Rows:
    """Return all rows where they are few, else those that are anomalous, the worst first."""
    if len(rows) <= most:
        return rows
    score = np.nan_to_num(sight.scores.score[rows], nan=0.0)
    over = np.flatnonzero(score > 1.0)
    return rows[over[np.argsort(-score[over], kind="stable")[:most]]]


def _tell(families: Mapping[str, Metric], naming: Naming, sight: Sight, row: int) -> None:
    place = int(sight.places[row])
    labels = _labels(sight.index.keys[place], sight.index.labels[place])
    scores, learned = sight.scores, bool(sight.scores.learned[row])
    numbers = {"y": float(sight.values[row])}
    if learned:
        numbers |= {
            "anomaly_score": float(scores.score[row]),
            "yhat": float(scores.expected[row]),
            "yhat_lower": float(scores.lower[row]),
            "yhat_upper": float(scores.upper[row]),
        }
    for name, number in numbers.items():
        if not math.isnan(number):
            families[name].add_sample(naming.name(name), labels, number)


def _labels(key: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a series and of its policy; a label of its own that is called as ours is `exported_`."""
    own = {"for": _alias(key.split("#", 1)[0])}
    if "__name__" in labels:
        own["metric"] = labels["__name__"]
    kept = {name: value for name, value in labels.items() if name != "__name__" and _LABEL.fullmatch(name)}
    return {**{f"exported_{name}" if name in _OWN else name: value for name, value in kept.items()}, **own}


def _alias(policy: PolicyKey) -> str:
    return policy.split("/", 1)[1]
