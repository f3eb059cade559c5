"""Values as people read them on the pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

DAY_S = 86_400.0
_AGES = ((DAY_S, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))

VERDICTS: Mapping[str, str] = {
    "steady": "steady",
    "allow": "acts",
    "wait": "holds",
    "ask": "asks",
    "deny": "denied",
    "bug": "bug",
}
"""The verdicts in people's words."""


def moment(at: float | None) -> datetime | None:
    """Return an instant as a date in UTC, None for what is none."""
    if at is None or not math.isfinite(at):
        return None
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def when(at: float | None, now: float | None = None) -> Markup:
    """Return an instant with its zone: the time of day alone within twelve hours of now."""
    found = moment(at)
    if found is None or at is None:
        return Markup('<span class="quiet">never</span>')
    near = now is not None and abs(now - at) < DAY_S / 2
    text = found.strftime("%H:%M:%S UTC" if near else "%Y-%m-%d %H:%M:%S UTC")
    iso = found.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, iso, text)


def read_when(text: str) -> float | None:
    """Return the instant of an ISO 8601 time without a zone, in UTC as the pages show it; None for what is none.

    >>> read_when("2026-03-02T07:00")
    1772434800.0
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def span(seconds: float | None) -> str:
    """Return a length of time in its greatest unit, and the next one where that says more.

    >>> span(5400), span(75), span(0.4)
    ('1 h 30 min', '1 min 15 s', '0 s')
    """
    if seconds is None or not math.isfinite(seconds):
        return "for ever"
    left = abs(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in _AGES:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((int(count), unit))
        if len(parts) == 2:
            break
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def ago(at: float | None, now: float | None) -> str:
    """Return how long ago an instant is, or in how long it will be.

    >>> ago(10.0, 70.0), ago(100.0, 70.0)
    ('1 min ago', 'in 30 s')
    """
    if at is None or now is None or not math.isfinite(at) or not math.isfinite(now):
        return ""
    return f"{span(now - at)} ago" if now >= at else f"in {span(at - now)}"


def number(value: Any, unit: str = "") -> str:
    """Return a number with as many digits as say something, and its unit; a ratio has none.

    >>> number(3912.4, "req/s"), number(0.14137, "s"), number(None)
    ('3,912 req/s', '0.1414 s', '-')
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return "-"
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return digits if unit in ("", "ratio") else f"{digits} {unit}"


def usd(value: Any, currency: str = "USD") -> str:
    """Return money; cents where there are cents to see.

    >>> usd(12.3), usd(0.0421), usd(-3.0), usd(None)
    ('12.30 USD', '0.042 USD', '-3.00 USD', '-')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    digits = f"{value:,.3f}" if 0.0005 <= abs(value) < 1 else f"{value:,.2f}"
    return f"{'0.00' if digits == '-0.00' else digits} {currency}".rstrip()


def percent(value: Any) -> str:
    """Return a share as percent.

    >>> percent(0.506), percent(None)
    ('51 %', '-')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.2g} %"


def skill(value: Any) -> str:
    """Return a skill.

    >>> skill(0.7665), skill(None)
    ('0.77', '-')
    """
    return f"{value:.2f}" if isinstance(value, int | float) and math.isfinite(value) else "-"


def short(key: str) -> str:
    """Return a policy's key without its kind.

    >>> short("ScalingPolicy/shop/checkout")
    'shop/checkout'
    """
    return key.partition("/")[2] or key


def kind(key: str) -> str:
    """Return the kind of a policy's key in a word.

    >>> kind("ScalingPolicy/shop/checkout")
    'Scaling'
    """
    return key.partition("/")[0].removesuffix("Policy")


def verdict(word: str) -> Markup:
    """Return a verdict as a tag; its colour is never all that tells it."""
    known = word if word in VERDICTS else "none"
    return Markup('<span class="tag {}">{}</span>').format(known, VERDICTS.get(word, word or "silent"))


FILTERS = {
    "when": when,
    "span": span,
    "ago": ago,
    "number": number,
    "usd": usd,
    "percent": percent,
    "skill": skill,
    "short": short,
    "kind": kind,
    "verdict": verdict,
}
