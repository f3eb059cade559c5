"""Binary operators between numbers and vectors, and between vectors one to one (promql/engine.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aiops.adapters.scrape.matching import Labels
from aiops.adapters.scrape.vectors import (
    NAME,
    Flags,
    Scalar,
    Unanswerable,
    Value,
    Vector,
    grouped,
    kept,
    left_out,
    merged,
    without_name,
)
from aiops.core.model import F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """How sides are matched. on: by these labels alone, or by all but these. as_bool: comparisons answer 0 and 1."""

    labels: tuple[str, ...] = ()
    on: bool = False
    as_bool: bool = False

    def key(self, labels: Labels) -> Labels:
        """Return what must be the same on both sides."""
        return kept(labels, self.labels) if self.on else left_out(labels, (*self.labels, NAME))

    def answer(self, labels: Labels) -> Labels:
        """Return the labels of an answer, the left side's being given."""
        return kept(labels, self.labels) if self.on else left_out(labels, self.labels)


ARITHMETIC: Mapping[str, Callable[[F64, F64], F64]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
}

COMPARISONS: Mapping[str, Callable[[F64, F64], Flags]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def joined(op: str, left: Value, right: Value, how: Joining) -> Value:
    """Return `left op right`; raise Unanswerable where several series match one."""
    with np.errstate(all="ignore"):
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(values=_applied(op, left.values, right.values))
        if isinstance(left, Vector) and isinstance(right, Vector):
            return _sets(op, left, right, how) if op in SET_OPERATORS else _one_to_one(op, left, right, how)
        if isinstance(left, Vector) and isinstance(right, Scalar):
            return _with_number(op, left, (left.values, right.values[None, :]), how)
        if isinstance(left, Scalar) and isinstance(right, Vector):
            return _with_number(op, right, (left.values[None, :], right.values), how)
    raise AssertionError("every pair of sides was told apart")


def _applied(op: str, left: F64, right: F64) -> F64:
    if op in ARITHMETIC:
        return np.asarray(ARITHMETIC[op](left, right), np.float64)
    return COMPARISONS[op](left, right).astype(np.float64)


def _with_number(op: str, vector: Vector, sides: tuple[F64, F64], how: Joining) -> Vector:
    made = _applied(op, *sides)
    if op in COMPARISONS and not how.as_bool:
        return replace(vector, there=vector.there & (made > 0))
    return without_name(replace(vector, values=np.broadcast_to(made, vector.values.shape)))


# -- one to one ----------------------------------------------------------------------------------------------


def _one_to_one(op: str, left: Vector, right: Vector, how: Joining) -> Vector:
    found = _by_key(right, how)
    places = {key: row for row, key in enumerate(found.labels)}
    keys = [how.key(one) for one in left.labels]
    rows = [row for row, key in enumerate(keys) if key in places]
    other = [places[keys[row]] for row in rows]
    ours, theirs = left.values[rows], found.values[other]
    there = left.there[rows] & found.there[other]
    made = _applied(op, ours, theirs)
    if op in COMPARISONS and not how.as_bool:
        there, made = there & (made > 0), ours
    _once([keys[row] for row in rows], there)
    answers = tuple(how.answer(left.labels[row]) for row in rows)
    vector = Vector(labels=answers, values=made, there=there)
    return without_name(vector) if op in ARITHMETIC or how.as_bool else merged(vector)


def _by_key(right: Vector, how: Joining) -> Vector:
    try:
        return merged(replace(right, labels=tuple(how.key(one) for one in right.labels)))
    except Unanswerable as err:
        raise Unanswerable(
            "several series of the right side match one: they need other labels to be told apart"
        ) from err


def _once(keys: list[Labels], there: Flags) -> None:
    distinct, groups = grouped(keys)
    counts = np.zeros((len(distinct), there.shape[1]), np.int64)
    np.add.at(counts, groups, there)
    if (counts > 1).any():
        raise Unanswerable("several series of the left side match one: aggregate them first")


# -- sets ----------------------------------------------------------------------------------------------------

SET_OPERATORS = frozenset({"and", "or", "unless"})


def _sets(op: str, left: Vector, right: Vector, how: Joining) -> Vector:
    if op == "or":
        rest = replace(right, there=right.there & ~_has(right, left, how))
        return merged(
            Vector(
                labels=(*left.labels, *rest.labels),
                values=np.concatenate((left.values, rest.values)),
                there=np.concatenate((left.there, rest.there)),
            )
        )
    has = _has(left, right, how)
    return replace(left, there=left.there & (has if op == "and" else ~has))


def _has(vector: Vector, other: Vector, how: Joining) -> Flags:
    """Return for each series and instant whether the other side has a series with the same key then."""
    distinct, groups = grouped([how.key(one) for one in other.labels])
    some = np.zeros((len(distinct), other.there.shape[1]), np.bool_)
    np.logical_or.at(some, groups, other.there)
    places = {key: row for row, key in enumerate(distinct)}
    found = np.zeros(vector.there.shape, np.bool_)
    for row, one in enumerate(vector.labels):
        place = places.get(how.key(one))
        if place is not None:
            found[row] = some[place]
    return found
