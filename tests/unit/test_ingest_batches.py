"""Signals asked together are answered as if each was asked alone, and one that fails fails alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.prometheus.asking import Reply
from aiops.adapters.prometheus.batches import AGAIN_TICKS, LABEL, MOST_CHARACTERS, SIZE, WORTH, Batches, joined
from aiops.errors import SourceUnavailable, TooMuch

AT = 1_772_450_000.0
_BRANCH = re.compile(r'label_replace\((q\d+), "aiops_batch", "(\d+)", "", ""\)')


@dataclass
class Answerer:
    """Answers `qN` with N series; some queries are wrong, are scalars, or are slow beside others."""

    wrong: frozenset[str] = frozenset()
    scalar: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def instant(self, expr: str, at: float, *, many: bool = False) -> Reply:
        self.asked.append(expr)
        branches = _BRANCH.findall(expr) or [(expr, "")]
        names = {name for name, _ in branches}
        if names & self.wrong or (len(branches) > 1 and names & self.scalar):
            raise SourceUnavailable("400: expected type instant vector")
        if len(branches) > 1 and names & self.slow:
            raise TooMuch("did not answer within 10 s")
        rows = [
            ({"n": str(row), **({LABEL: place} if place else {})}, float(int(name[1:]) * 10 + row))
            for name, place in branches
            for row in range(int(name[1:]) % 4)
        ]
        return Reply(metrics=tuple(row[0] for row in rows), values=np.array([row[1] for row in rows]))


def said(one: Reply | SourceUnavailable):
    if isinstance(one, SourceUnavailable):
        return str(one)
    return [*one.metrics], one.values.tolist()


def asked(batches: Batches, answerer: Answerer, exprs: list[str]):
    found = {}
    for group in batches.planned(exprs):
        found.update(batches.asked(answerer, group, AT))
    return found


NAMES = st.frozensets(st.integers(0, 150).map(lambda number: f"q{number}"), max_size=5)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 150), wrong=NAMES, scalar=NAMES, slow=NAMES)
def test_what_is_asked_together_is_answered_as_if_it_was_asked_alone(count, wrong, scalar, slow):
    exprs = [f"q{number}" for number in range(count)]
    answerer, batches = Answerer(wrong, scalar, slow), Batches()
    expected = {expr: said(next(iter(Batches().asked(answerer, (expr,), AT).values()))) for expr in exprs}
    for _ in range(3):
        assert {expr: said(one) for expr, one in asked(batches, answerer, exprs).items()} == expected


def test_many_queries_are_a_few_requests_and_few_are_as_written():
    many, few = Answerer(), Answerer()
    asked(Batches(), many, [f"q{number}" for number in range(10 * SIZE)])
    assert len(many.asked) == 10
    asked(Batches(), few, [f"q{number}" for number in range(WORTH)])
    assert few.asked == [f"q{number}" for number in range(WORTH)]


def test_what_is_no_branch_is_left_alone_after_the_first_time_and_tried_again_later():
    exprs, batches = [f"q{number}" for number in range(5 * SIZE)], Batches()
    answerer = Answerer(wrong=frozenset({"q7"}))
    asked(batches, answerer, exprs)
    assert len(answerer.asked) == 5 + SIZE
    answerer.asked.clear()
    asked(batches, answerer, exprs)
    assert len(answerer.asked) == 5 + 1
    batches.ticks += AGAIN_TICKS
    answerer.wrong = frozenset()
    answerer.asked.clear()
    asked(batches, answerer, exprs)
    assert len(answerer.asked) == 5


def test_a_branch_that_is_slow_sends_its_group_alone_and_no_other():
    exprs, batches = [f"q{number}" for number in range(5 * SIZE)], Batches()
    answerer = Answerer(slow=frozenset({"q7"}))
    asked(batches, answerer, exprs)
    answerer.asked.clear()
    asked(batches, answerer, exprs)
    assert len(answerer.asked) == 4 + SIZE


def test_no_request_is_longer_than_a_source_takes_and_what_is_too_long_goes_alone():
    exprs = [f"q{number:0900}" for number in range(WORTH + 1)] + ["q" * (MOST_CHARACTERS + 1)]
    groups = Batches().planned(exprs)
    assert [expr for group in groups for expr in group] == exprs
    assert groups[-1] == (exprs[-1],)
    assert all(len(joined(group)) < 16_384 for group in groups[:-1])
    assert max(map(len, groups)) == 13


class Labels(dict):
    """Labels that count how often they are read."""

    read = 0

    def get(self, name, default=None):
        Labels.read += 1
        return super().get(name, default)


def test_series_that_are_the_same_objects_are_told_apart_once():
    exprs, batches = [f"q{number}" for number in range(WORTH + 1)], Batches()
    metrics = {
        size: tuple(Labels({LABEL: str(place)}) for place in range(size)) for size in (SIZE, WORTH + 1 - 2 * SIZE)
    }

    class Steady:
        def instant(self, expr: str, at: float, *, many: bool = False) -> Reply:
            known = metrics.get(expr.count(LABEL), ({},))
            return Reply(metrics=known, values=np.arange(float(len(known))) + at)

    first = asked(batches, Steady(), exprs)
    counted = Labels.read
    again = asked(batches, Steady(), exprs)
    assert counted == Labels.read == 2 * SIZE
    assert {expr: said(one) for expr, one in again.items()} == {expr: said(one) for expr, one in first.items()}
    assert said(first["q7"]) == ([{}], [AT + 7.0])
