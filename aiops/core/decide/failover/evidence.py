"""How sure one vantage point is that a site fails its users: sequential tests over what is new at each tick.

All are cumulative sums (Page, "Continuous inspection schemes", Biometrika 41, 1954), which of all rules with the same
rate of false alarms find a change soonest in the worst case (Lorden 1971; Moustakides 1986).

- Is it chance? The log-likelihood ratio of each new request, failing with `2 * badAbove` against `badAbove / 2`: so it
  grows while more than about badAbove fail. An alarm at h comes by chance once in at least exp(h) ticks (Lorden).
  Where other sites may fail more than that as seen from the same place, it is four times as much against as much.
  A second one, of a spell of failure, has eight times as much, and is sooner where a fifth or more fails.
- Has it lasted? Seconds of failure, each tick's weighted by the share that fails; two seconds of health forgive one.
  A disturbance shorter than failFor cannot reach failFor, however bad it is; a crash does right after it, half a
  failure in twice the time. Or else more of a spell fails than any one such disturbance in it explains (`spells`).

Whether it has lasted is measured apart from what the other sites suffer as seen from the same place: an observer that
loses its probes, or its network, sees every site fail alike, and is evidence against none of them.

Queries look back over a window (a rate over a range: from the first to the last sample in it, since what came before
the first is not counted), so neighbouring answers tell of the same requests. What is new in an answer is what it counts
beyond the pieces that are known of its window; a restart knows nothing, and takes its first window as one piece.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiops.core.decide.failover.spells import MOST_EVIDENCE, Seen, lasts, prolonged, weighed
from aiops.core.decide.pieces import at_most, scaled, since
from aiops.core.model import Piece, Spell, View
from aiops.core.model.swift import changed, swift
from aiops.core.planning.failover import Watching

FALSE_ALARM_TICKS = 1e7
"""A vantage point is wrong about one site by chance once in so many ticks at most: at 5 s, once in 1.6 years."""

TESTS = 2.0
"""Either of so many tests may say that it is no chance, and has its part of the rate of false alarms."""

SUSPECT_TICKS = 1e3
"""The same for a mere suspicion, which ends `well` and moves nothing."""

FORGIVEN_RATIO = 0.5
"""How many seconds of failure one second of health forgives: a site that fails a third of the time is found."""

LEAST_NEW = 0.5
"""Fewer new requests than this are none: an answer that counts the same ones again."""

LEAST_S, LEAST_ASKED = 4.0, 20.0
"""What is well for less time, and of fewer requests, tells nothing yet: it waits for the next piece."""

CONTRAST = 4.0
"""How many times as much fails where a site is sick as where it is well, in the test."""

MARGIN_RATIO = 0.1
"""By how much of failFor seconds of failure may be overrated: queries' windows are no multiple of a probe's rounds."""

OFF_RATIO = 2.0 / 3.0
"""A confirmed failure ends when it has been forgiven down to this share of failFor."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer: which share of `rate_rps` requests a second failed in the window before `at`."""

    at: float
    share: float
    rate_rps: float


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What an answer tells that was not known. length_s: since the last news."""

    length_s: float
    share: float
    asked: float


def heard(view: View, reading: Reading, watching: Watching) -> tuple[View, News | None]:
    """Return the view that knows a reading, and what is new in it; None where it tells nothing new."""
    if not reading.at > view.at:
        return view, None
    step_s = reading.at - view.at if math.isfinite(view.at) else 0.0
    # one turn that was left out is no scrape that is slow
    window_s = watching.span_s(min(step_s, view.step_s or step_s))
    start = reading.at - window_s
    asked_in = max(0.0, reading.rate_rps) * window_s
    failed_in = min(1.0, max(0.0, reading.share)) * asked_in
    known = at_most(since(view.pieces, start), failed_in, asked_in)
    length_s = min(window_s, reading.at - view.at)
    failed = max(0.0, failed_in - sum(one.failed for one in known))
    # probes that come in rounds may be more than their even share: none of what failed is left for the next piece
    asked = max(failed, _evened(asked_in - sum(one.asked for one in known), asked_in * length_s / window_s))
    known = _adding_up(known, asked_in - asked)
    piece = Piece(end=reading.at, length_s=length_s, failed=failed, asked=asked)
    view = changed(view, at=reading.at, step_s=step_s, pieces=(*known, piece))
    return _informed(view, window_s)


def _informed(view: View, window_s: float) -> tuple[View, News | None]:
    """Return the view with its newest piece, and what is new since it was last informed; None where that is too little.

    Failures count at once. Of few requests none may fail by chance: how often is looked must not make health of that.
    """
    piece = view.pieces[-1]
    if piece.asked < LEAST_NEW:
        return view, None
    newer = [one for one in view.pieces if one.end > view.informed_at] if math.isfinite(view.informed_at) else [piece]
    failed, asked = sum(one.failed for one in newer), sum(one.asked for one in newer)
    length_s = min(max(window_s, piece.length_s), view.at - view.informed_at)
    if piece.failed < LEAST_NEW and length_s < LEAST_S and asked < LEAST_ASKED:
        return view, None
    share = failed / asked
    return changed(view, informed_at=view.at, share=share), News(length_s=length_s, share=share, asked=asked)


def judged(view: View, news: News, common: Common, watching: Watching) -> View:
    """Return the view after news. common: how the other sites fare as seen from the same place."""
    bad, cap_s = watching.bad_above_ratio, watching.fail_for_s + 2.0 * news.length_s
    failed_s = min(cap_s, _grown(view.failed_s, news.share, news.length_s, bad))
    unknown = math.isnan(common.share)
    spell = view.spell if unknown else _spelt(view.spell, news, common, watching)
    if failed_s <= 0.0:
        view = changed(view, failed_s=0.0, apart_s=0.0, evidence=0.0, apart_evidence=0.0)
        return changed(view, spell=spell, bad=_sure(view, spell, watching, news) or (view.bad and spell.asked > 0.0))
    view = changed(view, failed_s=failed_s, evidence=_weighed(view.evidence, news, bad / 2.0))
    if unknown:
        # with nothing to compare with it may be the one who looks: what was known of that stays, and no more
        return view
    apart_s = min(cap_s, _grown(view.apart_s, max(0.0, news.share - common.share), news.length_s, bad))
    evidence = _weighed(view.apart_evidence, news, max(bad / 2.0, common.at_most))
    view = changed(view, apart_s=apart_s, apart_evidence=evidence, spell=spell)
    stays = view.bad and (apart_s > OFF_RATIO * watching.fail_for_s or spell.asked > 0.0)
    return changed(view, bad=_sure(view, spell, watching, news) or stays)


def _sure(view: View, spell: Spell, watching: Watching, news: News) -> bool:
    """Return whether failing is no chance, and has lasted."""
    chance = max(view.apart_evidence, spell.evidence) < _no_chance(FALSE_ALARM_TICKS)
    return not chance and (view.apart_s > watching.fail_for_s + _margin_s(watching, news) or lasts(spell))


def _spelt(spell: Spell, news: News, common: Common, watching: Watching) -> Spell:
    apart = max(0.0, news.share - common.share) * news.asked
    well = max(watching.bad_above_ratio / 2.0, common.at_most)
    seen = Seen(length_s=news.length_s, failed=apart, asked=news.asked, well=well)
    return prolonged(spell, seen, watching.fail_for_s + _margin_s(watching, news))


def _margin_s(watching: Watching, news: News) -> float:
    """Return by how much time may be overrated: one request more or less is on either side of a boundary."""
    return max(MARGIN_RATIO * watching.fail_for_s, min(news.length_s, news.length_s / news.asked))


def _no_chance(ticks: float) -> float:
    return math.log(TESTS * ticks)


def failing(view: View) -> bool:
    """Return whether more fails than chance explains, whosever fault it is."""
    found = view.failed_s > 0.0 and view.evidence >= _no_chance(SUSPECT_TICKS)
    return found or view.spell.evidence >= _no_chance(SUSPECT_TICKS)


def apart(view: View) -> bool:
    """Return whether more fails than at the other sites as seen from there, by more than chance explains."""
    found = view.apart_s > 0.0 and view.apart_evidence >= _no_chance(SUSPECT_TICKS)
    return found or view.spell.evidence >= _no_chance(SUSPECT_TICKS)


def lately(view: View, within_s: float) -> float:
    """Return the share that failed of the last `within_s` before the newest reading, NaN where nothing was asked."""
    failed, asked = counts(view, within_s)
    return failed / asked if asked > 0.0 else math.nan


def counts(view: View, within_s: float) -> tuple[float, float]:
    """Return how many requests failed, and were asked, in the last `within_s` before the newest reading."""
    pieces = since(view.pieces, view.at - within_s)
    asked = sum(one.asked for one in pieces)
    # of a part of the window more may have failed than its even share of what was asked
    return min(asked, sum(one.failed for one in pieces)), asked


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """How the best of the other sites fares as seen from one place. share: NaN where none is known.

    share: the worse of now and of the last failFor, since one tick counts few requests. at_most: what it may be, by
    Laplace's rule of succession over the whole window: few requests leave much open.
    """

    share: float = math.nan
    at_most: float = 1.0


def common(others: Sequence[View], watching: Watching) -> Common:
    """Return how the best of the other sites fares as seen from one place."""
    known = [one for one in others if not math.isnan(one.share)]
    if not known:
        return Common()
    shares = [max(one.share, _or(lately(one, watching.fail_for_s), 0.0)) for one in known]
    return Common(share=min(shares), at_most=min(_at_most_of(one) for one in known))


def _at_most_of(view: View) -> float:
    asked, failed = sum(one.asked for one in view.pieces), sum(one.failed for one in view.pieces)
    return (failed + 1.0) / (asked + 2.0)


def pooled(views: Mapping[str, View], names: Sequence[str], within_s: float) -> float:
    """Return the least share that failed lately as some vantage points see it, 0 where they see nothing."""
    return min((_or(lately(views[name], within_s), 0.0) for name in names), default=0.0)


def _grown(failed_s: float, share: float, length_s: float, bad_above: float) -> float:
    change = share * length_s if share > bad_above else -FORGIVEN_RATIO * length_s
    return max(0.0, failed_s + change)


def _weighed(evidence: float, news: News, well: float) -> float:
    """Return the evidence after news: the logarithm of how much likelier it is under failing than under `well`."""
    grown = weighed(evidence, news.share * news.asked, news.asked, well, well * CONTRAST)
    return min(MOST_EVIDENCE, grown)


def _evened(left: float, steady: float) -> float:
    """Return how many requests are new: what the window leaves, drawn halfway to a steady rate.

    What was wrong about a piece when it came in comes back when it goes out, and would so for ever.
    """
    return max(0.0, (left + steady) / 2.0)


def _adding_up(pieces: Sequence[Piece], asked: float) -> list[Piece]:
    total = sum(one.asked for one in pieces)
    part = max(0.0, asked) / total if total > 0.0 else 1.0
    return scaled(pieces, 1.0, part)


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
