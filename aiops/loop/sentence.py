"""A tick in one sentence."""

from __future__ import annotations

from aiops.core.model import Decision, Tick, VerdictWord
from aiops.core.record.story import clock

_SPOKEN = 3
"""How many targets a sentence names before it counts."""


def spoken(tick: Tick) -> str:
    """Return one sentence of a tick: every target when they are few, else those that move and a count of the rest."""
    parts = [f"{decision.target} {decision.story}" for decision in _worth_saying(tick)]
    rest = len(tick.decisions) - len(parts)
    if rest:
        parts.append(f"{rest} others as before")
    if not tick.decisions:
        parts.append("no policies to decide")
    parts += tick.waiting
    if tick.findings:
        worst = max(tick.findings, key=lambda finding: finding.score)
        more = f" and {len(tick.findings) - 1} more" if len(tick.findings) > 1 else ""
        parts.append(f"anomaly: {worst.reason}{more}")
    return f"{clock(tick.at)} {'; '.join(parts)}"


def _worth_saying(tick: Tick) -> list[Decision]:
    if len(tick.decisions) <= _SPOKEN:
        return list(tick.decisions)
    moving = [d for d in tick.decisions if d.verdict is None or d.verdict.word is VerdictWord.ALLOW]
    changed = [d for d in tick.decisions if d.changed and d not in moving]
    return (moving + changed)[:_SPOKEN]
