"""Looking at a metrics source once, as a doctor does: version, clock, names, how often something is sampled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.session import BoundedSession
from aiops.errors import SourceUnavailable

NAMES_AT_ONCE = 50
LATELY_S = 86_400.0
"""What was sampled within a day was there lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """By how much the source's clock is ahead of ours, in seconds, and how exactly that is known."""

    ahead_s: float
    within_s: float


def prepare() -> None:
    """Load the client now: threads that load its modules, which refer to each other, at once may block each other."""
    import prometheus_api_client  # noqa: F401  # loaded for later


class Probe:
    """Asks one source; every method raises SourceUnavailable when it does not answer, or not as promised.

    wall: our clock, which the source's is compared with.
    """

    def __init__(self, options: PrometheusOptions, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._options = options
        self._session = BoundedSession(options)

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def clock(self) -> Clock:
        """Return how its clock stands to ours."""
        sent = self._wall()
        data = self._query("time()")
        received = self._wall()
        try:
            theirs = float(data["result"][1])
        except (KeyError, IndexError, TypeError, ValueError) as err:
            raise SourceUnavailable(f"{self._options.url}: time() is no number: is that a Prometheus?") from err
        return Clock(ahead_s=theirs - (sent + received) / 2, within_s=(received - sent) / 2)

    def version(self) -> str:
        """Return its version, '' where it tells none, as several that speak its API."""
        try:
            data = self._data("status/buildinfo", {})
        except SourceUnavailable:
            return ""
        return str(data.get("version", "")) if isinstance(data, dict) else ""

    def present(self, names: Iterable[str], within_s: float = 0.0) -> dict[str, int]:
        """Return how many series each of the metrics has, now or within the last seconds; one without is left out."""
        wanted, found = sorted(set(names)), dict[str, int]()
        for first in range(0, len(wanted), NAMES_AT_ONCE):
            either = "|".join(map(re.escape, wanted[first : first + NAMES_AT_ONCE]))
            selector = f"{{__name__=~{_quoted(either)}}}"
            inner = f"last_over_time({selector}[{round(within_s)}s])" if within_s else selector
            for one in self._rows(f"count by (__name__) ({inner})"):
                found[str(one["metric"].get("__name__", ""))] = int(float(one["value"][1]))
        return found

    def names(self) -> tuple[str, ...]:
        """Return the names of all metrics of the last day."""
        now = self._wall()
        data = self._data("label/__name__/values", {"start": f"{now - LATELY_S:.0f}", "end": f"{now:.0f}"})
        return tuple(map(str, data)) if isinstance(data, list) else ()

    def count(self, selector: str) -> int:
        """Return how many series a selector has, or a query answers."""
        rows = self._rows(f"count({selector})")
        return int(float(rows[0]["value"][1])) if rows else 0

    def interval_s(self, selector: str, within_s: float = 900.0) -> float | None:
        """Return the usual time between two samples of the selector's newest series; None of fewer than three."""
        newest = self._rows(f"topk(1, timestamp({selector}))")
        if not newest:
            return None
        name = selector.partition("{")[0]
        exact = _exact(name, newest[0]["metric"])
        series = self._rows(f"{exact}[{round(within_s)}s]")
        times = [float(one[0]) for one in series[0].get("values", ())] if series else []
        gaps = [later - earlier for earlier, later in pairwise(times)]
        return median(gaps) if len(gaps) >= 2 else None

    def _rows(self, query: str) -> list[dict[str, Any]]:
        result = self._query(query).get("result")
        if not isinstance(result, list):
            raise SourceUnavailable(f"{self._options.url}: an answer without a result")
        return result

    def _query(self, query: str) -> Mapping[str, Any]:
        data = self._data("query", {"query": query, "timeout": f"{max(1, round(self._options.timeout_s))}s"})
        if not isinstance(data, dict):
            raise SourceUnavailable(f"{self._options.url}: an answer without data")
        return data

    def _data(self, path: str, asked: Mapping[str, str]) -> Any:
        url = f"{self._options.url.rstrip('/')}/api/v1/{path}"
        response = self._session.post(url, data=asked) if path == "query" else self._session.get(url, params=asked)
        return response.json().get("data")


def _exact(name: str, labels: Mapping[str, str]) -> str:
    """Return the selector of one series. name: of its metric, '' where the selector says it among its labels."""
    pairs = {**labels, **({"__name__": name} if name else {})}
    return "{" + ",".join(f"{label}={_quoted(value)}" for label, value in sorted(pairs.items())) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
