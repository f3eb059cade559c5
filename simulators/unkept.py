"""The record of a world that nobody asks for afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiops.core.model import Action, Instant, LoopState, Outcome, StepResult, Tick


class Unkept:
    """ports.Journal of one process that lives as long as its world."""

    def load(self) -> LoopState:
        """Return nothing: nothing was before."""
        return LoopState()

    def epoch(self) -> int:
        """Return that nobody led before."""
        return 0

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Return nothing: nobody was before."""
        return LoopState()

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Take the intent."""

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Take the answers."""

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep nothing."""

    def unsettled(self) -> Sequence[Action]:
        """Return nothing: plans are looked at, not remembered."""
        return ()
