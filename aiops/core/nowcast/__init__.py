"""Stage forecast, the next minutes: demand one lead time ahead for many signals at once, with its scale of error.

Two horizons a row: what is there before anything can be added (`near`), and when what is asked for now would serve
(`lead`). Everything is float64[n] over rows; a step is 15 s.
"""

from aiops.core.nowcast.jumps import BELIEVED_TURNS, Jumps
from aiops.core.nowcast.margin import Margins
from aiops.core.nowcast.nowcasts import (
    LEARNED_STEPS,
    LONG_GAP_STEPS,
    NEAR_STEPS,
    STEP_S,
    Nowcasts,
    Views,
    lead_steps,
)
from aiops.core.nowcast.shadows import Seat, Shadows
from aiops.core.nowcast.spread import first_margin

__all__ = [
    "BELIEVED_TURNS",
    "LEARNED_STEPS",
    "LONG_GAP_STEPS",
    "NEAR_STEPS",
    "STEP_S",
    "Jumps",
    "Margins",
    "Nowcasts",
    "Seat",
    "Shadows",
    "Views",
    "first_margin",
    "lead_steps",
]
