"""What is said of one instant: how many rest, who does not and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.core.decide.cost.rest.turns import Turned
from aiops.core.model import Judgement, Reason, VerdictWord

MOST_SAID = 20

QUIET = frozenset({Reason.TOLERANCE})
"""Reasons that nobody needs to look at."""


def judgement(made: Turned, why: str) -> Judgement:
    """Return what is said: a wish to act, else the first thing that holds, else how all of it lies."""
    evidence = tuple(_evidence(made))
    counted = _counted(made)
    if made.plans or made.back:
        return Judgement(word=VerdictWord.ALLOW, detail=f"{why}: {counted}", evidence=evidence)
    loud = [one for one in made.held if one.reason not in QUIET]
    if loud:
        first = loud[0]
        more = f" (and {len(loud) - 1} more)" if len(loud) > 1 else ""
        detail = f"{first.name}: {first.why}{more}; {counted}"
        return Judgement(word=VerdictWord.WAIT, reason=first.reason, detail=detail, evidence=evidence)
    return Judgement(word=VerdictWord.STEADY, detail=f"{why}: {counted}", evidence=evidence)


def held(reason: Reason, why: str, made: Turned) -> Judgement:
    """Return that nothing is put to rest, and why; what wakes is told with it."""
    said = judgement(made, why)
    if said.word is VerdictWord.ALLOW:
        return said
    return replace(said, word=VerdictWord.WAIT, reason=reason, detail=f"{why}; {_counted(made)}")


def _counted(made: Turned) -> str:
    counts = [(len(made.asleep), "asleep"), (len(made.awake), "awake"), (len(made.off), "switched off")]
    counts += [(len(made.held), "held"), (len(made.plans), "to change")]
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "no workload is there"


def _evidence(made: Turned) -> Sequence[str]:
    lines = [*made.evidence, *(f"{one.name}: {one.why}" for one in made.held)]
    if len(lines) > MOST_SAID:
        lines = [*lines[:MOST_SAID], f"and {len(lines) - MOST_SAID} more"]
    return lines
