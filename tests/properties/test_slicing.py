"""Parts of a query are the whole of it: no series is lost, none comes twice, and each has the value that it had."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.policy.slicing import narrowed, parts_by
from tests.unit.scraped import filled, labels, values

VALUES = {"node": ("n-1", "n.2", "a|b", "", "x y", 'q"z', "b\\s", "ü"), "job": ("a", "b", "")}
LABELS = ("node", "job", "le", "zone")
SELECTORS = (
    *("x", "y", "z_bucket", 'x{job="a"}', '{__name__=~"x|y"}', 'x{job!=""}', 'y{node=~"n.*"}', 'x{node!="n-1"}'),
    '{job="a"}',
)


def scraped(dice: random.Random):
    samples = {}
    for name in ("x", "y", "z_bucket"):
        for node in VALUES["node"]:
            for job in VALUES["job"]:
                if dice.random() < 0.5:
                    continue
                pairs = {key: value for key, value in (("node", node), ("job", job)) if value}
                for rank, le in enumerate(("1", "5", "+Inf") if name == "z_bucket" else ("",), start=1):
                    one = labels(name, **pairs, **({"le": le} if le else {}))
                    samples[one] = [(at, at * rank * dice.random() + rank) for at in range(0, 600, 60)]
    return filled(samples, max_series=1000)


class Queries:
    """Draws queries from what is answered from scraped samples."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def one(self, depth: int = 3) -> str:
        dice = self._dice
        made = dice.choice(("plain", "plain", "range", "call", "sum", "sum", "joined", "scaled", "renamed", "buckets"))
        if depth == 0 or made == "plain":
            return dice.choice(SELECTORS)
        if made == "range":
            function = dice.choice(("rate", "increase", "max_over_time", "absent_over_time"))
            return f"{function}({dice.choice(SELECTORS)}[5m])"
        inner = self.one(depth - 1)
        if made == "call":
            return f"{dice.choice(('abs', 'sqrt', 'absent', 'scalar', 'timestamp', '-'))}({inner})"
        if made == "sum":
            return f"{dice.choice(('sum', 'avg', 'min', 'count', 'group'))} {self._some('by', 'without')} ({inner})"
        if made == "joined":
            word = dice.choice(("+", "/", ">", "and", "or", "unless"))
            return f"({inner}) {word} {self._some('on', 'ignoring')} ({self.one(depth - 1)})"
        if made == "scaled":
            right = dice.choice(("2", "time()", "vector(3)", "scalar(y)"))
            return f"({inner}) {dice.choice(('*', '>', '<= bool'))} {right}"
        if made == "renamed":
            return f'label_replace({inner}, "{dice.choice(LABELS)}", "$1", "{dice.choice(LABELS)}", "(.*)")'
        return f"histogram_quantile(0.9, {inner})"

    def _some(self, *words: str) -> str:
        word = self._dice.choice(("", *words))
        return f"{word} ({', '.join(self._dice.sample(LABELS, self._dice.randint(0, 3)))})" if word else ""


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_parts_are_the_whole(seed: int) -> None:
    dice = random.Random(seed)
    made = scraped(dice)
    for expr in (Queries(dice).one() for _ in range(6)):
        try:
            whole = values(made, expr, 570)
        except ValueError:
            continue  # such as several series that match one: no answer to part
        for label, known in VALUES.items():
            if not parts_by(expr, label):
                continue
            every = dice.sample(known, len(known))
            cut = dice.randint(0, len(every))
            parts = [values(made, narrowed(expr, label, some), 570) for some in (every[:cut], every[cut:]) if some]
            together = {key: value for part in parts for key, value in part.items()}
            assert sum(map(len, parts)) == len(together), (expr, label)
            assert set(together) == set(whole), (expr, label)
            for key, value in whole.items():
                assert together[key] == pytest.approx(value, nan_ok=True) or math.isinf(value), (expr, label)


@pytest.mark.parametrize("function", ["histogram_quantile(0.9,", "histogram_fraction(0, 0.2,"])
def test_buckets_of_one_histogram_are_never_parted(function: str) -> None:
    expr = f"{function} rate(z_bucket[5m]))"
    assert parts_by(expr, "node")
    assert not parts_by(expr, "le")


@pytest.mark.parametrize(
    ("expr", "parted"),
    [
        ("x * on (node) y", True),
        ("x * on (job) y", False),
        ("x * ignoring (job) y", True),
        ("x * ignoring (node) y", False),
        ("x and on (job) y", False),
        ("x * on (node) group_left (zone) y", True),
        ("x * on (job) group_left (node) y", False),
        ('label_replace(x, "node", "$1", "job", "(.*)")', False),
        ('label_replace(x, "zone", "$1", "job", "(.*)")', True),
        ('label_join(x, "node", "-", "job", "zone")', False),
        ("sum by (node) (x)", True),
        ("sum by (job) (x)", False),
        ("sum without (job) (x)", True),
        ("sum without (node) (x)", False),
        ("topk(3, x)", False),
        ("topk by (node) (3, x)", True),
        ('count_values by (node) ("node", x)', False),
        ("x / scalar(y)", False),
        ("absent(x)", False),
        ("max_over_time(rate(x[1m])[5m:1m])", True),
    ],
)
def test_what_cannot_be_parted_by_a_label_is_known(expr: str, parted: bool) -> None:
    assert parts_by(expr, "node") is parted
