"""How sure one vantage point is that a site fails its users: two sequential tests over what is new at each tick.

Both are cumulative sums (Page, "Continuous inspection schemes", Biometrika 41, 1954), which of all rules with the same
rate of false alarms find a change soonest in the worst case (Lorden 1971; Moustakides 1986).

- Is it chance? The log-likelihood ratio of each new request, failing with `2 * badAbove` against `badAbove / 2`: so it
  grows while more than about badAbove fail. An alarm at h comes by chance once in at least exp(h) ticks (Lorden).
- Has it lasted? Seconds of failure, each tick's weighted by the share that fails; two seconds of health forgive one.
  A disturbance shorter than failFor cannot reach failFor, however bad it is; a crash does right after it, half a
  failure in twice the time.

The second is measured apart from what the other sites suffer as seen from the same place: an observer that loses its
probes, or its network, sees every site fail alike, and is evidence against none of them.

Queries look back over a window, so neighbouring answers tell of the same requests. What is new in an answer is what it
counts beyond the pieces that are known of its window; a restart knows nothing, and takes its first window as one piece.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.core.model import Piece, View
from aiops.core.planning.failover import Watching

FALSE_ALARM_TICKS = 1e7
"""A vantage point is wrong about one site by chance once in so many ticks at most: at 5 s, once in 1.6 years."""

SUSPECT_TICKS = 1e3
"""The same for a mere suspicion, which ends `well` and moves nothing."""

FORGIVEN_RATIO = 0.5
"""How many seconds of failure one second of health forgives: a site that fails a third of the time is found."""

LEAST_NEW = 0.5
"""Fewer new requests than this are none: an answer that counts the same ones again."""

OFF_RATIO = 2.0 / 3.0
"""A confirmed failure ends when it has been forgiven down to this share of failFor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer: which share of `rate_rps` requests a second failed in the window before `at`."""

    at: float
    share: float
    rate_rps: float


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
    window_s = watching.window_s
    start = reading.at - window_s
    asked_in = max(0.0, reading.rate_rps) * window_s
    failed_in = min(1.0, max(0.0, reading.share)) * asked_in
    known = [piece for piece in (_since(one, start) for one in view.pieces) if piece is not None]
    # the window is the truth: what was thought of it before must not say more
    known = _at_most(known, failed_in, asked_in)
    asked = asked_in - sum(one.asked for one in known)
    failed = min(asked, max(0.0, failed_in - sum(one.failed for one in known)))
    piece = Piece(end=reading.at, length_s=min(window_s, reading.at - view.at), failed=failed, asked=asked)
    view = replace(view, at=reading.at, pieces=(*known, piece))
    if asked < LEAST_NEW:
        return view, None
    length_s = min(max(window_s, piece.length_s), reading.at - view.informed_at)
    share = failed / asked
    return replace(view, informed_at=reading.at, share=share), News(length_s=length_s, share=share, asked=asked)


def judged(view: View, news: News, common: float, watching: Watching) -> View:
    """Return the view after news. common: the share that fails for the other sites, too; NaN where none is known."""
    bad, cap_s = watching.bad_above_ratio, watching.fail_for_s + news.length_s
    failed_s = _grown(view.failed_s, news.share, news.length_s, bad)
    if failed_s <= 0.0:
        return replace(view, failed_s=0.0, apart_s=0.0, evidence=0.0, bad=False)
    evidence = min(2.0 * math.log(FALSE_ALARM_TICKS), max(0.0, view.evidence + _log_likelihood(news, bad)))
    apart = news.share if math.isnan(common) else max(0.0, news.share - common)
    apart_s = view.apart_s if math.isnan(common) else _grown(view.apart_s, apart, news.length_s, bad)
    # one request more or less is on either side of a boundary
    margin_s = min(news.length_s, news.length_s / news.asked)
    sure = evidence >= math.log(FALSE_ALARM_TICKS) and apart_s > watching.fail_for_s + margin_s
    on = sure or (view.bad and apart_s > OFF_RATIO * watching.fail_for_s)
    return replace(view, failed_s=min(cap_s, failed_s), apart_s=min(cap_s, apart_s), evidence=evidence, bad=on)


def suspect(view: View) -> bool:
    """Return whether more fails than chance explains, whosever fault it is."""
    return view.failed_s > 0.0 and view.evidence >= math.log(SUSPECT_TICKS)


def lately(view: View, within_s: float) -> float:
    """Return the share that failed of the last `within_s` before the newest reading, NaN where nothing was asked."""
    pieces = [piece for piece in (_since(one, view.at - within_s) for one in view.pieces) if piece is not None]
    asked = sum(one.asked for one in pieces)
    return sum(one.failed for one in pieces) / asked if asked > 0.0 else math.nan


def common_share(others: Sequence[View], watching: Watching) -> float:
    """Return which share fails for the best of the other sites, NaN where none of them is known.

    The worse of now and of the last `fail_for_s`, since one tick counts few requests.
    """
    known = [one for one in others if not math.isnan(one.share)]
    shares = [max(one.share, _or(lately(one, watching.fail_for_s), 0.0)) for one in known]
    return min(shares, default=math.nan)


def pooled(views: Mapping[str, View], names: Sequence[str], within_s: float) -> float:
    """Return the least share that failed lately as some vantage points see it, 0 where they see nothing."""
    return min((_or(lately(views[name], within_s), 0.0) for name in names), default=0.0)


def _grown(failed_s: float, share: float, length_s: float, bad_above: float) -> float:
    change = share * length_s if share > bad_above else -FORGIVEN_RATIO * length_s
    return max(0.0, failed_s + change)


def _log_likelihood(news: News, bad_above: float) -> float:
    well, sick = bad_above / 2.0, min(0.9, bad_above * 2.0)
    failed = news.share * news.asked
    return failed * math.log(sick / well) + (news.asked - failed) * math.log((1.0 - sick) / (1.0 - well))


def _since(piece: Piece, start: float) -> Piece | None:
    """Return the part of a piece that lies after `start`, as if it were spread evenly."""
    length_s = min(piece.length_s, piece.end - start)
    if length_s <= 0.0 or piece.length_s <= 0.0:
        return None
    part = length_s / piece.length_s
    return replace(piece, length_s=length_s, failed=piece.failed * part, asked=piece.asked * part)


def _at_most(pieces: Sequence[Piece], failed_in: float, asked_in: float) -> list[Piece]:
    asked, failed = sum(one.asked for one in pieces), sum(one.failed for one in pieces)
    less_asked = min(1.0, asked_in / asked) if asked > 0.0 else 1.0
    less_failed = min(1.0, failed_in / failed) if failed > 0.0 else 1.0
    return [replace(one, asked=one.asked * less_asked, failed=one.failed * less_failed) for one in pieces]


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
