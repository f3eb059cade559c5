"""What a fit is worth before anybody acts on it, and what a version is told to be made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aiops.core.forecast.combined import Combined
from aiops.core.forecast.fitted import Fitted
from aiops.core.lineage.contest import AHEAD
from aiops.core.model import Instant
from aiops.core.protocols import Forecaster

BAD_FIT = 1.5
"""A fit that lost so many times the champion's loss when it was tried on the past is not even tried."""

_NEAR_KNOTS = 4
_EPS = 1e-12


def fit_of(model: Forecaster) -> Fitted | None:
    """Return what a model was fitted to last, None where it needs no fit."""
    return model.fitted if isinstance(model, Combined) else None


def fits_of(model: Forecaster) -> int:
    """Return how often a model was fitted."""
    return model.fits if isinstance(model, Combined) else 0


def why_due(model: Combined) -> str:
    """Return why a model is to be fitted."""
    return f"to hear {', '.join(model.unheard)}" if model.unheard else "its history has grown"


def bad(champion: Combined, made: Combined, now: Instant, *, grown: bool) -> str:
    """Return why a fit is not even tried, '' when it is: what it foretells is no number, or it lost on the past.

    grown: whether there was past enough to compare losses on.
    """
    known = np.isfinite(champion.paths(now, AHEAD[-1])).all()
    if known and not np.isfinite(made.paths(now, AHEAD[-1])).all():
        return "it foretells what is no number"
    if not grown or champion.fitted is None:
        return ""
    theirs, mine = (_loss(one) for one in (champion, made))
    if theirs > 0.0 and mine > BAD_FIT * theirs:
        return f"tried on the past it lost {mine / theirs:.1f} times what the champion lost"
    return ""


def parameters(model: Forecaster) -> Mapping[str, str]:
    """Return what a model is made of, in words."""
    if not isinstance(model, Combined):
        return {}
    told = {
        "history": f"{model.size} min",
        "season": f"{model.grid.season} min",
        "members": ", ".join(one.name for one in model.members),
    }
    fitted = model.fitted
    if fitted is not None and fitted.left_out:
        told["left out"] = "; ".join(f"{name}: {why}" for name, why in fitted.left_out.items())
    return told


def _loss(model: Combined) -> float:
    standing = model.standing
    if standing is None:
        return 0.0
    lost, seen = standing.pinball[0, 0, :_NEAR_KNOTS].sum(), standing.evidence[0, :_NEAR_KNOTS].sum()
    return float(lost / max(seen, _EPS))
