"""People's wishes from every side: the store (command line and API), the pause file, the calendar of freezes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.core.model import Direction, Freeze, Instant, Pause, PolicyKey
from aiops.policy.schedule import CronWindow
from aiops.ports import Controls, ControlsReading

if TYPE_CHECKING:
    from aiops.adapters.store.people import People
    from aiops.adapters.store.plans import Plans

ANSWERS_S = 86_400.0


class StoreControls:
    """ports.Controls. people_now: the clock of people, which differs from the loop's in a simulation."""

    def __init__(
        self,
        people: People,
        plans: Plans,
        pause_file: Path | None,
        freezes: Sequence[tuple[str, CronWindow]],
        people_now: Callable[[], float],
    ) -> None:
        self._people = people
        self._plans = plans
        self._file = pause_file
        self._freezes = tuple(freezes)
        self._people_now = people_now

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force at `at`."""
        now = self._people_now()
        shift = at - now
        pauses = tuple(_moved(pause, shift) for pause in self._people.pauses(now))
        return ControlsReading(
            pauses=(*pauses, *self._filed(at)),
            approvals=self._people.approvals(now - ANSWERS_S),
            orders=tuple(replace(one, expires_at=one.expires_at + shift) for one in self._plans.orders(now)),
            freezes=tuple(
                Freeze(name=name, until=until)
                for name, window in self._freezes
                if (until := window.active_until(at)) is not None
            ),
        )

    def _filed(self, at: Instant) -> tuple[Pause, ...]:
        """Return the pause that the file's being there means; its first line is the reason."""
        if self._file is None or not self._file.exists():
            return ()
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as err:
            text = f"cannot be read: {err.strerror}"
        reason = text.splitlines()[0][:200] if text else ""
        by = f"file {self._file}"
        return (Pause(id="file", scope="*", direction=Direction.ALL, reason=reason, by=by, since=at),)


@dataclass(frozen=True, slots=True)
class HeldControls:
    """ports.Controls with pauses of policies that are held: by their keys, each with the reason."""

    inner: Controls
    held: Callable[[], Mapping[PolicyKey, str]]

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force at `at`."""
        reading = self.inner.read(at)
        pauses = tuple(
            Pause(id=f"held {key}", scope=key, direction=Direction.ALL, reason=why, by="aiops", since=at)
            for key, why in self.held().items()
        )
        return replace(reading, pauses=(*reading.pauses, *pauses)) if pauses else reading


def _moved(pause: Pause, shift_s: float) -> Pause:
    """Return a pause of people's clock on the loop's clock."""
    return pause if shift_s == 0 else replace(pause, since=pause.since + shift_s, until=pause.until + shift_s)
