"""Functions of instant vectors and of numbers, as Prometheus computes them (promql/functions.go)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from aiops.adapters.scrape.matching import Labels, Matcher, labels_of, whole
from aiops.adapters.scrape.quantiles import histogram_quantile
from aiops.adapters.scrape.vectors import NAME, Scalar, Unanswerable, Value, Vector, merged, without_name
from aiops.core.model import F64

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GROUP = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")

Argument = Value | str


def _rounded(values: F64, to: F64) -> F64:
    """Return multiples of `to`, halves up; as Prometheus by the inverse, so that 0.1 stays exact."""
    inverse = 1.0 / to
    return np.floor(values * inverse + 0.5) / inverse


_OF_VALUES: Mapping[str, Callable[..., F64]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "round": _rounded,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "clamp": lambda values, low, high: np.maximum(low, np.minimum(high, values)),
}
"""What is done to each value by itself."""

VECTOR_FUNCTIONS = frozenset(_OF_VALUES) | {"scalar", "vector", "histogram_quantile", "label_replace"}
"""`absent`, `time` and `timestamp` need more than values: the evaluator knows them."""


def called(name: str, arguments: Sequence[Argument]) -> Value:
    """Return a function of what was evaluated before; raise Unanswerable."""
    with np.errstate(all="ignore"):
        match name, *arguments:
            case "scalar", Vector() as vector:
                return _scalar(vector)
            case "vector", Scalar(values=values):
                return Vector(labels=((),), values=values[None, :], there=np.ones((1, len(values)), np.bool_))
            case "histogram_quantile", Scalar() as wanted, Vector() as vector:
                return histogram_quantile(wanted, vector)
            case "label_replace", Vector() as vector, str() as into, str() as text, str() as source, str() as pattern:
                return _label_replace(vector, (into, text), (source, pattern))
            case _, Vector() as vector, *numbers:
                return _of_values(name, vector, [one for one in numbers if isinstance(one, Scalar)])
            case _:
                raise Unanswerable(f"{name}() of these arguments has no answer")


def absent(vector: Vector, matchers: Sequence[Matcher]) -> Vector:
    """Return 1 where nothing is there, with the labels that the selector asks for; () of what is no selector."""
    nothing = np.asarray(~vector.there.any(axis=0, keepdims=True), np.bool_)
    return Vector(labels=(_asked_for(matchers),), values=np.ones(nothing.shape), there=nothing)


def _asked_for(matchers: Sequence[Matcher]) -> Labels:
    names = [one.name for one in matchers]
    return labels_of(
        {one.name: one.value for one in matchers if one.op == "=" and one.name != NAME and names.count(one.name) == 1}
    )


def _scalar(vector: Vector) -> Scalar:
    alone = vector.there.sum(axis=0) == 1
    return Scalar(values=np.where(alone, np.where(vector.there, vector.values, 0.0).sum(axis=0), np.nan))


def _of_values(name: str, vector: Vector, numbers: Sequence[Scalar]) -> Vector:
    if name == "round" and not numbers:
        numbers = [Scalar(values=np.ones(vector.values.shape[1]))]
    made = np.asarray(_OF_VALUES[name](vector.values, *(one.values[None, :] for one in numbers)), np.float64)
    there = vector.there
    if name == "clamp":
        there = there & (numbers[0].values <= numbers[1].values)[None, :]
    return without_name(replace(vector, values=made, there=there))


def _label_replace(vector: Vector, target: tuple[str, str], source: tuple[str, str]) -> Vector:
    into, text = target
    if not _LABEL.fullmatch(into):
        raise Unanswerable(f"label_replace: {into!r} is no name of a label")
    pattern = whole(source[1])
    labels = []
    for one in vector.labels:
        known = dict(one)
        found = pattern.match(known.get(source[0], ""))
        if found is not None:
            known[into] = _GROUP.sub(lambda mark, found=found: _expanded(mark, found), text)  # type: ignore[misc]
        labels.append(labels_of(known))
    return merged(replace(vector, labels=tuple(labels)))


def _expanded(mark: re.Match[str], found: re.Match[str]) -> str:
    """Return what stands for `$1`, `${1}` or `$name`; nothing for a group that there is not."""
    if mark[1]:
        return "$"
    name = mark[2] or mark[3]
    try:
        return found[int(name) if name.isdecimal() else name] or ""
    except IndexError:
        return ""
