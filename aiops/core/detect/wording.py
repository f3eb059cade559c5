"""What a finding says to people: one sentence with the value and what was expected."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import FindingKind


def named(labels: Mapping[str, str]) -> str:
    """Return a series as people write it.

    >>> named({"__name__": "up", "job": "web"})
    'up{job=web}'
    >>> named({"service": "checkout"})
    '{service=checkout}'
    """
    rest = ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{rest}}}" if rest else labels.get("__name__", "the series")


def span(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> span(75.0), span(600.0), span(9000.0)
    ('75 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def sentence(name: str, kind: FindingKind, value: float, band: tuple[float, float, float], for_s: float) -> str:
    """Return why a row has a finding. band: lower, expected, upper. for_s: how long it has been open.

    >>> sentence("latency", FindingKind.POINT, 0.41, (0.1, 0.15, 0.2), 30.0)
    'latency 0.41 is above the usual 0.1 to 0.2 (expected 0.15)'
    """
    lower, expected, upper = band
    match kind:
        case FindingKind.ABSENCE:
            return f"{name} is gone, {expected:.3g} was expected"
        case FindingKind.FLATLINE:
            return f"{name} does not move from {value:.3g} any more, {expected:.3g} was expected"
        case _:
            pass
    usual = _usual(lower, upper)
    if lower <= value <= upper:
        return f"{name} {value:.3g} is back within the usual {usual} (expected {expected:.3g})"
    if kind is FindingKind.CONTEXTUAL:
        return f"{name} {value:.3g} is usual, but not at this time of the season: {usual} is (expected {expected:.3g})"
    side = "above" if value > upper else "below"
    lasting = f" for {span(for_s)}" if kind is FindingKind.LEVEL_SHIFT else ""
    return f"{name} {value:.3g} is {side} the usual {usual}{lasting} (expected {expected:.3g})"


def _usual(lower: float, upper: float) -> str:
    if lower == float("-inf"):
        return f"at most {upper:.3g}"
    return f"at least {lower:.3g}" if upper == float("inf") else f"{lower:.3g} to {upper:.3g}"
