"""What rows have shown is read to the same bits whether few are asked for or many."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from aiops.core.detect.records import Records, Tails

ROWS = 100


def lived_through() -> Records:
    """Return records of rows with distances from nothing to far, atoms among them, of very different lives."""
    chance = np.random.default_rng(7)
    records, every = Records(ROWS, 2), np.arange(ROWS)
    for step in range(400):
        records.total += 1
        rows = every[chance.random(ROWS) < every / ROWS]
        distances = np.exp(2.0 * chance.normal(size=(len(rows), 2)))
        distances[rows % 3 == 0, 0] = 1.0
        records.learn(rows, distances)
        if step % 100 == 99:
            records.settle(every, records.tails(every))
    return records


@pytest.mark.parametrize("few", [[0], [3, 98], list(range(40, 80))], ids=["one", "two", "forty"])
def test_few_rows_are_read_as_they_are_among_many(few: list[int]) -> None:
    records = lived_through()
    every, some = records.tails(np.arange(ROWS)), records.tails(np.array(few))
    for name in (field.name for field in fields(Tails)):
        whole, part = getattr(every, name)[..., few, :], getattr(some, name)
        assert np.ascontiguousarray(part).tobytes() == np.ascontiguousarray(whole).tobytes(), name
