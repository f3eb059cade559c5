"""Clocks that jump: an instant that is more than an hour from the one before is believed once others agree with it."""

from __future__ import annotations

from aiops.core.nowcast.nowcasts import LONG_GAP_STEPS

BELIEVED_TURNS = 4
"""So many turns in a row must tell of the same jump: a clock that was wrong for one of them teaches nothing."""


class Jumps:
    """Changed in place. Not a part of checkpoints: whoever begins anew asks a jump to be told again."""

    def __init__(self) -> None:
        self._slot, self._turns = 0, 0

    def doubted(self, slot: int, known: int) -> bool:
        """Return whether a turn's slot is to be let be. known: the slot of the newest turn that was not, -1 for none.

        Times that follow each other, a little ahead of `known` or a little behind it, are never doubted.
        """
        if known < 0 or abs(slot - known) <= LONG_GAP_STEPS:
            self._turns = 0
            return False
        agrees = self._turns > 0 and 0 <= slot - self._slot <= LONG_GAP_STEPS
        self._slot, self._turns = slot, self._turns + 1 if agrees else 1
        return self._turns < BELIEVED_TURNS
