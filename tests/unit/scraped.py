"""Samples of a made-up target, and a target that says what a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.adapters.scrape.buffer import Buffer
from aiops.adapters.scrape.client import Fetched, ScrapeFailed
from aiops.adapters.scrape.evaluator import Evaluator
from aiops.adapters.scrape.matching import Labels, labels_of
from aiops.adapters.scrape.options import Target
from aiops.adapters.scrape.scraper import Scraping
from aiops.adapters.scrape.vectors import Dialect, Scalar

T0 = 1_700_000_000_000
URL = "http://10.0.0.9:9100/metrics"


def labels(name: str, **pairs: str) -> Labels:
    return labels_of({"__name__": name, **pairs})


def buffer(**bounds: Any) -> Buffer:
    return Buffer(**{"max_series": 100, "max_samples": 100_000, "keep_s": 86_400.0, **bounds})


def filled(samples: dict[Labels, list[tuple[int, float]]], **bounds: Any) -> Buffer:
    made = buffer(**bounds)
    for one, points in samples.items():
        made.add([(one, T0 + at_s * 1000, value) for at_s, value in points])
    return made


def values(made: Buffer, expr: str, at_s: float, dialect: Dialect = Dialect.THREE) -> dict[str, float]:
    """Return what a query answers, by its labels written as `a=b,c=d`."""
    found = Evaluator(made, dialect).answer(expr, np.array([T0 + round(at_s * 1000)], np.int64))
    if isinstance(found, Scalar):
        return {"": float(found.values[0])}
    rows = zip(found.labels, found.values[:, 0].tolist(), found.there[:, 0].tolist(), strict=True)
    return {",".join("=".join(pair) for pair in one): value for one, value, there in rows if there}


@dataclass(slots=True)
class Exporter:
    """Says `text`, or fails with `wrong`."""

    text: str = ""
    content_type: str = "text/plain; version=0.0.4"
    wrong: str = ""
    target: Target = field(default_factory=lambda: Target(job="node", url=URL))

    def fetch(self) -> Fetched:
        if self.wrong:
            raise ScrapeFailed(self.wrong)
        return Fetched(body=self.text.encode(), content_type=self.content_type)

    def scraping(self, into: Buffer) -> Scraping:
        return Scraping(self.target, into, self.fetch)
