"""The sentences that findings say."""

from __future__ import annotations

import math

import pytest

from aiops.core.detect.wording import named, sentence, span
from aiops.core.model import FindingKind


@pytest.mark.parametrize(
    ("kind", "value", "band", "said"),
    [
        (FindingKind.POINT, 9.0, (1.0, 2.0, 3.0), "load 9 is above the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 0.1, (1.0, 2.0, 3.0), "load 0.1 is below the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 2.5, (1.0, 2.0, 3.0), "load 2.5 is back within the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 9.0, (-math.inf, 2.0, 3.0), "load 9 is above the usual at most 3 (expected 2)"),
        (FindingKind.POINT, 0.1, (1.0, 2.0, math.inf), "load 0.1 is below the usual at least 1 (expected 2)"),
        (FindingKind.LEVEL_SHIFT, 9.0, (1.0, 2.0, 3.0), "load 9 is above the usual 1 to 3 for 20 min (expected 2)"),
        (FindingKind.ABSENCE, math.nan, (1.0, 2.0, 3.0), "load is gone, 2 was expected"),
        (FindingKind.FLATLINE, 2.0, (1.0, 2.0, 3.0), "load does not move from 2 any more, 2 was expected"),
    ],
)
def test_a_finding_is_one_sentence(
    kind: FindingKind, value: float, band: tuple[float, float, float], said: str
) -> None:
    assert sentence("load", kind, value, band, 1200.0) == said


def test_names_and_spans_read_as_people_write_them() -> None:
    assert named({"__name__": "up", "job": "web", "a": "b"}) == "up{a=b,job=web}"
    assert named({"__name__": "up"}) == "up"
    assert named({}) == "the series"
    assert [span(30.0), span(900.0), span(7200.0)] == ["30 s", "15 min", "2.0 h"]
