"""What can be written wrongly in a policy that is steered by its SLO, each with its place."""

from __future__ import annotations

import pytest

from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.storefront import TEXT

LEARNING = "    slo: {signal: latency, atMost: 250ms, target: 99.5%}\n    perReplica: learn\n    utilisation: use\n"


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "    utilisation: use\n",
            "",
            "objective:",
            "spec.objective: perReplica: learn needs an slo and a utilisation",
        ),
        (
            "utilisation: use",
            "utilisation: usage",
            "utilisation: usage",
            "there is no signal 'usage' (did you mean",
        ),
        (
            "utilisation: use",
            "utilisation: use\n    refused: uses",
            "refused: uses",
            "there is no signal 'uses' (did you mean",
        ),
        ("target: 99.5%", "target: 100%", "target: 100%", "spec.objective.slo.target: 100% leaves no error budget"),
        ("history: 14d,", "history: 14d, season: 1h,", "season: 1h", "quantile: slo needs a season of 2h or more"),
        (LEARNING, "    perReplica: 50\n", "quantile: slo", "quantile: slo needs an objective.slo"),
        ("quantile: slo", "quantile: sloo", "quantile: sloo", "quantile is one of 0.5, 0.9, 0.95, 0.99 and slo"),
        ("WindowSeconds: 300 ", "WindowSeconds: -1 ", "singleStep", "singleStepWindowSeconds: Input should be greater"),
    ],
)
def test_a_mistake_has_its_place(old, new, place, message):
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    line, column = _place(text, place)
    with pytest.raises(InvalidPolicy) as caught:
        parse(text, "p.yaml")
    found = [str(one) for one in caught.value.problems]
    assert any(one.startswith(f"p.yaml:{line}:{column}: spec.") and message in one for one in found), found


def _place(text: str, what: str) -> tuple[int, int]:
    before = text[: text.index(what)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
