"""What may be reckoned with: a price that is positive, finite and no obvious mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.core.model import Instant, PriceBook, Priced, PriceGap, Quote, Unpriced

MOST_USD_PER_HOUR = 1000.0
"""More than a node with eight of the dearest GPUs is listed for anywhere: whoever asks for more mistook a unit."""


def judged(usd_per_hour: float, source: str, as_of: Instant, most_usd: float = MOST_USD_PER_HOUR) -> Quote:
    """Return a price that may be reckoned with, or why it may not: it is zero, negative, or more than `most_usd`.

    >>> judged(0.04, "list", 0.0)
    Priced(usd_per_hour=0.04, source='list', as_of=0.0, units=None, note='')
    >>> judged(-1.0, "list", 0.0).gap.value, judged(float("nan"), "list", 0.0).gap.value
    ('negative', 'absurd')
    """
    gap: PriceGap | None = None
    if not math.isfinite(usd_per_hour) or usd_per_hour > most_usd:
        gap, detail = PriceGap.ABSURD, f"{usd_per_hour:g} USD per hour is more than anything costs ({most_usd:g})"
    elif usd_per_hour < 0.0:
        gap, detail = PriceGap.NEGATIVE, f"{usd_per_hour:g} USD per hour is less than nothing"
    elif usd_per_hour == 0.0:
        gap, detail = PriceGap.ZERO, "0 USD per hour: nothing is free, so it is not known"
    if gap is None:
        return Priced(usd_per_hour=usd_per_hour, source=source, as_of=as_of)
    return Unpriced(gap=gap, detail=detail, source=source)


def flat(replicas: Mapping[str, float], at: Instant, source: str) -> PriceBook:
    """Return a book in which only replicas have prices. replicas: USD per hour by `TargetRef.key`."""
    return PriceBook(replicas={key: judged(usd, source, at) for key, usd in replicas.items()})
