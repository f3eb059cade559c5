"""A spell of failure as one vantage point sees it: whether more of it fails than any one blip explains.

Where a part of the requests fails, seconds of failure grow by that part, and a half takes twice as long as a whole. For
how long requests have been failing can be told without them. A blip is over within failFor, however bad it is; so of a
spell all is left out that the worst stretch of failFor and a margin touches, wherever it lies: what still speaks of
failure came without a blip.

With e(n) the cumulative sum of log-likelihood ratios r after n pieces of news, never below 0 (Page 1954), that is

    b(n) = min(max(0, b(n - 1) + r(n)), e(m)),

m the last piece that ends before a stretch which just touches the n-th: x -> max(0, x + r) is monotone, so a stretch
that ended earlier carries its sum on, and one that touches the n-th leaves e(m).

A spell is over when its end is a thousand times likelier than that it goes on: of blips that follow one another each is
left out for itself, and what comes and goes is told by seconds of failure alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.core.model import Spell
from aiops.core.model.swift import swift

CONTRAST = 8.0
"""How many times as much fails in a spell as where all is well: it is nearly as soon as a test that knows the share
where a fifth to a half fails."""

BEYOND_TICKS = 1e3
"""After a blip what happens to fail makes more than one of it by chance once in so many ticks at most."""

OVER_RATIO = 1e3
"""A spell is over when its end is so many times likelier than that it goes on."""

MOST_EVIDENCE = 32.0
"""What was long so is forgotten no later than what was just sure enough."""

MOST_WELL, MOST_SICK = 0.8, 0.95
"""Where everybody fails, more cannot be told apart from it."""


def weighed(evidence: float, failed: float, asked: float, well: float, sick: float) -> float:
    """Return the evidence after so many requests: the logarithm of how much likelier they are under sick than well."""
    return max(0.0, evidence + _ratio(failed, asked, min(well, MOST_WELL), min(sick, MOST_SICK)))


def _ratio(failed: float, asked: float, well: float, sick: float) -> float:
    return failed * math.log(sick / well) + (asked - failed) * math.log((1.0 - sick) / (1.0 - well))


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is new: in `length_s` so many of `asked` requests `failed`. well: the share that fails where all is well."""

    length_s: float
    failed: float
    asked: float
    well: float


def prolonged(spell: Spell, seen: Seen, blip_s: float) -> Spell:
    """Return the spell after what was seen. blip_s: how long what is no failure may last, margin included."""
    sick, over = CONTRAST * seen.well, _over(spell, seen)
    evidence = weighed(spell.evidence, seen.failed, seen.asked, seen.well, sick)
    if evidence <= 0.0 or over >= math.log(OVER_RATIO):
        return Spell()
    trail = (*spell.trail, (spell.lasted_s, spell.evidence))
    before = [one for one in trail if one[0] <= spell.lasted_s - blip_s]
    beyond = weighed(spell.beyond, seen.failed, seen.asked, seen.well, sick)
    return Spell(
        lasted_s=spell.lasted_s + seen.length_s,
        failed=spell.failed + seen.failed,
        asked=spell.asked + seen.asked,
        evidence=min(MOST_EVIDENCE, evidence),
        beyond=min(MOST_EVIDENCE, beyond, before[-1][1] if before else 0.0),
        over=over,
        trail=(*before[-1:], *trail[len(before) :]),
    )


def lasts(spell: Spell) -> bool:
    """Return whether more fails than any one blip explains, by more than chance."""
    return spell.beyond >= math.log(BEYOND_TICKS)


def _over(spell: Spell, seen: Seen) -> float:
    """Return how much likelier it is, as a logarithm, that the spell has ended than that it goes on as it was.

    How it was comes from Laplace's rule of succession over what was known of it before.
    """
    known = (spell.failed + 1.0) / (spell.asked + 2.0)
    sick = min(MOST_SICK, max(CONTRAST * seen.well, known))
    return max(0.0, spell.over - _ratio(seen.failed, seen.asked, min(seen.well, MOST_WELL), sick))
