"""What queries cost a Prometheus, by asking it once: series of each selector, and samples that a query touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.session import BoundedSession
from aiops.errors import SourceUnavailable

MOST_QUERIES = 500
"""So many are asked, one after the other; what is more is left out, and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """series: of each selector, 0 for one without. samples: touched by each query; None where the server keeps silent.

    failed: what could not be asked, and why. left_out: how many queries and selectors were not asked.
    """

    series: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, int | None] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def measured(options: PrometheusOptions, queries: Iterable[str], selectors: Iterable[str]) -> Measured:
    """Return what one evaluation of each costs; raise SourceUnavailable when the server cannot be asked at all."""
    wanted = [*((one, False) for one in dict.fromkeys(selectors)), *((one, True) for one in dict.fromkeys(queries))]
    series: dict[str, int] = {}
    samples: dict[str, int | None] = {}
    failed: dict[str, str] = {}
    with BoundedSession(options) as session:
        _answered(session, options, "vector(1)")
        for text, whole in wanted[:MOST_QUERIES]:
            try:
                data = _answered(session, options, text if whole else f"count({text})")
            except SourceUnavailable as err:
                failed[text] = str(err)
                continue
            if whole:
                samples[text] = _samples(data)
            else:
                series[text] = _count(data)
    return Measured(series=series, samples=samples, failed=failed, left_out=max(0, len(wanted) - MOST_QUERIES))


def _answered(session: BoundedSession, options: PrometheusOptions, query: str) -> Mapping[str, Any]:
    timeout = f"{max(1, round(options.timeout_s))}s"
    asked = {"query": query, "stats": "all", "timeout": timeout}
    response = session.post(f"{options.url.rstrip('/')}/api/v1/query", data=asked)
    data = response.json().get("data")
    if not isinstance(data, dict):
        raise SourceUnavailable(f"{options.url}: an answer without data")
    return data


def _count(data: Mapping[str, Any]) -> int:
    try:
        result = data["result"]
        return int(float(result[0]["value"][1])) if result else 0
    except (KeyError, IndexError, TypeError, ValueError) as err:
        raise SourceUnavailable("a count that is no number") from err


def _samples(data: Mapping[str, Any]) -> int | None:
    found = ((data.get("stats") or {}).get("samples") or {}).get("totalQueryableSamples")
    return found if isinstance(found, int) else None
