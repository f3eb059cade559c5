"""Ports of a backtest that keep nothing and tell nobody: it is not resumed, and serves no other threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiops.core.model import Action, Instant, LoopState, Outcome, PriceBook, StepResult, Tick
from aiops.core.money.prices import flat
from aiops.loop.lookout import Lookout, Seen


class Forgetful:
    """A journal of which nothing is asked afterwards: a backtest is not resumed."""

    def load(self) -> LoopState:
        """Return the state of a beginning."""
        return LoopState()

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Keep nothing."""

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Keep nothing."""

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep nothing."""

    def unsettled(self) -> Sequence[Action]:
        """Return nothing."""
        return ()

    def epoch(self) -> int:
        """Return that of the only leader."""
        return 1

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Return the state of a beginning."""
        return LoopState()


class Price:
    """One price for one target, or none."""

    def __init__(self, key: str, usd_per_hour: float | None) -> None:
        self._prices = {} if usd_per_hour is None else {key: usd_per_hour}

    def book(self, targets: Sequence[Any], inventory: Any, at: Instant) -> PriceBook:
        """Return it."""
        return flat(self._prices, at, "given")


class Unheard(Lookout):
    """Tells nobody of the time to come: a backtest serves no other threads."""

    def look(self, seen: Seen) -> None:
        """Publish nothing."""
