"""Whether a new revision is worse than the old one, by a sequential test that may be looked at at every tick.

Each failed request of either revision is the new one's with probability r w / (r w + 1 - w), where w is the new
revision's share of the requests of that tick and r the ratio of the two failure rates: both are seen at the same time,
so that what hurts both is blamed on neither. The likelihood of r over that of the null hypothesis is a martingale under
it, a mixture over many r is one, too (Robbins 1970), and by Ville's inequality the least value of its inverse so far is
a p-value at whatever time it is looked at (Johari et al., Always Valid Inference, Operations Research 2022). Failures
come in bursts, so the logarithm is divided by `DISPERSION`, as a quasi-likelihood does.

A rate over a range tells of the whole range, of which pods that were ready a moment ago have seen the last part only:
what began in that part would seem to be theirs. So both revisions are compared over the same seconds, those since the
look before, from what each range counts beyond what is known of it (`pieces`). Within these seconds, too, one may have
served later than the other: where the old revision fails suddenly more in the piece before or after, it is taken to
fail as much in this one. That makes the evidence less, never more: what is said of a martingale still bounds it.
Where queries do not say how far they look back, rates times the tick are taken for counts.

Once containers of the new revision end by themselves, what it fails is its own, though the old one serves no more: that
is no outage elsewhere. For as long as the rates still tell of the old one, all that the new one was asked without it is
compared with all that the old one had been asked before, by the same likelihood of counts; for rates of which only the
ratio matters that is a martingale in the counts as they grow, too (Perez-Ortiz et al., E-Statistics, Group Invariance
and Anytime-Valid Testing, Annals of Statistics 2024). No piece is evidence twice: neither of the new revision
(`weighed_until`) nor of the old one (`spare`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.core.decide.pieces import newest, since
from aiops.core.model import Instant, Piece, RolloutState

RATIOS = tuple(2.0 ** (step / 2.0) for step in range(1, 14))
"""How many times as bad as the null hypothesis allows: 1.4 to 90, evenly in the logarithm."""

DISPERSION = 2.0

MOST_TICK_S = 120.0
"""A longer pause between two looks counts as this: what a rate says of it is not known."""

AROUND = 3
"""A piece is weighed once the one after it is known, and beside the one before it."""

FEW_RATIO = 0.1
"""A revision that is asked less than this share of what it was is gone: pieces are no better known than that."""

SEEN_AFTER = 2.0
"""A revision is first compared at the look after that which saw it, and may be as much older than that one."""

SUDDEN = 3.0
"""A piece fails suddenly more than another from so many standard deviations on."""


@dataclass(frozen=True, slots=True)
class Null:
    """What is taken for granted until the evidence is against it: a ratio of at most `worse_by`.

    window_s: how far the rates look back, 0 where that is not known.
    """

    worse_by: float = 1.0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests per second of both revisions, and those that were bad. ends: whether the new one's containers do."""

    new_bad: float
    new_total: float
    old_bad: float
    old_total: float
    ends: bool = False

    @property
    def known(self) -> bool:
        """Return whether nothing is negative or no number."""
        every = (self.new_bad, self.new_total, self.old_bad, self.old_total)
        return all(math.isfinite(one) and one >= 0.0 for one in every)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """What was counted of both revisions in the same time. blamed: what of it the old one may have failed."""

    new_bad: float
    new_total: float
    old_bad: float
    old_total: float
    blamed: float


def compared(rollout: RolloutState, rates: Rates, now: Instant, null: Null) -> RolloutState:
    """Return the comparison with one more look."""
    if null.window_s > 0.0:
        return _paired(rollout, rates, now, null)
    span_s = min(MOST_TICK_S, now - rollout.at) if math.isfinite(rollout.at) else 0.0
    if not rates.known or span_s <= 0.0:
        return replace(rollout, at=now)
    return _weighed(replace(rollout, at=now), _in_span(rates, span_s), null.worse_by)


def _in_span(rates: Rates, span_s: float) -> _Counts:
    old_bad = min(rates.old_bad, rates.old_total) * span_s
    return _Counts(
        new_bad=min(rates.new_bad, rates.new_total) * span_s,
        new_total=rates.new_total * span_s,
        old_bad=old_bad,
        old_total=rates.old_total * span_s,
        blamed=old_bad,
    )


def _paired(rollout: RolloutState, rates: Rates, now: Instant, null: Null) -> RolloutState:
    """Return the comparison with one more piece of each revision, and with the evidence of the pieces before."""
    # a clock that was set back is waited for: no piece ends before it began
    if not rates.known or rates.new_total + rates.old_total <= 0.0 or now <= max(rollout.at, rollout.since):
        return rollout
    mine = _window(rates.new_bad, rates.new_total, now, null)
    theirs = _window(rates.old_bad, rates.old_total, now, null)
    if not rollout.new_pieces:
        # the look before the first that saw it saw nothing of it: all that it was asked was since then
        mine = replace(mine, length_s=min(null.window_s, SEEN_AFTER * (now - rollout.since)))
    new, old = _longer(rollout.new_pieces, mine, rollout.since), _longer(rollout.old_pieces, theirs, -math.inf)
    after = replace(rollout, at=now, new_pieces=new, old_pieces=old)
    counts = _counts(after)
    after = _spared(after, counts)
    if counts is not None:
        return _weighed(replace(after, weighed_until=new[-2].end), counts, null.worse_by)
    return _alone(after, null) if rates.ends else after


def _spared(rollout: RolloutState, counts: _Counts | None) -> RolloutState:
    """Return the comparison with what the old revision was asked in the piece before the newest, but for the counts."""
    failed, asked = (0.0, 0.0) if counts is None else (counts.old_bad, counts.old_total)
    return replace(
        rollout,
        spare_bad=rollout.spare_bad + sum(one.failed for one in rollout.old_pieces[-2:-1]) - failed,
        spare_total=rollout.spare_total + sum(one.asked for one in rollout.old_pieces[-2:-1]) - asked,
    )


def _alone(rollout: RolloutState, null: Null) -> RolloutState:
    """Return the comparison with what the new one was asked since the last evidence, while rates tell of the old."""
    old, new, gone = rollout.old_pieces, rollout.new_pieces, _gone(rollout.old_pieces)
    serves = [one.asked > gone * one.length_s for one in since(old, rollout.at - null.window_s)]
    if len(new) < 2 or serves[-1] or not any(serves):
        return rollout
    fresh = [one for one in new if one.end > rollout.weighed_until]
    failed, asked = sum(one.failed for one in fresh), sum(one.asked for one in fresh)
    after = replace(
        rollout,
        weighed_until=rollout.at,
        alone_bad=rollout.alone_bad + failed,
        alone_total=rollout.alone_total + asked,
        new_bad=rollout.new_bad + failed,
        new_total=rollout.new_total + asked,
    )
    return _judged(after, null.worse_by)


def _gone(old: tuple[Piece, ...]) -> float:
    """Return how many requests a second of the old revision are as good as none."""
    return FEW_RATIO * max(one.asked / one.length_s for one in old)


def _counts(rollout: RolloutState) -> _Counts | None:
    """Return what was counted of both in the time of the pieces before the newest ones; None where that says nothing.

    Where the old revision is asked (nearly) nothing in the piece after, it may have gone before something began that
    hurts both: then the new one must have failed as much in the piece before, too.
    """
    new, old = rollout.new_pieces, rollout.old_pieces
    gone = _gone(old)
    if len(new) < 2 or any(one.asked <= gone * one.length_s for one in old[-3:-1]):
        return None  # one that is gone is asked nothing more: what seems to be is of an earlier time
    if new[-2].asked <= 0.0 or new[-2].end <= rollout.weighed_until:
        return None
    mine, after = new[-2], old[-1]
    steady = any(one.asked > 0.0 and not _suddenly(mine, one) for one in new[-3:-2])
    if after.asked <= gone * after.length_s and not steady:
        return None
    (theirs,) = since(old[-2:-1], mine.end - mine.length_s)
    return _Counts(
        new_bad=mine.failed,
        new_total=mine.asked,
        old_bad=theirs.failed,
        old_total=theirs.asked,
        blamed=_blamed(theirs, (*old[-3:-2], old[-1])),
    )


def _window(bad_rps: float, total_rps: float, now: Instant, null: Null) -> Piece:
    asked = total_rps * null.window_s
    return Piece(end=now, length_s=null.window_s, failed=min(bad_rps * null.window_s, asked), asked=asked)


def _longer(pieces: tuple[Piece, ...], window: Piece, since_: Instant) -> tuple[Piece, ...]:
    """Return the pieces with the newest one; what the window has left behind is forgotten.

    since_: what a piece counted is taken to be of after that, so that none of it seems new when the window moves on.
    """
    every = (*pieces, newest([replace(one, length_s=min(one.length_s, one.end - since_)) for one in pieces], window))
    kept = [one for one in every[:-AROUND] if one.end > window.end - window.length_s]
    return (*kept, *every[-AROUND:])


def _blamed(piece: Piece, around: tuple[Piece, ...]) -> float:
    """Return how many the old revision may have failed in a piece: as just before or after it, if suddenly more."""
    if piece.asked <= 0.0:
        return 0.0
    sudden = (other.failed / other.asked for other in around if _suddenly(other, piece))
    return piece.asked * max([piece.failed / piece.asked, *sudden])


def _suddenly(piece: Piece, than: Piece) -> bool:
    """Return whether more of a piece fails than of another that was asked something, by more than chance explains."""
    expected = piece.asked * than.failed / than.asked
    return piece.failed > expected + SUDDEN * math.sqrt(DISPERSION * max(1.0, expected))


def _weighed(rollout: RolloutState, counts: _Counts, worse_by: float) -> RolloutState:
    """Return the comparison with the evidence of one time; there is none where a revision was asked nothing."""
    if counts.new_total <= 0.0 or counts.old_total <= 0.0:
        return rollout
    after = replace(
        rollout,
        log_evidence=_summed(rollout.log_evidence, _log_evidence(counts, worse_by)),
        new_bad=rollout.new_bad + counts.new_bad,
        new_total=rollout.new_total + counts.new_total,
        old_bad=rollout.old_bad + counts.old_bad,
        old_total=rollout.old_total + counts.old_total,
    )
    return _judged(after, worse_by)


def _judged(rollout: RolloutState, worse_by: float) -> RolloutState:
    """Return the comparison with the p-value of all its evidence: pieces side by side, and one after the other."""
    alone = _Counts(
        new_bad=rollout.alone_bad,
        new_total=rollout.alone_total,
        old_bad=rollout.spare_bad,
        old_total=rollout.spare_total,
        blamed=rollout.spare_bad,
    )
    every = rollout.log_evidence
    if alone.new_total > 0.0 and alone.old_total > 0.0:
        every = _summed(every, _log_evidence(alone, worse_by))
    return replace(rollout, p_value=min(rollout.p_value, p_value(every)))


def _summed(some: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(one + two for one, two in zip(some or (0.0,) * len(RATIOS), more, strict=True))


def _log_evidence(counts: _Counts, worse_by: float) -> tuple[float, ...]:
    """Return the logarithm of the likelihood of each ratio over that of the null hypothesis."""
    share = counts.new_total / (counts.new_total + counts.old_total)
    null, bad = worse_by * share + 1.0 - share, counts.new_bad + counts.blamed
    return tuple(
        (counts.new_bad * math.log(ratio) - bad * math.log((ratio * worse_by * share + 1.0 - share) / null))
        / DISPERSION
        for ratio in RATIOS
    )


def p_value(log_evidence: tuple[float, ...]) -> float:
    """Return the inverse of the mixture, at most 1.

    >>> p_value(()), round(p_value((math.log(200.0),) * 2), 6)
    (1.0, 0.005)
    """
    if not log_evidence:
        return 1.0
    most = max(log_evidence)
    log_mixture = most + math.log(sum(math.exp(one - most) for one in log_evidence) / len(log_evidence))
    return min(1.0, math.exp(min(0.0, -log_mixture)))
